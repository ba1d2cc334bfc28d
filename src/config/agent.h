// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The configuration of a backend's agent: which tunnels it strips, for which VIPs.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "config/model.h"
#include "config/parse.h"

namespace sluice::config {

struct AgentConfig {
    std::string name = "agent";  ///< Instance name: the directory of its pins.
    std::vector<std::string> interfaces;
    XdpMode xdp_mode = XdpMode::automatic;
    std::vector<IpPrefix> vips;  ///< Inner destinations that are accepted.
    std::vector<IpPrefix> from;  ///< Outer sources that are accepted: the balancers'.
    std::uint16_t gue_port = 6080;

    bool operator==(const AgentConfig&) const = default;
};

struct AgentOutcome {
    AgentConfig config;  ///< Meaningful only when `errors` is empty.
    std::vector<Diagnostic> errors;
    std::vector<Diagnostic> warnings;

    [[nodiscard]] bool ok() const { return errors.empty(); }
};

/// Like parse(), for an agent's file: schema/agent.schema.json. Never throws.
AgentOutcome parse_agent(std::string_view text, std::string_view file_name);

/// The same rules for a configuration that was put together from flags. Errors: invalid, limit.
Result<void> check_agent(const AgentConfig& config);

/// A text that parse_agent() reads back as an equal value.
std::string to_yaml(const AgentConfig& config);

}  // namespace sluice::config
