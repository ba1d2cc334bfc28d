// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What ids of one generation are called. A value, shared by whoever tells of packets: a stream of
/// decisions, a capture, the talkers. Names of an id never change while a generation is in force.

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "sluice/types.h"

namespace sluice::observe {

struct Names {
    std::uint32_t generation = 0;
    std::uint32_t pinned = 0;    ///< As its programs call it: several generations may share them.
    std::uint64_t since_ns = 0;  ///< CLOCK_MONOTONIC: packets went through it from here on.
    std::unordered_map<std::uint32_t, std::string> services;
    std::unordered_map<std::uint32_t, std::string> backends;  ///< "web/10.0.0.5", by member id.
    std::unordered_map<std::uint32_t, std::string> customers;
    std::unordered_map<std::uint32_t, std::string> policies;
    std::unordered_map<std::uint32_t, std::string> mitigations;
    std::unordered_map<std::uint32_t, std::string> interfaces;  ///< By ifindex.
};

/// "" for 0; "#17" for an id that has no name here: of a generation before, or removed since.
std::string name_in(const std::unordered_map<std::uint32_t, std::string>& names, std::uint32_t id);

}  // namespace sluice::observe
