// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: what a packet would do.

#include "cli/tree_builder.h"

namespace sluice::cli {

void add_explain(Tree&) {}

}  // namespace sluice::cli
