// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/model/history.h"

#include <algorithm>
#include <sstream>

#include "tests/unit/model/player.h"

namespace sluice::model {
namespace {

constexpr std::array kOrderNames{"drain",    "ready", "maint", "down",  "weight", "remove",
                                 "add_back", "add",   "undo",  "grow",  "shrink", "swap",
                                 "resize",   "kill",  "start", "flood", "limit"};

config::Lifetimes random_lifetimes(Random& random) {
    config::Lifetimes out;
    out.embryonic = std::chrono::seconds(random.between(64, 80));
    out.established = std::chrono::seconds(random.between(1, random.chance(20) ? 3 : 40));
    out.closing = std::chrono::seconds(random.between(2, 15));
    out.udp = std::chrono::seconds(random.between(2, 20));
    return out;
}

std::vector<Service> random_services(Random& random, std::uint32_t groups) {
    std::vector<Service> out;
    for (std::uint32_t group = 1; group <= groups; ++group) {
        const std::int64_t count = random.between(1, 3);
        for (std::int64_t i = 0; i < count; ++i) {
            Service service;
            service.group = group;
            service.udp = random.chance(30);
            service.shared = random.chance(20);
            service.always = random.chance(25);
            service.lifetimes = random_lifetimes(random);
            out.push_back(service);
        }
    }
    return out;
}

plan::FlowGeometry geometry_for(const std::vector<Service>& services, std::uint32_t log2) {
    config::Config config;
    config.node.flow_entries = SLC_FLOW_WAYS << log2;
    for (const Service& service : services) {
        config::Service configured;
        configured.lifetimes = service.lifetimes;
        config.services.push_back(configured);
    }
    return plan::flow_geometry(config);
}

Setup random_setup(Random& random, std::uint64_t seed) {
    Setup out;
    out.seed = seed;
    out.groups = random.chance(30) ? 2 : 1;
    out.services = random_services(random, out.groups);
    out.backends = static_cast<std::uint32_t>(random.between(1, 6));
    out.ring_log2 = static_cast<std::uint32_t>(random.between(1, 6));
    out.rendezvous = random.chance(40);
    out.keeps_failed = random.chance(20);
    out.geometry = geometry_for(out.services, static_cast<std::uint32_t>(random.between(6, 8)));
    if (random.chance(30)) out.share_percent = static_cast<std::uint32_t>(random.between(1, 50));
    if (random.chance(40))
        out.ceiling_percent =
            static_cast<std::uint32_t>(random.between(std::max(2u, out.share_percent), 100));
    out.traffic.first_connections = static_cast<std::uint32_t>(random.between(2, 40));
    out.traffic.opening_gap_ms = static_cast<std::uint32_t>(random.between(200, 2000));
    constexpr std::array<std::uint32_t, 4> kDelays{5, 100, 500, 2000};
    out.traffic.delay_ms = kDelays[random.below(kDelays.size())];
    out.traffic.loss_percent = random.chance(50) ? static_cast<std::uint32_t>(random.below(12)) : 0;
    out.traffic.longest_s = static_cast<std::uint32_t>(random.between(10, 200));
    out.traffic.reuse_percent = static_cast<std::uint32_t>(random.below(90));
    out.times.step = Instant(random.between(20, 700));
    out.times.sweep_pause = Instant(random.between(50, 3000));
    out.times.sweep_step = Instant(random.between(1, 100));
    out.lasting_flood = random.chance(8);
    return out;
}

Order random_order(Random& random) {
    struct Share {
        Order order;
        std::uint32_t weight;
    };
    static constexpr std::array kShares{
        Share{Order::drain, 14},   Share{Order::ready, 12},  Share{Order::maint, 4},
        Share{Order::down, 7},     Share{Order::weight, 12}, Share{Order::remove, 7},
        Share{Order::add_back, 8}, Share{Order::add, 4},     Share{Order::undo, 14},
        Share{Order::grow, 5},     Share{Order::shrink, 5},  Share{Order::swap, 5},
        Share{Order::resize, 5},   Share{Order::kill, 4},    Share{Order::flood, 9},
        Share{Order::limit, 2}};
    std::uint64_t at = random.below(117);
    for (const Share& share : kShares) {
        if (at < share.weight) return share.order;
        at -= share.weight;
    }
    return Order::undo;
}

}  // namespace

const char* name_of(Order order) {
    return kOrderNames[static_cast<std::size_t>(order)];
}

History random_history(std::uint64_t seed) {
    Random random(seed * 0x2545f4914f6cdd1dull + 1);
    History out;
    out.setup = random_setup(random, seed);
    const std::int64_t orders = random.between(1, 24);
    const std::int64_t gap_ms = random.chance(50) ? 4000 : 25'000;
    Instant at{random.between(500, 20'000)};
    const bool has_deadlines = random.chance(25);
    for (std::int64_t i = 0; i < orders; ++i) {
        Action action;
        action.at = at;
        action.order = random_order(random);
        action.a = static_cast<std::uint32_t>(random.next());
        action.b = static_cast<std::uint32_t>(random.next());
        if (has_deadlines && random.chance(40))
            action.deadline_ms = static_cast<std::uint32_t>(random.between(1, 60'000));
        out.actions.push_back(action);
        if (action.order == Order::kill) {
            // Now and then for so long that ages in the table wrap.
            const std::int64_t away = random.between(10, random.chance(40) ? 150'000 : 5000);
            out.actions.push_back({at + Instant(away), Order::start, 0, 0, 0});
        }
        // Often in a burst: changes overlap.
        at += Instant(random.between(0, random.chance(30) ? 500 : gap_ms));
    }
    std::stable_sort(out.actions.begin(), out.actions.end(),
                     [](const Action& left, const Action& right) { return left.at < right.at; });
    return out;
}

void Outcome::add(const Outcome& other) {
    traffic.established += other.traffic.established;
    traffic.ended += other.traffic.ended;
    traffic.resent_syns += other.traffic.resent_syns;
    traffic.checked += other.traffic.checked;
    traffic.excuses.gone += other.traffic.excuses.gone;
    traffic.excuses.overdue += other.traffic.excuses.overdue;
    traffic.excuses.silent += other.traffic.excuses.silent;
    traffic.excuses.late_syn += other.traffic.excuses.late_syn;
    traffic.excuses.forged_syn += other.traffic.excuses.forged_syn;
    flows.packets += other.flows.packets;
    flows.asked += other.flows.asked;
    flows.hits += other.flows.hits;
    flows.inserts += other.flows.inserts;
    flows.refused += other.flows.refused;
    flows.held += other.flows.held;
    cut += other.cut;
    forgotten += other.forgotten;
    forged += other.forged;
    flooded += other.flooded;
}

Outcome play(const History& history) {
    return Player(history).run();
}

History shrunk(const History& history) {
    History best = history;
    for (std::size_t size = best.actions.size(); size > 0;) {
        bool smaller = false;
        for (std::size_t from = 0; from < best.actions.size();) {
            History tried = best;
            const auto first = tried.actions.begin() + static_cast<long>(from);
            const auto last = tried.actions.begin() +
                              static_cast<long>(std::min(from + size, tried.actions.size()));
            tried.actions.erase(first, last);
            if (play(tried).broken) {
                best = tried;
                smaller = true;
            } else {
                from += size;
            }
        }
        if (!smaller) size /= 2;
    }
    return best;
}

std::string text_of(const History& history) {
    const Setup& setup = history.setup;
    std::ostringstream out;
    out << "seed " << setup.seed << ": " << setup.groups << " groups of " << setup.backends
        << " backends, ring 2^" << setup.ring_log2 << (setup.rendezvous ? " rendezvous" : " maglev")
        << ", table 2^" << int{setup.geometry.log2} << " buckets, tick 2^"
        << int{setup.geometry.shift} << " ns, share " << setup.share_percent << " %, ceiling "
        << setup.ceiling_percent << " %, delay " << setup.traffic.delay_ms << " ms, loss "
        << setup.traffic.loss_percent << " %, step " << setup.times.step.count() << " ms, sweep "
        << setup.times.sweep_pause.count() << " ms"
        << (setup.lasting_flood ? ", lasting flood" : "") << "\n";
    for (const Service& service : setup.services)
        out << "  service on group " << service.group << (service.udp ? ", udp" : ", tcp")
            << (service.shared ? ", source affinity" : "") << (service.always ? ", always" : "")
            << ", embryonic " << service.lifetimes.embryonic.count() << " s, established "
            << service.lifetimes.established.count() << " s, closing "
            << service.lifetimes.closing.count() << " s, udp " << service.lifetimes.udp.count()
            << " s\n";
    for (const Action& action : history.actions) {
        out << "  " << action.at.count() << " ms: " << name_of(action.order) << " " << action.a
            << " " << action.b;
        if (action.deadline_ms > 0) out << ", deadline " << action.deadline_ms << " ms";
        out << "\n";
    }
    return out.str();
}

}  // namespace sluice::model
