// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "cli/tree.h"

namespace sluice::cli {

/// `sluice config show --from kernel [--check]`: the configuration as the tables in the kernel have
/// it. Without the daemon.
Result<int> show_from_kernel(const Options& options);

}  // namespace sluice::cli
