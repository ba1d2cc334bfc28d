// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a backend's host needs besides the agent's program, so that it answers for a VIP: the
/// address itself, and settings that keep the network from learning of it. `sluice agent print`
/// shows the steps as commands; `sluice agent apply` carries them out, without a shell.
///
/// Steps are idempotent and ordered: what silences ARP comes before the address it is about.

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/agent.h"

namespace sluice::kernel {

struct BackendStep {
    std::string command;   ///< What one would type: "ip addr add 192.0.2.10/32 dev lo".
    std::string why;       ///< One sentence.
    bool by_hand = false;  ///< Advice that depends on the site: apply() is empty.
    /// Whether it is so already. Empty where that cannot be seen from this host.
    std::function<Result<bool>()> check;
    std::function<Result<void>()> apply;
};

/// The steps for a configuration that check_agent() accepts. Does not look at this machine: only
/// the functions in the steps do, in the network namespace of the thread that calls them.
std::vector<BackendStep> backend_setup(const config::AgentConfig& config);

struct AppliedStep {
    std::string command;
    bool changed = false;  ///< False: it was so already.
};

/// Carries out what is not so already and not by hand. Stops at the first step that fails and names
/// it; the steps before it stay. Errors: denied, not_found (no such interface), system.
Result<std::vector<AppliedStep>> apply_backend_setup(const config::AgentConfig& config);

}  // namespace sluice::kernel
