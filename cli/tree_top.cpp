// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: top.

#include "cli/tree_builder.h"

namespace sluice::cli {

void add_top(Tree&) {}

}  // namespace sluice::cli
