// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Tunnel packets that arrive at a backend: rows that the agent and a co-located balancer share.

#include "tests/packet/case.h"

namespace sluice::packet {

/// The rows with `config` filled in; GUE comes to `gue_port`. "agent" as configuration means the
/// agent's program (decap_test.cpp).
std::vector<Case> stripped(const std::string& config, std::uint16_t gue_port);
std::vector<Case> marked(const std::string& config);
std::vector<Case> not_stripped(const std::string& config, std::uint16_t gue_port);

}  // namespace sluice::packet
