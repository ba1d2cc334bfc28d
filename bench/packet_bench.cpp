// SPDX-License-Identifier: Apache-2.0
#include "bench/packet_bench.h"

#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>
#include <optional>

#include "bench/driver.h"
#include "bench/targets.h"

namespace sluice::bench {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMany = 10'000'000;

struct Scenario {
    std::string name;
    Traffic traffic = Traffic::tcp4;
    std::uint64_t flows = 100;
    std::string setup = "both";      ///< Which configuration of Sluice.
    std::uint32_t verdict = XDP_TX;  ///< What every program must say.
    std::uint32_t grows = 20;        ///< Bytes that Sluice's header is longer by.
    bool everybody = true;           ///< Baseline and pinned programs too, not only Sluice.
    bool marked = false;             ///< Slots are marked, and every flow is remembered.
};

std::string flows_text(std::uint64_t flows) {
    if (flows >= 1'000'000) return std::to_string(flows / 1'000'000) + " M";
    if (flows >= 1'000) return std::to_string(flows / 1'000) + " k";
    return std::to_string(flows);
}

/// Beside the scenarios of the same traffic, which are counted and sampled.
void add_bare(std::vector<Scenario>& out) {
    for (const Traffic traffic : {Traffic::tcp4, Traffic::tcp6}) {
        const bool ip6 = traffic == Traffic::tcp6;
        out.push_back({.name = fmt::format("sampling off, {} TCP", ip6 ? "IPv6" : "IPv4"),
                       .traffic = traffic,
                       .setup = "sampling off",
                       .grows = ip6 ? 40u : 20u,
                       .everybody = false});
    }

    for (const Traffic traffic : {Traffic::tcp4, Traffic::not_ours4}) {
        const bool passes = traffic == Traffic::not_ours4;
        out.push_back({.name = fmt::format("uncounted, {}", passes ? "not ours" : "IPv4 TCP"),
                       .traffic = traffic,
                       .flows = passes ? 10'000u : 100u,
                       .setup = "uncounted",
                       .verdict = passes ? XDP_PASS : XDP_TX,
                       .grows = passes ? 0u : 20u,
                       .everybody = false});
    }
}

std::vector<Scenario> scenarios() {
    std::vector<Scenario> out;
    struct Kind {
        const char* name;
        Traffic traffic;
        std::uint32_t grows;
    };
    for (const Kind& kind :
         {Kind{"IPv4 TCP", Traffic::tcp4, 20}, Kind{"IPv4 UDP", Traffic::udp4, 20},
          Kind{"IPv6 TCP", Traffic::tcp6, 40}}) {
        for (const std::uint64_t flows : {100ull, 10'000ull, 1'000'000ull, 10'000'000ull}) {
            out.push_back({.name = fmt::format("{}, {} flows", kind.name, flows_text(flows)),
                           .traffic = kind.traffic,
                           .flows = flows,
                           .grows = kind.grows});
        }
    }
    out.push_back({.name = "flood SYN", .traffic = Traffic::syn4, .flows = kEveryFlow});
    out.push_back({.name = "flood ACK", .traffic = Traffic::tcp4, .flows = kEveryFlow});
    out.push_back({.name = "flood UDP", .traffic = Traffic::udp4, .flows = kEveryFlow});
    const Scenario not_ours{.name = "not ours",
                            .traffic = Traffic::not_ours4,
                            .flows = 10'000,
                            .verdict = XDP_PASS,
                            .grows = 0};
    out.push_back(not_ours);
    out.push_back(not_ours);
    out.back().name = "not ours, 1,000 VIP prefixes";
    out.back().setup = "prefixes";
    out.back().everybody = false;

    for (const std::uint64_t flows : {100ull, 1ull << 20, 1ull << 22}) {
        out.push_back({.name = fmt::format("marked slots, {} remembered flows", flows_text(flows)),
                       .flows = flows,
                       .setup = "remembers " + flows_text(flows),
                       .everybody = false,
                       .marked = true});
    }

    add_bare(out);

    const auto mode = [&](const char* name, Traffic traffic, std::uint32_t grows) {
        out.push_back({.name = std::string("mode ") + name,
                       .traffic = traffic,
                       .flows = 10'000,
                       .setup = name,
                       .grows = grows,
                       .everybody = false});
    };
    mode("ipip 4in4", Traffic::tcp4, 20);
    mode("ipip 4in6", Traffic::tcp4, 40);
    mode("ipip 6in4", Traffic::tcp6, 20);
    mode("ipip 6in6", Traffic::tcp6, 40);
    mode("gre 4in4", Traffic::tcp4, 24);
    mode("gre 6in6", Traffic::tcp6, 44);
    mode("gue 4in4", Traffic::tcp4, 32);
    mode("gue 4in6", Traffic::tcp4, 52);
    mode("gue 6in6", Traffic::tcp6, 52);
    mode("l2 IPv4", Traffic::tcp4, 0);
    mode("l2 IPv6", Traffic::tcp6, 0);
    return out;
}

/// The configuration of a name: what `mode` above and the scenarios call it.
SluiceSetup setup_of(const std::string& name) {
    SluiceSetup setup;
    if (name == "both") return setup;
    if (name == "prefixes") {
        setup.prefixes = 1000;
        return setup;
    }
    if (name == "sampling off" || name == "uncounted") {
        setup.samples = false;
        setup.counts = name != "uncounted";
        return setup;
    }
    if (name.starts_with("remembers ")) {
        // A load of one half.
        setup.flow_entries = name == "remembers 4 M" ? 2u << 22 : 2u << 20;
        return setup;
    }
    using config::Forward;
    const Forward forward = name.starts_with("gre")   ? Forward::gre
                            : name.starts_with("gue") ? Forward::gue
                            : name.starts_with("l2")  ? Forward::l2
                                                      : Forward::ipip;
    const bool inner6 = name.find(" 6in") != std::string::npos || name == "l2 IPv6";
    const bool outer6 = name.find("in6") != std::string::npos || name == "l2 IPv6";
    setup.ip4 = !inner6;
    setup.ip6 = inner6;
    setup.forward4 = setup.forward6 = forward;
    setup.backend4_is_ip6 = setup.backend6_is_ip6 = outer6;
    return setup;
}

/// What is measured: rounds of one program in one scenario.
struct Series {
    std::vector<double> net;
    std::vector<double> gross;
};

class PacketBench {
 public:
    explicit PacketBench(const PacketOptions& options) : options_(options) {}

    Result<void> measure();
    Json report(std::vector<Asked>& asked) const;

 private:
    struct Lane {
        Scenario scenario;
        std::optional<Driver> driver;
        std::map<std::string, Series> series;
        std::vector<double> own_plain;
        std::vector<double> own_undoing;
    };
    struct Program {
        std::string name;
        int fd = -1;
        bool frags = true;
    };

    Result<void> prepare();
    Result<void> load(unsigned round);
    [[nodiscard]] std::vector<Program> programs_for(const Scenario& scenario) const;
    Result<void> check(Lane& lane, const Program& program);
    Result<void> warm_classic(Lane& lane);
    Result<void> remember(Lane& lane, unsigned round);
    [[nodiscard]] Result<void> check_followed(const Lane& lane) const;
    Result<void> shuffle(Lane& lane, unsigned round);
    Result<void> round(Lane& lane, bool with_classic);
    [[nodiscard]] const Series* find(const std::string& scenario, const std::string& program) const;
    void ask(std::vector<Asked>& asked) const;
    [[nodiscard]] bool wanted(const Scenario& scenario) const {
        return options_.only.empty() ||
               std::any_of(options_.only.begin(), options_.only.end(),
                           [&](const std::string& each) {
                               return scenario.name.find(each) != std::string::npos;
                           });
    }

    const PacketOptions& options_;
    std::map<std::string, SluiceTarget> sluice_;
    UniqueFd flow_table_;
    std::optional<ClassicTarget> classic_;
    std::vector<PinnedTarget> pinned_;
    std::vector<Lane> lanes_;
};

Result<void> PacketBench::prepare() {
    SLC_CHECK(pin_to_cpu(last_cpu()), "packet");
    go_first();
    for (const std::string& argument : options_.pinned) {
        pinned_.push_back(SLC_TRY(PinnedTarget::open(argument), "packet"));
    }
    for (const Scenario& scenario : scenarios()) {
        if (!wanted(scenario)) continue;
        lanes_.emplace_back();
        lanes_.back().scenario = scenario;
    }
    if (lanes_.empty()) {
        return fail(Errc::invalid, fmt::format("no scenario's name contains {}",
                                               fmt::join(options_.only, " or ")));
    }
    if (!options_.classic) return {};
    progress("making the baseline's flow table");
    flow_table_ = SLC_TRY(ClassicTarget::make_flow_table(options_.flow_table), "packet");
    return {};
}

/// All programs anew. Where the kernel happens to put code and counters moves a figure by up to a
/// fifth; a round is one throw of these dice, and the median is over many.
Result<void> PacketBench::load(unsigned round) {
    sluice_.clear();
    for (Lane& lane : lanes_) {
        const Scenario& scenario = lane.scenario;
        progress("loading: " + scenario.name);
        lane.driver = SLC_TRY(Driver::load({scenario.traffic, scenario.flows}), scenario.name);
        SLC_CHECK(shuffle(lane, round), scenario.name);
        if (sluice_.contains(scenario.setup)) continue;
        sluice_.emplace(scenario.setup,
                        SLC_TRY(SluiceTarget::load(setup_of(scenario.setup)), scenario.setup));
    }
    for (PinnedTarget& pinned : pinned_) {
        // A program array takes either kind; which one this is shows by trying.
        pinned.frags = lanes_.front().driver->aim(pinned.program.get(), true).has_value();
    }
    if (options_.classic)
        classic_ = SLC_TRY(ClassicTarget::load(flow_table_.get(), last_cpu()), "packet");
    return {};
}

std::vector<PacketBench::Program> PacketBench::programs_for(const Scenario& scenario) const {
    std::vector<Program> out{{"sluice", sluice_.at(scenario.setup).program(), true}};
    if (!scenario.everybody) return out;
    if (classic_) out.push_back({"classic", classic_->program(), true});
    for (const PinnedTarget& pinned : pinned_) {
        out.push_back({pinned.name, pinned.program.get(), pinned.frags});
    }
    return out;
}

/// A figure of packets that were dropped would look splendid: single packets first, verdict and
/// length of each.
Result<void> PacketBench::check(Lane& lane, const Program& program) {
    SLC_CHECK(lane.driver->aim(program.fd, program.frags), program.name);
    for (int i = 0; i < 64; ++i) {
        const TestRun run = SLC_TRY(lane.driver->run(1), program.name);
        const std::uint32_t len = lane.driver->frame_len() + lane.scenario.grows;
        if (run.verdict != lane.scenario.verdict ||
            (program.name == "sluice" && run.len_out != len)) {
            return fail(Errc::internal,
                        fmt::format("{} in \"{}\": verdict {} and {} bytes, not {} and {}",
                                    program.name, lane.scenario.name, run.verdict, run.len_out,
                                    lane.scenario.verdict, len),
                        "a pinned program must know the benchmark's VIPs: docs/performance.md");
        }
    }
    return {};
}

/// Shows the baseline every flow once, so that it knows them all when it is measured.
Result<void> PacketBench::warm_classic(Lane& lane) {
    const std::uint64_t flows = lane.scenario.flows;
    const bool known = flows != kEveryFlow && lane.scenario.verdict == XDP_TX;
    if (!classic_ || !lane.scenario.everybody || !known) return {};
    progress("showing flows to classic: " + lane.scenario.name);
    SLC_CHECK(classic_->limit_new_flows(false), "warm");
    SLC_CHECK(lane.driver->aim(classic_->program(), true), "warm");
    SLC_CHECK(lane.driver->set_order(0, 1), "warm");
    SLC_CHECK(lane.driver->run(static_cast<std::uint32_t>(flows)), "warm");
    SLC_CHECK(classic_->limit_new_flows(true), "warm");
    return shuffle(lane, 0);
}

/// Lets the flow table remember every flow, as packets of open slots do.
Result<void> PacketBench::remember(Lane& lane, unsigned round) {
    if (!lane.scenario.marked) return {};
    progress("remembering flows: " + lane.scenario.name);
    SluiceTarget& target = sluice_.at(lane.scenario.setup);
    target.flag_slots(SLC_SLOT_MARKED | SLC_SLOT_OPEN);
    SLC_CHECK(lane.driver->aim(target.program(), true), "remember");
    SLC_CHECK(lane.driver->set_order(0, 1), "remember");
    SLC_CHECK(lane.driver->run(static_cast<std::uint32_t>(lane.scenario.flows)), "remember");
    target.flag_slots(SLC_SLOT_MARKED);
    return shuffle(lane, round);
}

/// Flows do not come in the order in which a table has first seen them, where entries that lie side
/// by side would be fetched ahead: steps of about the golden section, prime to all numbers of
/// flows.
Result<void> PacketBench::shuffle(Lane& lane, unsigned round) {
    const std::uint64_t flows = lane.scenario.flows;
    const std::uint64_t stride = flows == kEveryFlow ? 1 : flows * 618 / 1000 | 1;
    std::uint64_t coprime = stride;
    while (std::gcd(coprime, flows) != 1) coprime += 2;
    return lane.driver->set_order(5ull * round * options_.repeat, coprime);
}

Result<void> PacketBench::round(Lane& lane, bool with_classic) {
    const Driver::Cost own = SLC_TRY(lane.driver->own_cost(options_.repeat), lane.scenario.name);
    lane.own_plain.push_back(own.plain);
    lane.own_undoing.push_back(own.undoing);
    for (const Program& program : programs_for(lane.scenario)) {
        if (program.name == "classic" && !with_classic) continue;
        SLC_CHECK(lane.driver->aim(program.fd, program.frags), program.name);
        const TestRun run = SLC_TRY(lane.driver->run(options_.repeat), program.name);
        if (run.verdict != lane.scenario.verdict)
            return fail(Errc::internal, program.name + " in " + lane.scenario.name + ": verdict " +
                                            std::to_string(run.verdict));
        Series& series = lane.series[program.name];
        series.gross.push_back(run.ns);
        const bool moves = lane.scenario.grows != 0 || program.name != "sluice";
        const double cost = moves && lane.scenario.verdict == XDP_TX ? own.undoing : own.plain;
        series.net.push_back(run.ns - cost);
    }
    return {};
}

/// Some flows found no room; that many packets and no more may have gone by the ring.
Result<void> PacketBench::check_followed(const Lane& lane) const {
    if (!lane.scenario.marked) return {};
    const SluiceTarget::Followed followed = sluice_.at(lane.scenario.setup).followed();
    // Each flow missed once, when it was remembered.
    const std::uint64_t missed = followed.misses - std::min(followed.misses, lane.scenario.flows);
    if (missed * 20 <= followed.hits) return {};
    return fail(Errc::internal,
                fmt::format("{} packets were remembered, {} were not", followed.hits, missed));
}

Result<void> PacketBench::measure() {
    SLC_CHECK(prepare(), "packet");
    for (unsigned number = 0; number < options_.rounds; ++number) {
        SLC_CHECK(load(number), "load");
        for (Lane& lane : lanes_) {
            for (const Program& program : programs_for(lane.scenario))
                SLC_CHECK(check(lane, program), "check");
            // Ten million flows would push all others out of the baseline's table: they come last.
            if (number == 0 && lane.scenario.flows < kMany) SLC_CHECK(warm_classic(lane), "warm");
            SLC_CHECK(remember(lane, number), lane.scenario.name);
        }
        for (Lane& lane : lanes_) {
            progress(
                fmt::format("round {} of {}: {}", number + 1, options_.rounds, lane.scenario.name));
            SLC_CHECK(round(lane, lane.scenario.flows != kMany), lane.scenario.name);
            SLC_CHECK(check_followed(lane), lane.scenario.name);
        }
    }
    for (Lane& lane : lanes_) {
        if (!classic_ || !options_.classic_many || lane.scenario.flows != kMany) continue;
        SLC_CHECK(warm_classic(lane), lane.scenario.name);
        for (unsigned i = 0; i < std::min(options_.rounds, 3u); ++i) {
            progress(fmt::format("round {}: {}", i + 1, lane.scenario.name));
            SLC_CHECK(round(lane, true), lane.scenario.name);
        }
    }
    progress("");
    return {};
}

const Series* PacketBench::find(const std::string& scenario, const std::string& program) const {
    for (const Lane& lane : lanes_) {
        if (lane.scenario.name != scenario) continue;
        const auto it = lane.series.find(program);
        if (it != lane.series.end() && !it->second.net.empty()) return &it->second;
    }
    return nullptr;
}

void PacketBench::ask(std::vector<Asked>& asked) const {
    const auto ratio = [&](const std::string& what, const std::string& over,
                           const std::string& over_program, const std::string& under,
                           const std::string& under_program, double limit, bool most) {
        const Series* top = find(over, over_program);
        const Series* bottom = find(under, under_program);
        if (top == nullptr || bottom == nullptr) return;
        const double value = ratio_of(top->net, bottom->net).median;
        asked.push_back(most ? at_most(what, value, limit) : at_least(what, value, limit));
    };
    const std::string few = "IPv4 TCP, 100 flows";
    ratio("IPv4 TCP IPIP, 10 M flows against 100", "IPv4 TCP, 10 M flows", "sluice", few, "sluice",
          1.3, true);
    ratio("classic against Sluice, 100 flows", few, "classic", few, "sluice", 2, false);
    ratio("classic against Sluice, 10 k flows", "IPv4 TCP, 10 k flows", "classic",
          "IPv4 TCP, 10 k flows", "sluice", 3, false);
    ratio("classic against Sluice, 1 M flows", "IPv4 TCP, 1 M flows", "classic",
          "IPv4 TCP, 1 M flows", "sluice", 10, false);
    ratio("SYN flood against steady IPv4 TCP", "flood SYN", "sluice", few, "sluice", 1.3, true);
    ratio("ACK flood against steady IPv4 TCP", "flood ACK", "sluice", few, "sluice", 1.3, true);
    ratio("UDP flood against steady IPv4 UDP", "flood UDP", "sluice", "IPv4 UDP, 100 flows",
          "sluice", 1.3, true);
    // With the sampler: a tap that nobody looks through is not there at all.
    if (const auto *counted = find(few, "sluice"), *bare = find("uncounted, IPv4 TCP", "sluice");
        counted != nullptr && bare != nullptr)
        asked.push_back(at_most("counting and sampling, IPv4 TCP, ns",
                                difference_of(counted->net, bare->net).median, 3));
    if (const Series* series = find("not ours", "sluice"))
        asked.push_back(
            at_most("not ours, no VIP prefixes, ns", spread_of(series->net).median, 10));
    ratio("marked against unmarked slots, 1 M flows", "marked slots, 1 M remembered flows",
          "sluice", "IPv4 TCP, 1 M flows", "sluice", 4, true);
    ratio("marked against unmarked slots, 4 M flows", "marked slots, 4 M remembered flows",
          "sluice", "IPv4 TCP, 1 M flows", "sluice", 6, true);
    ratio("IPv6 against IPv4, 100 flows", "IPv6 TCP, 100 flows", "sluice", few, "sluice", 1.3,
          true);
}

Json PacketBench::report(std::vector<Asked>& asked) const {
    std::vector<std::string> header{"ns a packet, net", "wrapper", "sluice"};
    if (classic_) header.emplace_back("classic");
    for (const PinnedTarget& pinned : pinned_) header.push_back(pinned.name);
    Table table(header);
    Json rows = Json::array();
    for (const Lane& lane : lanes_) {
        const Spread own = spread_of(lane.scenario.grows != 0 ? lane.own_undoing : lane.own_plain);
        std::vector<std::string> row{lane.scenario.name, fmt::format("{:.1f}", own.median)};
        Json programs = Json::object();
        for (std::size_t i = 2; i < header.size(); ++i) {
            const Series* series = find(lane.scenario.name, header[i]);
            row.push_back(series == nullptr ? "" : text_of(spread_of(series->net)));
            if (series == nullptr) continue;
            programs[header[i]] = {{"net_ns", to_json(spread_of(series->net))},
                                   {"gross_ns", to_json(spread_of(series->gross))},
                                   {"rounds_net_ns", series->net}};
        }
        table.add(row);
        rows.push_back({{"scenario", lane.scenario.name},
                        {"flows", lane.scenario.flows},
                        {"wrapper_ns", to_json(own)},
                        {"programs", programs}});
    }
    ask(asked);
    fmt::print("net ns per packet: median (min..max) of {} rounds of {} packets, CPU {}\n\n{}\n",
               options_.rounds, options_.repeat, last_cpu(), table.text());
    Json configurations = Json::object();
    for (const auto& [name, target] : sluice_) {
        configurations[name] = {{"instructions", target.instructions()},
                                {"instruction_set", target.instruction_set()}};
    }
    return {{"repeat", options_.repeat},
            {"rounds", options_.rounds},
            {"flow_table", options_.flow_table},
            {"configurations", configurations},
            {"scenarios", rows}};
}

}  // namespace

Result<Json> run_packet(const PacketOptions& options, std::vector<Asked>& asked) {
    PacketBench bench(options);
    SLC_CHECK(bench.measure(), "packet");
    return bench.report(asked);
}

}  // namespace sluice::bench
