// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/model/control.h"

#include <algorithm>
#include <utility>

#include "sluice/hash.h"

namespace sluice::model {
namespace {

using config::BackendState;

bool is_void(const Group& group, const Backend& backend) {
    return backend.state == BackendState::maint ||
           (backend.state == BackendState::down && group.on_down == config::OnDown::replace);
}

plan::RingRole role_of(const Group& group, const Backend& backend) {
    if (is_void(group, backend)) return plan::RingRole::replaced;
    return backend.state == BackendState::ready ? plan::RingRole::owns : plan::RingRole::leaves;
}

}  // namespace

Control::Control(DataPlane& plane, ControlTimes times)
    : plane_(plane),
      times_(times),
      groups_(plane.rings.size()),
      servers_(1),
      longest_tick_(std::chrono::ceil<Instant>(plane.table.geometry.tick())) {}

std::uint32_t Control::new_member(std::uint32_t group, std::uint32_t server) {
    std::uint32_t id = static_cast<std::uint32_t>(plane_.members.size());
    if (free_ids_.empty()) {
        plane_.members.emplace_back();
    } else {
        id = free_ids_.back();
        free_ids_.pop_back();
    }
    plane_.members[id] = {group, false, server};
    return id;
}

void Control::add_backend(std::uint32_t group, std::uint32_t weight) {
    const auto server = static_cast<std::uint32_t>(servers_.size());
    servers_.push_back({0x0a000000u + server, true, 0});
    Backend backend;
    backend.server = server;
    backend.weight = weight;
    backend.member = new_member(group, server);
    groups_[group].backends.push_back(backend);
}

/// A failure kills the server at once, whatever the daemon knows of it.
void Control::set_state(std::uint32_t group, std::uint32_t index, BackendState state) {
    Backend& backend = groups_[group].backends[index];
    Server& server = servers_[backend.server];
    const bool lives = state == BackendState::ready || state == BackendState::drain;
    if (server.is_alive != lives) ++server.lives;
    server.is_alive = lives;
    backend.state = state;
}

void Control::set_weight(std::uint32_t group, std::uint32_t index, std::uint32_t weight) {
    groups_[group].backends[index].weight = weight;
}

void Control::remove_backend(std::uint32_t group, std::uint32_t index) {
    Group& of = groups_[group];
    of.backends[index].unnamed_when_swept = false;
    of.retired.push_back(of.backends[index]);
    of.backends.erase(of.backends.begin() + index);
}

bool Control::add_back(std::uint32_t group, std::uint32_t index) {
    Group& of = groups_[group];
    if (of.retired.empty()) return false;
    const auto at = of.retired.begin() + index % static_cast<std::uint32_t>(of.retired.size());
    of.backends.push_back(*at);
    of.retired.erase(at);
    set_state(group, static_cast<std::uint32_t>(of.backends.size() - 1), BackendState::ready);
    return true;
}

void Control::want_size(std::uint32_t group, std::uint32_t log2) {
    groups_[group].wanted_log2 = log2;
}

void Control::apply(std::uint32_t group, Instant now, Instant deadline) {
    if (running_) aim(group, now, deadline);
}

void Control::aim(std::uint32_t number, Instant now, Instant deadline) {
    Group& group = groups_[number];
    Ring& ring = plane_.rings[number];
    set_down(group);
    if (times_.fault == Fault::moves_unprepared) group.times.tracked = false;
    group.transition->set_times(group.times);
    if (group.wanted_log2 > ring.log2) grow(number, group.wanted_log2);
    std::vector<plan::RingCandidate> candidates;
    for (const Backend& backend : group.backends)
        candidates.push_back({{servers_[backend.server].key, backend.member, backend.weight},
                              role_of(group, backend)});
    const auto owners = plan::build_owners(candidates, group.kind, group.wanted_log2);
    group.owners.resize(ring.words.size());
    for (std::size_t i = 0; i < group.owners.size(); ++i)
        group.owners[i] = owners[i & (owners.size() - 1)];
    group.transition->aim(
        group.owners, [this](std::uint32_t member) { return plane_.members[member].down; }, now,
        deadline);
}

void Control::set_down(Group& group) {
    for (const Backend& backend : group.backends) {
        Member& member = plane_.members[backend.member];
        const bool down = is_void(group, backend);
        if (member.down && !down && times_.fault != Fault::keeps_failed)
            free_all_of(backend.member);
        member.down = down;
    }
}

void Control::free_all_of(std::uint32_t member) {
    const auto walk = [&](Table& table) {
        for (slc_flow_bucket& bucket : table.buckets)
            for (slc_u64& place : bucket.entry)
                if (SLC_FLOW_MEMBER_OF(place) == member) plane_.free_entry(place);
    };
    walk(plane_.table);
    if (plane_.old) walk(*plane_.old);
}

void Control::limit(std::uint32_t group, Instant deadline) {
    if (!running_) return;
    for (const Backend& backend : groups_[group].backends)
        groups_[group].transition->limit(backend.member, deadline);
    for (const Backend& backend : groups_[group].retired)
        groups_[group].transition->limit(backend.member, deadline);
}

void Control::swap_generation(std::uint32_t group) {
    if (running_) grow(group, plane_.rings[group].log2);
}

void Control::grow(std::uint32_t number, std::uint32_t log2) {
    Ring& ring = plane_.rings[number];
    Group& group = groups_[number];
    Ring next{plan::grown(ring.words, log2), log2};
    plan::RingTransition transition(next.words, group.times, *group.transition);
    ring = std::move(next);
    group.transition.emplace(std::move(transition));
    group.owners.clear();
    sweeping_ = false;
}

void Control::shrink(std::uint32_t number, Instant now) {
    Ring& ring = plane_.rings[number];
    Group& group = groups_[number];
    if (!group.transition->settled() || !plan::can_shrink(ring.words, group.wanted_log2)) return;
    ring.log2 = group.wanted_log2;
    ring.words.resize(std::size_t{1} << ring.log2);
    group.owners.resize(ring.words.size());
    group.transition.emplace(ring.words, group.times, now);
    sweeping_ = false;
}

bool Control::resize_table(plan::FlowGeometry geometry) {
    if (!running_ || plane_.old || geometry == plane_.table.geometry) return false;
    plane_.resize(geometry);
    longest_tick_ = std::max(longest_tick_, std::chrono::ceil<Instant>(geometry.tick()));
    sweeping_ = false;
    return true;
}

void Control::kill() {
    running_ = false;
    sweeping_ = false;
    for (Group& group : groups_) group.transition.reset();
}

void Control::start(Instant now, Instant deadline) {
    running_ = true;
    step_at_ = now + times_.step;
    sweep_at_ = now + times_.sweep_pause;
    for (std::uint32_t g = 1; g < groups_.size(); ++g) {
        Ring& ring = plane_.rings[g];
        if (ring.words.empty()) {
            ring.log2 = groups_[g].wanted_log2;
            ring.words.resize(std::size_t{1} << ring.log2);
        }
        groups_[g].transition.emplace(ring.words, groups_[g].times, now);
        aim(g, now, deadline);
    }
}

void Control::run(Instant now) {
    if (!running_) return;
    if (now >= step_at_) {
        for (std::uint32_t g = 1; g < groups_.size(); ++g) {
            if (times_.fault == Fault::forgets_refusals)
                for (std::uint64_t& word : plane_.rings[g].words) word &= ~SLC_SLOT_REFUSED;
            groups_[g].transition->step(now);
            if (plane_.rings[g].log2 > groups_[g].wanted_log2) shrink(g, now);
        }
        step_at_ = now + times_.step;
    } else if (now >= sweep_at_) {
        sweep_step(now);
    }
}

Instant Control::next_due() const {
    return std::min(step_at_, sweep_at_);
}

void Control::begin_sweep(Instant now) {
    sweeping_ = true;
    sweep_began_ = now;
    swept_ = 0;
    old_at_start_ = plane_.old ? plane_.old->buckets.size() : 0;
    left_in_old_ = 0;
    foreign_.assign(groups_.size(), {});
    for (std::uint32_t g = 1; g < groups_.size(); ++g) {
        foreign_[g].resize(plane_.rings[g].words.size());
        for (Backend& backend : groups_[g].retired)
            backend.unnamed_when_swept = !groups_[g].transition->names(backend.member);
    }
    flows_of_member_.assign(plane_.members.size(), 0);
}

void Control::sweep_step(Instant now) {
    if (!sweeping_) begin_sweep(now);
    const std::size_t all = old_at_start_ + plane_.table.buckets.size();
    const std::size_t current_first =
        times_.fault == Fault::sweeps_current_first ? plane_.table.buckets.size() : 0;
    for (std::uint32_t i = 0; i < times_.sweep_buckets && swept_ < all; ++i, ++swept_) {
        // The table that is being left comes first.
        const std::size_t at = (swept_ + all - current_first) % all;
        if (at < old_at_start_)
            sweep_bucket(*plane_.old, static_cast<std::uint32_t>(at), now);
        else
            sweep_bucket(plane_.table, static_cast<std::uint32_t>(at - old_at_start_), now);
    }
    sweep_at_ = now + (swept_ < all ? times_.sweep_step : times_.sweep_pause);
    if (swept_ == all && times_.fault != Fault::stops_sweeping) end_sweep();
}

void Control::sweep_bucket(Table& table, std::uint32_t bucket, Instant now) {
    const std::uint32_t tick = table.tick(now);
    for (slc_u64& place : table.buckets[bucket].entry) {
        const std::uint32_t member = SLC_FLOW_MEMBER_OF(place);
        if (member == 0) continue;
        const Member& of = plane_.members[member];
        if (slc_flow_is_free(place, tick) || of.group == 0 || of.down)
            plane_.free_entry(place);
        else if (times_.fault != Fault::skips_expired || slc_flow_is_alive(place, tick))
            judge(place, table, bucket);
    }
}

/// Of an entry that stays: is it foreign, is its time over?
void Control::judge(std::uint64_t& place, Table& table, std::uint32_t bucket) {
    const std::uint32_t member = SLC_FLOW_MEMBER_OF(place);
    const std::uint32_t g = plane_.members[member].group;
    const std::uint64_t hash = slc_flow_hash_of(place, bucket, table.geometry.log2);
    const std::uint32_t slot = slc_slot_of(hash, plane_.rings[g].log2);
    if (SLC_SLOT_CURRENT(plane_.rings[g].words[slot]) != member) {
        if (groups_[g].transition->overdue(slot)) {
            plane_.free_entry(place);
            ++cut_;
            return;
        }
        foreign_[g][slot] = true;
    }
    if (member < flows_of_member_.size()) ++flows_of_member_[member];  // Newer than the sweep.
    if (plane_.old && &table == &*plane_.old) ++left_in_old_;
}

void Control::end_sweep() {
    sweeping_ = false;
    for (std::uint32_t g = 1; g < groups_.size(); ++g) {
        groups_[g].transition->swept(foreign_[g], sweep_began_);
        forget_retired(groups_[g]);
    }
    if (old_at_start_ > 0 && left_in_old_ == 0) plane_.old.reset();
}

void Control::forget_retired(Group& group) {
    std::erase_if(group.retired, [&](const Backend& backend) {
        const bool is_named =
            !backend.unnamed_when_swept || group.transition->names(backend.member);
        if (is_named && times_.fault != Fault::forgets_early) return false;
        if (backend.member >= flows_of_member_.size() || flows_of_member_[backend.member] > 0)
            return false;
        plane_.members[backend.member] = {};
        free_ids_.push_back(backend.member);
        ++forgotten_;
        return true;
    });
}

bool Control::settled() const {
    for (std::uint32_t g = 1; g < groups_.size(); ++g)
        if (!groups_[g].transition->settled()) return false;
    return true;
}

bool Control::overdue(std::uint32_t group, std::uint64_t hash) const {
    return groups_[group].transition->overdue(slc_slot_of(hash, plane_.rings[group].log2));
}

bool Control::any_overdue() const {
    if (!running_) return false;
    return std::any_of(groups_.begin() + 1, groups_.end(),
                       [](const Group& group) { return group.transition->any_overdue(); });
}

Instant Control::settling_time() const {
    Instant longest{0};
    for (const Service& service : plane_.services)
        longest =
            std::max<Instant>({longest, service.lifetimes.embryonic, service.lifetimes.established,
                               service.lifetimes.closing, service.lifetimes.udp});
    const std::size_t buckets = plane_.table.buckets.size() * 2;
    const Instant sweep =
        times_.sweep_pause + times_.sweep_step * (buckets / times_.sweep_buckets + 1);
    return groups_[1].times.prepare + longest + 4 * longest_tick_ + 3 * sweep + 4 * times_.step;
}

}  // namespace sluice::model
