// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: what a packet would do.

#include "cli/tree_builder.h"

namespace sluice::cli {

void add_explain(Tree& tree) {
    ExplainOptions& options = tree.options.explain;
    CLI::App* explain =
        tree.verb(tree.app, "explain", run_explain,
                  "What a packet would do, and why, stage by stage; no live packet notices");
    explain->add_option("PACKET", tree.options.name,
                        "'tcp 198.51.100.7:1234 > 192.0.2.10:443 syn', or its bytes in "
                        "hexadecimal; - reads it from standard input");
    explain->add_option("--pcap", options.pcap, "Take the packet from this capture instead")
        ->type_name("FILE");
    explain->add_option("--frame", options.frame, "Which packet of the capture (default 1)")
        ->type_name("N")
        ->check(whole_number(1, 100'000, "number of a frame"));
    explain
        ->add_option("-i,--interface", options.interface,
                     "By which it comes (default: the first of the node's)")
        ->type_name("IFACE");
    explain
        ->add_option("--against", options.against,
                     "Compare with what this configuration would do; - for standard input")
        ->type_name("FILE");
    explain->add_flag("--detailed-exitcode", options.detailed_exit_code,
                      "With --against: exit with 2 when something differs");
}

}  // namespace sluice::cli
