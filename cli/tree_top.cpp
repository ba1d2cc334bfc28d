// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: top.

#include <limits>

#include "cli/tree_builder.h"

namespace sluice::cli {

void add_top(Tree& tree) {
    TopOptions& options = tree.options.top;
    CLI::App* top = tree.verb(tree.app, "top", run_top,
                              "What the node does now, on a screen that lives: traffic, drops, "
                              "talkers, tables");
    top->add_flag("--once", options.once, "One view as a table, with rates over --interval");
    add_duration(top, "-i,--interval", options.interval, "Between two updates; 1s..60s");
    CLI::Option* pane =
        top->add_option("--view", options.pane, "What to begin with")->type_name("VIEW");
    tree.allow(pane, {"services", "backends", "reasons", "talkers", "maps", "interfaces"});
    top->add_option("--sort", options.sort, "Heading of the column to sort by")
        ->type_name("COLUMN");
    top->add_option("--filter", options.filter, "Only rows that hold this text")->type_name("TEXT");
    top->add_option("--limit", options.limit, "With --once: this many rows")
        ->type_name("N")
        ->check(whole_number(1, std::numeric_limits<std::uint32_t>::max(), "number of rows"));
}

}  // namespace sluice::cli
