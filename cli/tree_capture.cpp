// SPDX-License-Identifier: Apache-2.0

/// Commands of the tree: capture.

#include <limits>

#include "cli/size.h"
#include "cli/tree_builder.h"
#include "sluice/types.h"

namespace sluice::cli {
namespace {

const std::vector<std::string> kVerdicts = {"drop", "pass", "tx", "redirect", "forward"};
const std::vector<std::string> kPlaces = {"entry", "exit", "entry,exit"};

/// One value each time that it is given, so that a filter may follow.
CLI::Option* add_list(CLI::App* app, const std::string& name, std::vector<std::string>& values,
                      const std::string& type, const std::string& text) {
    return app->add_option(name, values, text)->type_name(type)->allow_extra_args(false);
}

CLI::Option* add_size(CLI::App* app, const std::string& name, std::string& value,
                      const std::string& text) {
    return app->add_option(name, value, text)->type_name("SIZE")->check(parsed_by(parse_size));
}

void add_conditions(Tree& tree, CLI::App* app, CaptureOptions& options) {
    add_list(app, "-i,--interface", options.interfaces, "IFACE",
             "Packets that came by this interface; may be repeated (default: all)");
    tree.allow(
        app->add_option("--at", options.at, "As received, as sent, or both (default entry,exit)")
            ->type_name("PLACE"),
        kPlaces);
    tree.allow(add_list(app, "--verdict", options.verdicts, "VERDICT",
                        "drop, pass, tx, redirect, or forward (tx or redirect); may be repeated"),
               kVerdicts);
    add_list(app, "--reason", options.reasons, "REASON",
             "Why they left, as `sluice reasons` has it; may be repeated");
    add_list(app, "--service", options.services, "SERVICE", "Of this service; may be repeated");
    add_list(app, "--backend", options.backends, "BACKEND",
             "For this backend, OWNER/ADDRESS; may be repeated");
    app->add_option("--sample", options.one_in, "One of so many of the packets that match")
        ->type_name("N")
        ->check(whole_number(1, std::numeric_limits<std::uint32_t>::max(), "number of packets"));
}

void add_limits(CLI::App* app, CaptureOptions& options) {
    app->add_option("-c,--count", options.count, "End after this many packets")
        ->type_name("N")
        ->check(whole_number(1, std::numeric_limits<std::uint64_t>::max(), "number of packets"));
    add_duration(app, "--time", options.time, "End after this long");
    app->add_option("-s,--snap", options.snap, "Bytes of each packet (default: all)")
        ->type_name("N")
        ->check(whole_number(1, SLC_TAP_MAX_SNAP, "number of bytes"));
    add_size(app, "--buffer", options.buffer,
             "What the kernel holds until it is read (default 32M)");
}

void add_places(CLI::App* app, CaptureOptions& options) {
    app->add_option("-w,--write", options.file,
                    "Write pcapng, - to standard output (default: print a line for each packet)")
        ->type_name("FILE");
    add_size(app, "--rotate-size", options.rotate_size, "Begin the next file at this size");
    add_duration(app, "--rotate-time", options.rotate_time, "Begin the next file after this long");
    app->add_option("--files", options.files, "Keep the newest files only (default 10)")
        ->type_name("N")
        ->check(whole_number(1, 100'000, "number of files"));
    app->add_flag("--stop", options.stop, "End the capture that is under way, whoever began it");
}

}  // namespace

void add_capture(Tree& tree) {
    CaptureOptions& options = tree.options.capture;
    CLI::App* app = tree.verb(tree.app, "capture", run_capture,
                              "Packets as received and as sent, each with why and where to; "
                              "Ctrl-C ends it");
    add_conditions(tree, app, options);
    add_limits(app, options);
    add_places(app, options);
    app->add_option("FILTER", options.filter,
                    "Packets as received that match, as tcpdump has it: tcp port 443 and host "
                    "192.0.2.7");
}

}  // namespace sluice::cli
