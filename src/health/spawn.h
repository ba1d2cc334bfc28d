// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Starts a program that is trusted with nothing: what health/command_thread.h promises of it.

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::health {

struct Spawned {
    pid_t pid = -1;    ///< Also its process group's; to be killed and waited for by the caller.
    UniqueFd process;  ///< A pidfd, readable when the program has ended.
    UniqueFd output;   ///< What it writes; does not block.
};

/// `command`: absolute path and arguments; `environment`: all of it, "NAME=value".
Result<Spawned> spawn(const std::vector<std::string>& command,
                      const std::vector<std::string>& environment);

}  // namespace sluice::health
