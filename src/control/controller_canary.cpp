// SPDX-License-Identifier: Apache-2.0

/// A generation that takes a part of the packets first: those of an interface, or of a stable share
/// of clients. Both have tables of their own; flows are remembered in the one table of the node.
///
/// While it runs, its transitions stay open, so that each of its connections in a slot that differs
/// is remembered. Then going on and going back are the same thing: whoever takes over marks those
/// slots, asks the table, and sends what nobody remembers where the other one would have sent it.

#include <algorithm>
#include <atomic>
#include <tuple>

#include "base/log.h"
#include "control/controller.h"
#include "kernel/grace_period.h"
#include "plan/fallback.h"

namespace sluice::control {
namespace {

std::uint64_t load(std::uint64_t& word) {
    return std::atomic_ref(word).load();
}

struct RingPair {
    std::span<std::uint64_t> live;
    std::span<std::uint64_t> canary;
};

/// Rings of the same group and way of balancing in both.
std::vector<RingPair> pairs_of(Loaded& live, Loaded& canary) {
    std::map<std::pair<std::string, config::Balance>, const plan::ImageRing*> by_name;
    for (const auto& ring : live.image.ring_list)
        if (!ring.empty)
            by_name.emplace(std::pair(live.config.groups[ring.group].name, ring.balance), &ring);
    std::vector<RingPair> out;
    for (const auto& ring : canary.image.ring_list) {
        if (ring.empty) continue;
        const auto found =
            by_name.find(std::pair(canary.config.groups[ring.group].name, ring.balance));
        if (found != by_name.end())
            out.push_back(
                {slots_of(*live.generation, *found->second), slots_of(*canary.generation, ring)});
    }
    return out;
}

/// Of all services: handled, and the part of it that was dropped.
std::pair<std::uint64_t, std::uint64_t> packets_of(const kernel::CounterTotals& totals) {
    std::pair<std::uint64_t, std::uint64_t> out;
    for (const auto& each : totals.services) {
        out.first += each.packets;
        out.second += each.dropped_packets;
    }
    return out;
}

}  // namespace

Result<ApplyReport> Controller::begin_canary(Candidate candidate, const ApplyRequest& request,
                                             Clock::time_point began) {
    ApplyReport out;
    const auto refuse = [&](Error error) {
        discard(candidate);
        return fail(std::move(error));
    };
    if (!live_) return refuse(make_error(Errc::conflict, "there is nothing to compare it with"));
    if (capture_)
        return refuse(make_error(Errc::conflict, "a capture is under way",
                                 "it looks where a canary's packets are told apart: end it first"));
    if (made_flow_table_ || state_->flows().leaving())
        return refuse(make_error(Errc::conflict, "a canary needs the flow table as it is",
                                 "apply the change of its size or of lifetimes to all first"));
    if (candidate.next.config.node.interfaces != live_->config.node.interfaces)
        return refuse(make_error(Errc::conflict, "a canary cannot change interfaces",
                                 "change them with sluice config apply first"));
    auto number = begin(request, candidate, 0);
    if (!number) return refuse(std::move(number).error());
    Loaded next = std::move(candidate.next);
    next.number = *number;
    next.pinned = std::max(next.pinned, *number);
    const auto start = [&]() -> Result<void> {
        SLC_CHECK(admit_members(next), "canary");
        SLC_CHECK(join_ids(next), "ids");
        SLC_CHECK(save_ids(next.ids), "keep ids");
        SLC_CHECK(instance_->keep(*next.generation, next.pinned, meta_of(next)), "keep");
        kernel::CanaryTraffic traffic;
        traffic.interfaces = request.canary->interfaces;
        if (traffic.interfaces.empty()) traffic.share = request.canary->share;
        next.changes.emplace(next.scene(overrides()), now(), &*live_->changes, next.before);
        next.changes->hold_open();
        take_over_refusals(next, *live_);
        take_over_accounts(next, *live_);
        next.changes->aim_at(next.scene(overrides()), next.wanted, now());
        // What was counted while its programs were verified is not its time.
        SLC_CHECK(state_->open_canary(live_->generation->map_fd("slc_reason_counters")), "count");
        auto begun = instance_->begin_canary(*next.generation, traffic);
        if (!begun) (void)instance_->drop(next.pinned);
        return begun;
    };
    if (auto done = start(); !done) {
        (void)history_->finish(*number, history::Outcome::refused, "program", done.error().what);
        return refuse(std::move(done).error());
    }
    hand_over_counts(next.ids);
    state_->keep_fit();
    live_->ids = next.ids;
    RunningCanary running;
    running.loaded = std::move(next);
    running.what = *request.canary;
    running.since = wall_now();
    canary_ = std::move(running);
    sweep_.keep_unknown(true);
    watch_all();
    follow_health();
    note_finish(*number, history::Outcome::canary, "program");
    out.plan = std::move(candidate.report);
    out.generation = *number;
    out.outcome = history::Outcome::canary;
    effect_ = Clock::now();
    note_total(out, began);
    log_event(LogLevel::info, "canary.begun",
              {{"generation", std::to_string(*number)}, {"author", request.author}});
    return out;
}

/// Names that only the generation in force has keep their ids beside the canary's own.
Result<void> Controller::join_ids(Loaded& next) const {
    const auto join = [](plan::IdSpace& into, const plan::IdSpace& from) -> Result<void> {
        for (const auto& [name, id] : from.names()) (void)SLC_TRY(into.assign(name), name);
        return {};
    };
    SLC_CHECK(join(next.ids.services, live_->ids.services), "services");
    SLC_CHECK(join(next.ids.members, live_->ids.members), "backends");
    SLC_CHECK(join(next.ids.customers, live_->ids.customers), "customers");
    return join(next.ids.policies, live_->ids.policies);
}

/// Flows of the canary may name backends that the generation in force does not have: it knows them
/// as retired ones, so that nobody takes what is remembered for them as void.
Result<void> Controller::admit_members(const Loaded& from) {
    std::map<std::string, std::size_t> groups;
    std::vector<std::uint32_t> variants(live_->config.groups.size());
    const plan::Fallbacks fallbacks(live_->config);
    for (std::size_t g = 0; g < live_->config.groups.size(); ++g)
        groups.emplace(live_->config.groups[g].name, g);
    for (const auto& member : live_->image.members) variants[member.group] |= member.variants;
    for (const auto& member : from.image.members) {
        const auto group = groups.find(from.config.groups[member.group].name);
        if (group == groups.end()) continue;
        const auto& own = live_->image.members;
        const bool known = std::any_of(own.begin(), own.end(),
                                       [&](const auto& each) { return each.id == member.id; });
        if (known) continue;
        plan::ImageMember guest = member;
        guest.group = group->second;
        guest.backend = plan::kRetired;
        guest.family = fallbacks.last_of(guest.group);
        guest.variants = variants[guest.group] != 0 ? variants[guest.group] : member.variants;
        SLC_CHECK(live_->generation->set_member(guest.id, plan::member_record(guest)),
                  member.address.text());
        live_->image.members.push_back(guest);
        live_->index_members();
        const auto hop = from.hops.find(member.address);
        SLC_CHECK(
            write_hop(*live_, member.address,
                      hop != from.hops.end() ? hop->second : network_->resolve(member.address)),
            member.address.text());
    }
    return {};
}

void Controller::step_canary(plan::Instant at) {
    if (!canary_) return;
    Loaded& loaded = canary_->loaded;
    loaded.changes->step(loaded.scene(overrides()), at);
    // Flows are counted once, by what the generation in force knows of groups.
    const auto accounts = live_->generation->accounts();
    for (std::size_t g = 0; g < loaded.config.groups.size(); ++g)
        for (std::size_t own = 0; own < live_->config.groups.size(); ++own)
            if (live_->config.groups[own].name == loaded.config.groups[g].name) {
                const std::uint64_t used = std::atomic_ref(accounts[own + 1].used).load();
                std::atomic_ref(loaded.generation->accounts()[g + 1].used).store(used);
            }
}

/// What the canary's clients have is remembered wherever its slots were marked: the generation in
/// force asks for it there, and for the rest decides as it always has.
void Controller::withdraw_slots() {
    for (const RingPair& pair : pairs_of(*live_, canary_->loaded)) {
        const std::size_t mask = pair.live.size() - 1;
        for (std::size_t i = 0; i < pair.canary.size(); ++i)
            if ((load(pair.canary[i]) & SLC_SLOT_MARKED) != 0)
                std::atomic_ref(pair.live[i & mask]).fetch_or(SLC_SLOT_MARKED);
    }
    live_->changes->adopt_marks(now());
}

/// What nobody remembers goes where the generation in force would have sent it.
void Controller::promote_slots() {
    for (const RingPair& pair : pairs_of(*live_, canary_->loaded)) {
        const std::size_t mask = pair.live.size() - 1;
        for (std::size_t i = 0; i < pair.canary.size(); ++i) {
            const std::uint64_t theirs = load(pair.live[i & mask]);
            const std::uint32_t old = (theirs & SLC_SLOT_OPEN) != 0 ? SLC_SLOT_PREVIOUS(theirs)
                                                                    : SLC_SLOT_CURRENT(theirs);
            std::atomic_ref word(pair.canary[i]);
            std::uint64_t own = word.load();
            std::uint64_t wanted = 0;
            do {
                const bool differs = SLC_SLOT_CURRENT(own) != old;
                const std::uint64_t flags = own >> 40 << 40;
                if (!differs && ((own | theirs) & SLC_SLOT_MARKED) == 0) break;
                wanted = SLC_SLOT_MAKE(SLC_SLOT_CURRENT(own), old,
                                       flags | SLC_SLOT_MARKED | (differs ? SLC_SLOT_OPEN : 0));
                if (!differs) wanted &= ~SLC_SLOT_OPEN;
            } while (!word.compare_exchange_weak(own, wanted));
        }
    }
}

Result<ApplyReport> Controller::end_canary(bool promote_it) {
    if (!canary_)
        return fail(Errc::not_found, "no canary runs", "sluice config apply --canary begins one");
    const auto began = Clock::now();
    ApplyReport out;
    out.generation = canary_->loaded.number;
    out.outcome = promote_it ? history::Outcome::in_force : history::Outcome::withdrawn;
    out.plan.base = live_->number;
    out.plan.digest = canary_->loaded.digest;
    out.plan.road = plan::Road::program;
    SLC_CHECK(promote_it ? promote() : withdraw(), promote_it ? "promote" : "back");
    note_total(out, began);
    log_event(LogLevel::info, promote_it ? "canary.promoted" : "canary.withdrawn",
              {{"generation", std::to_string(out.generation)}});
    return out;
}

Result<void> Controller::withdraw() {
    withdraw_slots();
    SLC_CHECK(instance_->end_canary(), "end");
    effect_ = Clock::now();
    (void)kernel::wait_for_packets();
    const std::uint32_t number = canary_->loaded.number;
    const std::uint32_t pinned = canary_->loaded.pinned;
    canary_.reset();
    sweep_.keep_unknown(false);
    drop_generation(pinned);
    sweep_.restart();
    watch_all();
    follow_health();
    note_finish(number, history::Outcome::withdrawn, {});
    return {};
}

/// Slots, one swap, and the links go back to the plain root.
Result<void> Controller::promote() {
    Loaded& loaded = canary_->loaded;
    const std::uint32_t number = loaded.number;
    promote_slots();
    SLC_CHECK(instance_->swap_to(*loaded.generation), "swap");
    if (auto ended = instance_->end_canary(); !ended) {
        // The slots serve both: each asks the table wherever the other may have decided.
        (void)instance_->swap_to(*live_->generation);
        return ended;
    }
    effect_ = Clock::now();
    (void)kernel::wait_for_packets();
    Loaded next = std::move(loaded);
    canary_.reset();
    sweep_.keep_unknown(false);
    next.attachments = live_->attachments;
    next.since = now();
    // From what the slots say now: every window begins anew, for all.
    next.changes.emplace(next.scene(overrides()), now(), nullptr, plan::LiveRings{});
    next.changes->aim(next.scene(overrides()), now());
    retain_live();
    live_ = std::move(next);
    sweep_.restart();
    trim_retained();
    forget_orders();
    watch_all();
    follow_health();
    note_finish(number, history::Outcome::in_force, "program");
    return {};
}

std::optional<CanaryStatus> Controller::canary() {
    if (!canary_) return std::nullopt;
    CanaryStatus out;
    out.generation = canary_->loaded.number;
    out.what = canary_->what;
    out.since = canary_->since;
    std::tie(out.packets, out.dropped_packets) = packets_of(state_->canary_totals());
    std::tie(out.other_packets, out.other_dropped_packets) = packets_of(state_->other_totals());
    return out;
}

/// Orders and failures hold for both.
void Controller::aim_canary(const std::string& group) {
    if (!canary_) return;
    Loaded& loaded = canary_->loaded;
    for (std::size_t g = 0; g < loaded.config.groups.size(); ++g)
        if (group.empty() || loaded.config.groups[g].name == group)
            loaded.changes->aim(loaded.scene(overrides()), now(), g);
}

}  // namespace sluice::control
