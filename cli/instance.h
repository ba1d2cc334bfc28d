// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "cli/tree.h"

namespace sluice::cli {

/// The instance that --node names, else the only one there is; empty when there is none.
/// Errc::conflict when there are several.
Result<std::string> chosen_node(const Options& options);

}  // namespace sluice::cli
