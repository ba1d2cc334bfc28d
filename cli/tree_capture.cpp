// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: capture.

#include "cli/tree_builder.h"

namespace sluice::cli {

void add_capture(Tree&) {}

}  // namespace sluice::cli
