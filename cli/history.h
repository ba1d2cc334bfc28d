// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "cli/tree.h"

namespace sluice::cli {

/// `sluice config show N`.
Result<int> show_generation(const Options& options);

}  // namespace sluice::cli
