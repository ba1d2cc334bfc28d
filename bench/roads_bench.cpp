// SPDX-License-Identifier: Apache-2.0
#include "bench/roads_bench.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "base/log.h"
#include "bench/lab.h"
#include "control/controller.h"

namespace sluice::bench {
namespace {

using control::ApplyReport;
using control::ApplyRequest;
using plan::Road;

/// Mounts of its own: a bpffs and a place for files that nobody else sees.
Result<std::string> private_place() {
    const std::string place = "/mnt";
    const bool done = ::unshare(CLONE_NEWNS) == 0 &&
                      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                      ::mount("tmpfs", place.c_str(), "tmpfs", 0, "mode=0700") == 0 &&
                      std::filesystem::create_directory(place + "/bpf") &&
                      ::mount("bpf", (place + "/bpf").c_str(), "bpf", 0, "mode=0700") == 0;
    const int saved = errno;
    if (!done) return fail(sys_error(saved, "private mounts"));
    return place;
}

/// Every backend of weight 1, but for the first `changed` of all, which have `weight`. They lie in
/// as few groups as possible, or one in each.
std::string config_of(const RoadsOptions& options, unsigned changed, unsigned weight,
                      bool is_spread) {
    std::string out =
        "version: 2\n"
        "node: {name: roads, interfaces: [in0], sampling: 0, "
        "ring_secret: 000102030405060708090a0b0c0d0e0f}\ngroups:\n";
    for (unsigned g = 0; g < options.services; ++g) {
        out += fmt::format("  group-{}:\n    backends:\n", g);
        for (unsigned b = 0; b < options.backends; ++b) {
            const unsigned number = g * options.backends + b;
            const unsigned rank = is_spread ? b * options.services + g : number;
            out +=
                fmt::format("      - {{address: 10.{}.{}.{}, weight: {}}}\n", 64 + (number >> 16),
                            number >> 8 & 255, number & 255, rank < changed ? weight : 1);
        }
    }
    out += "services:\n";
    for (unsigned g = 0; g < options.services; ++g)
        out +=
            fmt::format("  - {{name: service-{}, vip: 198.18.{}.{}, port: 80, group: group-{}}}\n",
                        g, g >> 8, g & 255, g);
    return out;
}

class Node {
 public:
    static Result<Node> open(const RoadsOptions& options) {
        Node out;
        const std::string place = SLC_TRY(private_place(), "roads");
        out.space_ = SLC_TRY(Namespace::create(), "roads");
        SLC_CHECK(out.space_->enter(), "roads");
        for (const char* line : {"ip link add in0 type veth peer name out0", "ip link set in0 up",
                                 "ip link set out0 up", "ip addr add 10.0.0.1/8 dev in0"})
            SLC_CHECK(run_line(line), "roads");
        control::Controller::Options about;
        about.config_file = place + "/sluice.yaml";
        about.bpffs = place + "/bpf/sluice";
        about.state_dir = place + "/state";
        std::ofstream(about.config_file) << config_of(options, 0, 1, true);
        out.clock_ = std::make_unique<plan::Instant>(std::chrono::hours(1));
        about.clock = [clock = out.clock_.get()] { return *clock; };
        out.controller_ = SLC_TRY(control::Controller::open(about), "roads");
        SLC_CHECK(out.controller_->apply_file(), "roads");
        out.settle();
        return out;
    }
    Result<ApplyReport> apply(std::string text, std::optional<Road> road) {
        ApplyRequest request;
        request.text = std::move(text);
        request.file = "-";
        request.road = road;
        return controller_->apply(request);
    }
    /// Until no change is in progress: twenty minutes by the node's clock.
    void settle() {
        for (int i = 0; i < 600; ++i) {
            *clock_ += std::chrono::seconds(2);
            controller_->on_change_tick();
        }
    }
    Result<ApplyReport> back(std::uint32_t number) {
        return controller_->rollback(number, "bench", "");
    }
    [[nodiscard]] std::uint32_t generation() const { return controller_->summary().generation; }

