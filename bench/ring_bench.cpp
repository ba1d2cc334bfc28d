// SPDX-License-Identifier: Apache-2.0
#include "bench/ring_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "plan/ring.h"
#include "plan/ring_math.h"

namespace sluice::bench {
namespace {

using Members = std::vector<plan::RingMember>;
using Builder = std::vector<std::uint32_t> (*)(std::span<const plan::RingMember>, std::uint32_t);
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// No two groups share a member. Weights are all 1, or 1..100.
Members members_of(unsigned group, unsigned backends, bool weighted) {
    Members members;
    for (unsigned i = 0; i < backends; ++i) {
        const std::uint64_t key = std::uint64_t{group} * 1'000'003 + i;
        const std::uint32_t weight =
            weighted ? static_cast<std::uint32_t>(1 + key * 2'654'435'761u % 100) : 1;
        members.push_back({key, i + 1, weight});
    }
    return members;
}

struct Figures {
    std::vector<double> all_ms;     ///< Every group once.
    std::vector<double> change_ms;  ///< One ring again, one backend changed.
    std::vector<double> yardstick_ms;
    std::uint64_t slots = 0;
    std::uint64_t sum = 0;  ///< Of what was built, so that it was built.
};

/// A fixed piece of arithmetic: what the gate holds rings against, whatever the machine's mood.
double time_yardstick(std::uint64_t& sum) {
    const auto start = Clock::now();
    for (int i = 0; i < 20'000'000; ++i) sum = plan::ring_math::spread(sum + 1);
    return ms_since(start);
}

Figures measure(Builder build, const RingOptions& options, bool weighted) {
    Figures out;
    for (unsigned round = 0; round < options.rounds; ++round) {
        std::vector<Members> groups;
        for (unsigned g = 0; g < options.groups; ++g) {
            groups.push_back(members_of(round * options.groups + g, options.backends, weighted));
        }
        out.slots = 0;
        const auto start = Clock::now();
        for (const Members& members : groups) {
            const auto ring = build(members, plan::ring_log2(members));
            out.slots += ring.size();
            out.sum += ring[ring.size() / 2];
        }
        out.all_ms.push_back(ms_since(start));
        out.yardstick_ms.push_back(time_yardstick(out.sum));
        for (std::size_t i = 0; i < groups.size(); i += groups.size() / 20 + 1) {
            groups[i][i % groups[i].size()].key ^= 1ull << 40;
            const auto change = Clock::now();
            const auto ring = build(groups[i], plan::ring_log2(groups[i]));
            out.change_ms.push_back(ms_since(change));
            out.sum += ring[0];
        }
    }
    return out;
}

/// A change of one backend, and the share of the ring that must move for it.
struct Change {
    const char* name;
    double (*ideal)(double backends);
};
constexpr Change kChanges[] = {
    {"one removed", [](double backends) { return 1 / backends; }},
    {"one added", [](double backends) { return 1 / (backends + 1); }},
    {"weight of one +25 %",
     [](double backends) { return 1.25 / (backends + 0.25) - 1 / backends; }},
};

/// Shares of a ring's slots, mean over many groups.
struct Disruption {
    double moved = 0;
    double needless = 0;  ///< Neither from nor to the backend that changed.
};

Disruption disrupt(Builder build, unsigned backends, const std::string& change, unsigned groups) {
    Disruption out;
    for (unsigned group = 0; group < groups; ++group) {
        Members before = members_of(group, backends, false);
        for (plan::RingMember& member : before) member.weight = 100;
        Members after = before;
        std::uint32_t changed = before[group % backends].member;
        if (change == "one removed") {
            after.erase(after.begin() + group % backends);
        } else if (change == "one added") {
            changed = backends + 1;
            after.push_back({std::uint64_t{1} << 40 | group, changed, 100});
        } else {
            after[group % backends].weight = 125;
        }
        const std::uint32_t log2 = std::max(plan::ring_log2(before), plan::ring_log2(after));
        const auto from = build(before, log2);
        const auto to = build(after, log2);
        for (std::size_t slot = 0; slot < from.size(); ++slot) {
            if (from[slot] == to[slot]) continue;
            out.moved += 1.0 / static_cast<double>(from.size() * groups);
            if (from[slot] != changed && to[slot] != changed)
                out.needless += 1.0 / static_cast<double>(from.size() * groups);
        }
    }
    return out;
}

/// What a change of one backend does to connections, each of which has a slot.
nlohmann::json report_disruption(unsigned backends, std::vector<Asked>& asked) {
    constexpr unsigned kGroups = 100;
    Table table({"share of slots, %", "change", "must move", "moves", "needlessly"});
    nlohmann::json rows = nlohmann::json::array();
    double worst_rendezvous = 0;
    for (const auto& [name, build] :
         {std::pair<const char*, Builder>{"maglev", plan::build_maglev},
          std::pair<const char*, Builder>{"rendezvous", plan::build_rendezvous}}) {
        for (const Change& change : kChanges) {
            const Disruption found = disrupt(build, backends, change.name, kGroups);
            const double ideal = change.ideal(backends);
            table.add({name, change.name, fmt::format("{:.3f}", 100 * ideal),
                       fmt::format("{:.3f}", 100 * found.moved),
                       fmt::format("{:.3f}", 100 * found.needless)});
            rows.push_back({{"ring", name},
                            {"change", change.name},
                            {"ideal", ideal},
                            {"moved", found.moved},
                            {"needless", found.needless}});
            if (build == plan::build_rendezvous)
                worst_rendezvous = std::max(worst_rendezvous, found.needless);
        }
    }
    fmt::print("one change in a group of {}, mean of {} groups\n\n{}\n", backends, kGroups,
               table.text());
    asked.push_back(at_most("needless moves, rendezvous, % of slots", 100 * worst_rendezvous, 0));
    return rows;
}

}  // namespace

Result<nlohmann::json> run_ring(const RingOptions& options, std::vector<Asked>& asked) {
    struct Kind {
        const char* name;
        Builder build;
        bool weighted;
    };
    constexpr Kind kKinds[] = {
        {"maglev", plan::build_maglev, false},
        {"maglev, weights 1..100", plan::build_maglev, true},
        {"rendezvous", plan::build_rendezvous, false},
        {"rendezvous, weights 1..100", plan::build_rendezvous, true},
    };
    // A ring with a backend of weight 1 among heavy ones has sixteen times the slots: sampled.
    constexpr unsigned kWeightedShare = 20;
    Table table({"ring", "groups", "slots each", "all groups, ms", "one backend changed, ms"});
    nlohmann::json rows = nlohmann::json::array();
    for (const Kind& kind : kKinds) {
        progress(fmt::format("ring: {}", kind.name));
        RingOptions sized = options;
        if (kind.weighted) sized.groups = std::max(1u, options.groups / kWeightedShare);
        const Figures figures = measure(kind.build, sized, kind.weighted);
        const Spread all = spread_of(figures.all_ms);
        const Spread change = spread_of(figures.change_ms);
        const std::uint64_t slots = figures.slots / sized.groups;
        table.add({kind.name, std::to_string(sized.groups), std::to_string(slots), text_of(all),
                   text_of(change, 3)});
        rows.push_back({{"ring", kind.name},
                        {"groups", sized.groups},
                        {"backends", options.backends},
                        {"slots_mean", slots},
                        {"all_groups_ms", to_json(all)},
                        {"one_change_ms", to_json(change)},
                        {"rounds_all_ms", figures.all_ms},
                        {"rounds_yardstick_ms", figures.yardstick_ms},
                        {"checksum", figures.sum}});
        if (kind.build == plan::build_maglev && !kind.weighted) {
            asked.push_back(
                at_most(fmt::format("{} groups of {} backends, all different, Maglev, s",
                                    options.groups, options.backends),
                        all.median / 1000, 1.0));
            asked.push_back(
                at_most("changing one backend (its ring anew), ms", change.median, 2.0));
        }
    }
    progress("");
    fmt::print("groups of {} backends, all different; one thread\n\n{}\n", options.backends,
               table.text());
    return nlohmann::json{{"rings", rows},
                          {"disruption", report_disruption(options.backends, asked)}};
}

}  // namespace sluice::bench
