// SPDX-License-Identifier: Apache-2.0
/// sluice-bench: the benchmarks behind `./dev bench`. docs/performance.md says what they measure.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>

#include "bench/flow_bench.h"
#include "bench/gate.h"
#include "bench/health_bench.h"
#include "bench/latency_bench.h"
#include "bench/live_bench.h"
#include "bench/metrics_bench.h"
#include "bench/observe_bench.h"
#include "bench/packet_bench.h"
#include "bench/ring_bench.h"
#include "bench/roads_bench.h"
#include "bench/scale_bench.h"

namespace sluice::bench {
namespace {

std::string command_of(int argc, char** argv) {
    std::string out = "./dev bench";
    for (int i = 1; i < argc; ++i) out += std::string(" ") + argv[i];
    return out;
}

/// Exit codes as everywhere in Sluice: 0 done, 1 failed, 64 usage; and 77, which ctest counts as
/// skipped, for what cannot be judged here.
int finish(Result<nlohmann::json> outcome, const std::vector<Asked>& asked,
           const std::string& command, const std::string& json) {
    progress("");
    if (!outcome) {
        fmt::print(stderr, "error: {}\n", outcome.error().what);
        if (!outcome.error().hint.empty()) fmt::print(stderr, "hint: {}\n", outcome.error().hint);
        return outcome.error().code == Errc::unsupported ? 77 : 1;
    }
    if (!asked.empty()) fmt::print("{}\n", text_of(asked));
    nlohmann::json document = describe_run(command);
    document.update(*outcome);
    document["asked"] = to_json(asked);
    const auto written = write_json(json, document);
    if (!written) {
        fmt::print(stderr, "error: {}\n", written.error().what);
        return 1;
    }
    return 0;
}

CLI::App* add_flow(CLI::App& app, FlowOptions& options) {
    CLI::App* command = app.add_subcommand("flow", "the flow table beside the kernel's LRU hashes");
    command->add_option("--sizes", options.sizes, "flows in the tables, powers of two");
    command->add_option("--packets", options.packets, "of a measurement, on each core")
        ->check(CLI::Range(1000u, 4000000u));
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

CLI::App* add_packet(CLI::App& app, PacketOptions& options) {
    CLI::App* command =
        app.add_subcommand("packet", "nanoseconds per packet in the kernel's test run");
    command->add_option("--repeat", options.repeat, "packets of a measurement")
        ->check(CLI::Range(1000u, 1000000000u));
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_option("--flow-table", options.flow_table, "entries of the baseline's flow table");
    command->add_option("--pinned", options.pinned, "NAME=PATH of another XDP program");
    command->add_option("--only", options.only, "scenarios whose name contains this");
    command->add_flag("!--no-classic", options.classic, "leave the baseline out");
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

CLI::App* add_roads(CLI::App& app, RoadsOptions& options) {
    CLI::App* command = app.add_subcommand("roads", "how long changes take, by road and size");
    command->add_option("--services", options.services)->check(CLI::Range(1u, 60000u));
    command->add_option("--backends", options.backends, "of each service")
        ->check(CLI::Range(1u, 1000u));
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

CLI::App* add_metrics(CLI::App& app, MetricsOptions& options) {
    CLI::App* command = app.add_subcommand("metrics", "a scrape of a large node");
    command->add_option("--services", options.services)->check(CLI::Range(1u, 60000u));
    command->add_option("--backends", options.backends, "of each service")
        ->check(CLI::Range(1u, 1000u));
    command->add_option("--packets", options.packets, "of a measurement")
        ->check(CLI::Range(1000u, 1000000000u));
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

CLI::App* add_observe(CLI::App& app, ObserveOptions& options) {
    CLI::App* command = app.add_subcommand("observe", "packets while their samples are followed");
    command->add_option("--mpps", options.mpps)->check(CLI::Range(0.01, 100.0));
    command->add_option("--bursts", options.bursts, "of a tenth of a second, in a round")
        ->check(CLI::Range(1u, 100000u));
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

CLI::App* add_ring(CLI::App& app, RingOptions& options) {
    CLI::App* command = app.add_subcommand("ring", "building rings");
    command->add_option("--groups", options.groups)->check(CLI::Range(1u, 100000u));
    command->add_option("--backends", options.backends)->check(CLI::Range(1u, 10000u));
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

CLI::App* add_health(CLI::App& app, HealthOptions& options) {
    CLI::App* command = app.add_subcommand("health", "checking thousands of backends");
    command->add_option("--backends", options.backends)->check(CLI::Range(1u, 60000u));
    command->add_option("--seconds", options.seconds, "of a measurement")
        ->check(CLI::Range(1u, 3600u));
    command->add_option("--interval", options.interval_ms, "milliseconds between two checks")
        ->check(CLI::Range(100u, 60000u));
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_option("--only", options.only, "scenarios whose name contains this");
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

CLI::App* add_scale(CLI::App& app, ScaleOptions& options) {
    CLI::App* command = app.add_subcommand("scale", "what a large configuration costs, by parts");
    command->add_option("--services", options.services)->check(CLI::Range(1u, 60000u));
    command->add_option("--backends", options.backends)->check(CLI::Range(1u, 1000000u));
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_option("--shift", options.shift, "first address")->check(CLI::Range(0u, 2000000u));
    command->add_option("--write", options.write, "only write the configuration to this file");
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

CLI::App* add_gate(CLI::App& app, GateOptions& options) {
    CLI::App* command = app.add_subcommand("gate", "fails when something became slower");
    command->add_option("--recorded", options.recorded, "what to compare with");
    command->add_flag("--record", options.record, "write that file instead");
    command->add_flag("!--no-live", options.live, "leave live throughput out");
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

CLI::App* add_live(CLI::App& app, LiveOptions& options) {
    CLI::App* command = app.add_subcommand("live", "throughput over veth with live frames");
    command->add_option("--packets", options.packets, "of a measurement, on each core")
        ->check(CLI::Range(10000u, 1000000000u));
    command->add_option("--rounds", options.rounds)->check(CLI::Range(1u, 1000u));
    command->add_flag("!--no-peers", options.peers, "leave Linux and nftables out");
    command->add_option("--json", options.json, "file, or - for standard output");
    return command;
}

int run(int argc, char** argv) {
    CLI::App app("Benchmarks of Sluice", "sluice-bench");
    app.require_subcommand(1);
    std::vector<Asked> asked;
    const std::string command = command_of(argc, argv);
    std::function<int()> chosen;

    RingOptions ring;
    add_ring(app, ring)->callback(
        [&] { chosen = [&] { return finish(run_ring(ring, asked), asked, command, ring.json); }; });

    HealthOptions health;
    add_health(app, health)->callback([&] {
        chosen = [&] { return finish(run_health(health, asked), asked, command, health.json); };
    });

    RoadsOptions roads;
    add_roads(app, roads)->callback([&] {
        chosen = [&] { return finish(run_roads(roads, asked), asked, command, roads.json); };
    });

    MetricsOptions metrics;
    add_metrics(app, metrics)->callback([&] {
        chosen = [&] { return finish(run_metrics(metrics, asked), asked, command, metrics.json); };
    });

    ObserveOptions observe;
    add_observe(app, observe)->callback([&] {
        chosen = [&] { return finish(run_observe(observe, asked), asked, command, observe.json); };
    });

    ScaleOptions scale;
    add_scale(app, scale)->callback([&] {
        chosen = [&] { return finish(run_scale(scale, asked), asked, command, scale.json); };
    });

    FlowOptions flow;
    add_flow(app, flow)->callback(
        [&] { chosen = [&] { return finish(run_flow(flow, asked), asked, command, flow.json); }; });

    PacketOptions packet;
    add_packet(app, packet)->callback([&] {
        chosen = [&] { return finish(run_packet(packet, asked), asked, command, packet.json); };
    });

    LiveOptions live;
    add_live(app, live)->callback(
        [&] { chosen = [&] { return finish(run_live(live, asked), asked, command, live.json); }; });

    LatencyOptions latency;
    CLI::App* latency_command = app.add_subcommand("latency", "what Sluice adds to a round trip");
    latency_command->add_option("--echoes", latency.echoes, "of a measurement")
        ->check(CLI::Range(1000u, 100000000u));
    latency_command->add_option("--rounds", latency.rounds)->check(CLI::Range(1u, 1000u));
    latency_command->add_option("--json", latency.json, "file, or - for standard output");
    latency_command->callback([&] {
        chosen = [&] { return finish(run_latency(latency, asked), asked, command, latency.json); };
    });

    GateOptions gate;
    add_gate(app, gate)->callback(
        [&] { chosen = [&] { return finish(run_gate(gate, asked), asked, command, ""); }; });

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 64;
    }
    return chosen();
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
    return sluice::bench::run(argc, argv);
}
