// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: health list, health show.

#include "cli/tree_builder.h"

namespace sluice::cli {

void add_health(Tree& tree) {
    CLI::App* health = tree.noun(tree.app, "health", "What checks found out about backends");
    tree.verb(*health, "list", run_health_list,
              "Backends that are watched, after the groups that are not healthy")
        ->add_option("GROUP", tree.options.name, "Only of this group, or of a service's group")
        ->type_name("GROUP");
    tree.verb(*health, "show", run_health_show,
              "One backend: its checks, why it is in its state, what it was before")
        ->add_option("OWNER/ADDRESS", tree.options.name,
                     "The backend: its group, or a service on it, and its address")
        ->required()
        ->type_name("BACKEND");
}

}  // namespace sluice::cli
