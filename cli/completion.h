// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/tree.h"

namespace sluice::cli {

/// Completion scripts, made from the tree of commands: words, options, choices; files, interfaces,
/// and the names of services and backends as the running daemon knows them.
std::string bash_completion(const CommandInfo& program);
std::string zsh_completion(const CommandInfo& program);
std::string fish_completion(const CommandInfo& program);

}  // namespace sluice::cli
