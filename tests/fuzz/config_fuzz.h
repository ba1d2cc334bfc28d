// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What must hold for any text at all, as a configuration of the balancer and of the agent.

#include <string_view>

namespace sluice::fuzz {

/// Aborts, after saying why, when something does not hold:
///   - findings lie within the text, have a message and come in the order of the file;
///   - the same text gives the same findings;
///   - what was accepted is printed as a text that is accepted and means the same.
void check_config(std::string_view text);

}  // namespace sluice::fuzz