 private:
    std::optional<Namespace> space_;
    std::unique_ptr<plan::Instant> clock_;
    std::unique_ptr<control::Controller> controller_;
};

/// Milliseconds of the named parts together.
double of_parts(const ApplyReport& report, std::initializer_list<std::string_view> names) {
    double out = 0;
    for (const auto& [part, time] : report.plan.times)
        for (const auto& name : names)
            if (part == name) out += static_cast<double>(time.count()) / 1000;
    return out;
}

struct Figures {
    std::map<std::pair<unsigned, Road>, std::vector<double>> effect;
    std::map<unsigned, std::vector<double>> common;
    std::map<unsigned, std::vector<double>> rollback;   ///< By rings that differ.
    std::map<unsigned, std::vector<double>> reconcile;  ///< The part of it that rings cost.
};

Result<void> measure_roads(Node& node, const RoadsOptions& options, unsigned changed,
                           Figures& out) {
    unsigned weight = 2;
    for (const Road road : {Road::entry, Road::map, Road::program}) {
        const auto done =
            SLC_TRY(node.apply(config_of(options, changed, ++weight, false), road), "apply");
        // "swap" also writes the journal: what an operator waits for.
        out.effect[{changed, road}].push_back(of_parts(done, {"lay aside", "load", "swap"}));
        out.common[changed].push_back(of_parts(done, {"parse", "compile", "plan"}));
    }
    return {};
}

Result<void> measure_rollback(Node& node, const RoadsOptions& options, unsigned rings,
                              Figures& out) {
    node.settle();
    const std::uint32_t before = node.generation();
    (void)SLC_TRY(node.apply(config_of(options, rings, 9, true), Road::program), "apply");
    const auto back = SLC_TRY(node.back(before), "rollback");
    out.rollback[rings].push_back(of_parts(back, {"effect"}));
    out.reconcile[rings].push_back(of_parts(back, {"reconcile"}));
    return {};
}

}  // namespace

Result<nlohmann::json> run_roads(const RoadsOptions& options, std::vector<Asked>& asked) {
    log_setup(LogFormat::logfmt, LogLevel::error);
    Node node = SLC_TRY(Node::open(options), "roads");
    const unsigned all = options.services * options.backends;
    std::vector<unsigned> sizes;
    for (unsigned size = 1; size < all; size *= 10) sizes.push_back(size);
    sizes.push_back(all);
    std::vector<unsigned> rings{1, 10, options.services};
    Figures figures;
    for (unsigned round = 0; round < options.rounds; ++round) {
        progress(fmt::format("roads: round {} of {}", round + 1, options.rounds));
        for (const unsigned size : sizes)
            SLC_CHECK(measure_roads(node, options, size, figures), "roads");
        (void)SLC_TRY(node.apply(config_of(options, 0, 1, true), std::nullopt), "roads");
        for (const unsigned count : rings)
            if (count <= options.services)
                SLC_CHECK(measure_rollback(node, options, count, figures), "roads");
    }
    progress("");
    Table table(
        {"backends changed", "entry, ms", "map, ms", "program, ms", "parse, compile, plan, ms"});
    nlohmann::json rows = nlohmann::json::array();
    for (const unsigned size : sizes) {
        const auto text = [&](Road road) {
            return text_of(spread_of(figures.effect[{size, road}]));
        };
        table.add({std::to_string(size), text(Road::entry), text(Road::map), text(Road::program),
                   text_of(spread_of(figures.common[size]))});
        rows.push_back({{"changed", size},
                        {"entry_ms", to_json(spread_of(figures.effect[{size, Road::entry}]))},
                        {"map_ms", to_json(spread_of(figures.effect[{size, Road::map}]))},
                        {"program_ms", to_json(spread_of(figures.effect[{size, Road::program}]))}});
    }
    fmt::print("{} services of {} backends: time to effect\n\n{}\n", options.services,
               options.backends, table.text());
    Table back({"rings that differ", "rollback, ms", "of it writing rings, ms"});
    nlohmann::json backs = nlohmann::json::array();
    for (const auto& [count, times] : figures.rollback) {
        const auto rings_ms = spread_of(figures.reconcile[count]);
        back.add({std::to_string(count), text_of(spread_of(times)), text_of(rings_ms)});
        backs.push_back({{"rings", count},
                         {"ms", to_json(spread_of(times))},
                         {"reconcile_ms", to_json(rings_ms)}});
    }
    fmt::print("rollback to a generation that is loaded, from the order to its effect\n\n{}\n",
               back.text());
    asked.push_back(at_most("rollback with one ring that differs, ms",
                            spread_of(figures.rollback[1]).median, 5.0));
    return nlohmann::json{{"services", options.services},
                          {"backends", options.backends},
                          {"roads", rows},
                          {"rollback", backs}};
}

}  // namespace sluice::bench
