// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/tree.h"
#include "config/agent.h"

namespace sluice::cli {

/// The agent that the command line describes: a file, or options. What is wrong in a file is
/// printed; Errc::invalid says how much of it.
Result<config::AgentConfig> agent_config(const AgentOptions& options);

/// What a command does with an agent_config() that failed: wrong options are a wrong command line
/// and end with kExitUsage, everything else is the command's error.
Result<int> refuse_agent(const AgentOptions& options, Error error, const char* command);

}  // namespace sluice::cli
