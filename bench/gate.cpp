// SPDX-License-Identifier: Apache-2.0
#include "bench/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>

#include "bench/live_bench.h"
#include "bench/packet_bench.h"
#include "bench/ring_bench.h"

namespace sluice::bench {
namespace {

using Json = nlohmann::json;

constexpr const char* kYardstick = "IPv4 TCP, 100 flows";
constexpr double kTolerance = 1.05;
constexpr double kLiveTolerance = 1.15;
constexpr int kAttempts = 3;

/// Cost against yardstick: greater is slower.
using Costs = std::map<std::string, double>;

double tolerance_of(const std::string& name) {
    return name.starts_with("live: ") ? kLiveTolerance : kTolerance;
}

Costs packet_costs(const Json& run) {
    std::vector<double> yardstick;
    for (const Json& row : run["scenarios"]) {
        if (row["scenario"] == kYardstick)
            yardstick = row["programs"]["classic"]["rounds_net_ns"].get<std::vector<double>>();
    }
    Costs out;
    for (const Json& row : run["scenarios"]) {
        const auto rounds = row["programs"]["sluice"]["rounds_net_ns"].get<std::vector<double>>();
        out["packet: " + row["scenario"].get<std::string>()] = ratio_of(rounds, yardstick).median;
    }
    return out;
}

Costs ring_costs(const Json& run) {
    Costs out;
    for (const Json& row : run["rings"]) {
        const auto rounds = row["rounds_all_ms"].get<std::vector<double>>();
        const auto yardstick = row["rounds_yardstick_ms"].get<std::vector<double>>();
        out["ring: " + row["ring"].get<std::string>()] = ratio_of(rounds, yardstick).median;
    }
    return out;
}

Costs live_costs(const Json& run) {
    Costs out;
    for (const Json& row : run["ways"]) {
        const auto name = row["way"].get<std::string>();
        if (!name.starts_with("Sluice")) continue;
        for (const auto& [cores, value] : row["cores"].items()) {
            const double share = value["of_reflector"]["median"].get<double>();
            out["live: " + name + ", cores: " + cores] = 1 / share;
        }
    }
    return out;
}

/// All of it, or only what is in `again` (and what that is held against).
Result<Costs> measure(const GateOptions& options, const std::set<std::string>& again) {
    const auto wanted = [&](const std::string& kind) {
        return again.empty() || std::any_of(again.begin(), again.end(), [&](const auto& name) {
                   return name.starts_with(kind);
               });
    };
    std::vector<Asked> ignored;
    Costs out;
    if (wanted("packet: ")) {
        PacketOptions packet;
        packet.rounds = options.rounds;
        packet.repeat = 300'000;
        packet.flow_table = 4'000'000;
        packet.classic_many = false;
        for (const std::string& name : again) {
            if (name.starts_with("packet: ")) packet.only.push_back(name.substr(8));
        }
        if (!packet.only.empty()) packet.only.emplace_back(kYardstick);
        out.merge(packet_costs(SLC_TRY(run_packet(packet, ignored), "gate")));
    }
    if (wanted("ring: ")) {
        RingOptions ring;
        ring.groups = 200;
        ring.rounds = options.rounds;
        out.merge(ring_costs(SLC_TRY(run_ring(ring, ignored), "gate")));
    }
    if (options.live && wanted("live: ")) {
        LiveOptions live;
        live.rounds = std::min(options.rounds, 5u);
        live.peers = false;
        out.merge(live_costs(SLC_TRY(run_live(live, ignored), "gate")));
    }
    return out;
}

Result<Json> read_recorded(const std::string& path) {
    std::ifstream file(path);
    if (!file)
        return fail(Errc::not_found, "no recorded figures in " + path,
                    "record them on this machine: ./dev bench gate --record");
    Json out = Json::parse(file, nullptr, false);
    if (out.is_discarded() || !out.contains("costs") || !out["costs"].is_object())
        return fail(Errc::invalid, path + " is not what gate --record writes");
    for (const auto& [name, cost] : out["costs"].items()) {
        if (!cost.is_number() || cost.get<double>() <= 0)
            return fail(Errc::invalid, fmt::format("{}: {} is not a positive number", path, name));
    }
    return out;
}

/// Ratios carry over from day to day, and not from one kind of processor to another.
bool same_machine(const Json& recorded) {
    const Json here = describe_run("")["machine"];
    const Json there = recorded.value("machine", Json::object());
    return there.value("cpu", "") == here["cpu"] && there.value("cpus", 0) == here["cpus"];
}

Result<Json> record(const GateOptions& options) {
    // The median of three measurements: a record that is too good by chance would fail everybody.
    std::map<std::string, std::vector<double>> all;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        for (const auto& [name, cost] : SLC_TRY(measure(options, {}), "record"))
            all[name].push_back(cost);
    }
    Json document = describe_run("./dev bench gate --record");
    for (auto& [name, costs] : all) document["costs"][name] = spread_of(std::move(costs)).median;
    SLC_CHECK(write_json(options.recorded, document), "record");
    fmt::print("recorded {} ratios in {}\n", all.size(), options.recorded);
    return document;
}

}  // namespace

Result<Json> run_gate(const GateOptions& options, std::vector<Asked>&) {
    if (options.record) return record(options);
    const Json recorded = SLC_TRY(read_recorded(options.recorded), "gate");
    Costs best;
    std::set<std::string> slower;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        if (attempt > 0) fmt::print("measuring again what looked slower: {}\n\n", slower.size());
        const Costs costs = SLC_TRY(measure(options, slower), "gate");
        for (const auto& [name, cost] : costs) {
            const auto [it, fresh] = best.emplace(name, cost);
            if (!fresh) it->second = std::min(it->second, cost);
        }
        slower.clear();
        for (const auto& [name, cost] : best) {
            if (!recorded["costs"].contains(name)) continue;
            if (cost > recorded["costs"][name].get<double>() * tolerance_of(name))
                slower.insert(name);
        }
        if (slower.empty()) break;
    }
    Table table({"against its yardstick", "recorded", "now", "change", ""});
    Json rows = Json::array();
    for (const auto& [name, cost] : best) {
        const bool known = recorded["costs"].contains(name);
        const double before = known ? recorded["costs"][name].get<double>() : cost;
        const bool failed = slower.contains(name);
        table.add({name, known ? fmt::format("{:.3f}", before) : "-", fmt::format("{:.3f}", cost),
                   fmt::format("{:+.1f} %", 100 * (cost / before - 1)),
                   failed  ? "SLOWER"
                   : known ? ""
                           : "new"});
        rows.push_back({{"what", name}, {"recorded", before}, {"now", cost}, {"slower", failed}});
    }
    fmt::print("{}\n", table.text());
    SLC_CHECK(write_json(options.json, {{"gate", rows}}), "gate");
    if (slower.empty()) return Json{{"gate", rows}};
    if (!same_machine(recorded))
        return fail(Errc::unsupported, "nothing can be said: recorded on another kind of machine",
                    "record figures on this one: ./dev bench gate --record");
    return fail(Errc::conflict,
                fmt::format("slower than recorded: {} of {} ratios", slower.size(), best.size()),
                "if that is meant, record the new figures: ./dev bench gate --record");
}

}  // namespace sluice::bench
