// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: the machine and its announcements: node drops, node tune, node drain, node
/// ready, announce list.

#include "cli/tree_builder.h"
#include "kernel/nic_layout.h"

namespace sluice::cli {

void add_machine(Tree& tree, CLI::App& node) {
    Options& options = tree.options;
    CLI::App* drops = tree.verb(node, "drops", run_node_drops,
                                "Where packets get lost: NIC, driver, XDP, CPU, our decisions");
    drops->add_flag("-w,--watch", options.node.watch, "Again and again, until interrupted");
    add_duration(drops, "--interval", options.node.interval,
                 "Time over which rates are measured (default 1s; 0s: no rates)");
    CLI::App* tune = tree.verb(node, "tune", run_node_tune,
                               "Plan queues, rings and interrupts of the NICs for this machine");
    tune->add_option("-i,--interface", options.interfaces,
                     "Interface to tune; may be repeated (default: those of the configuration)")
        ->type_name("IFACE");
    add_file(tune, options.config_file,
             "Configuration that names them (default /etc/sluice/sluice.yaml)");
    auto* apply = tune->add_flag("--apply", options.node.apply,
                                 "Make the changes, and record what was; needs root");
    tune->add_flag("--undo", options.node.undo, "Put back what was; needs root")->excludes(apply);
    tune->add_flag("--allow-reset", options.node.allow_reset,
                   "Also what resets the link while packets are being handled");
    tune->add_option("--queues", options.node.queues,
                     "Receive queues (default: one for each CPU near the NIC)")
        ->type_name("N")
        ->check(whole_number(1, 1024, "number of queues"));
    tune->add_option("--cpus", options.node.cpus,
                     "CPUs for the queues, as 0-3,8 (default: those of the NIC's NUMA node)")
        ->type_name("CPUS")
        ->check(parsed_by(kernel::parse_cpu_list));
    tune->add_option("--state-dir", options.instance.state_dir,
                     "Where it is recorded what was (default /var/lib/sluice)")
        ->type_name("DIR");
}

void add_announcing(Tree& tree, CLI::App& node) {
    Options& options = tree.options;
    CLI::App* announce = tree.noun(tree.app, "announce", "VIPs as routers are told of them");
    tree.verb(*announce, "list", run_announce_list,
              "VIPs with their state, and the ways they are announced by; -o wide: each by each");
    CLI::App* drain = tree.verb(node, "drain", run_node_drain,
                                "Announce a graceful shutdown, then withdraw all VIPs");
    drain->add_flag("-w,--wait", options.wait,
                    "Withdraw when no more packets come either; return when it is done");
    add_duration(drain, "--deadline", options.node.deadline,
                 "Withdraw after this long at the latest, whatever still comes");
    add_duration(drain, "--for", options.node.keep, "Ready again after this long");
    CLI::App* ready =
        tree.verb(node, "ready", run_node_ready, "Take traffic again: announce the VIPs");
    ready->add_flag("-w,--wait", options.wait, "Return when all of them are announced");
}

}  // namespace sluice::cli
