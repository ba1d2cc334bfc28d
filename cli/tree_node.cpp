// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: the machine: node drops, node tune.

#include "cli/tree_builder.h"

namespace sluice::cli {

void add_machine(Tree&, CLI::App&) {}

}  // namespace sluice::cli
