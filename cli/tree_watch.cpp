// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: observe and events.

#include "cli/tree_builder.h"

namespace sluice::cli {

void add_watching(Tree&) {}

}  // namespace sluice::cli
