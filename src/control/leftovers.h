// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a daemon left announced that ended without a word, or whose data plane is taken away: for
/// commands that run without a daemon (sluiced --withdraw, --detach, sluice detach).

#include <string>

#include "base/result.h"

namespace sluice::control {

enum class Leftover { unless_kept, all };

/// Withdraws it from BIRD and from the kernel; BGP sessions of the daemon ended with it. By the
/// configuration that was in force as history in `state_dir` has it, else by `config_file`.
/// `which`: all of it, or nothing where announce.on_daemon_exit says keep.
Result<void> withdraw_leftovers(const std::string& state_dir, const std::string& config_file,
                                Leftover which);

}  // namespace sluice::control
