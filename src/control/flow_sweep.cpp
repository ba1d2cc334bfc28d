// SPDX-License-Identifier: Apache-2.0
#include "control/flow_sweep.h"

#include <algorithm>
#include <atomic>

#include "sluice/hash.h"

namespace sluice::control {
namespace {

/// A count that is off by more than this part of the table is set right.
constexpr std::uint64_t kDriftPart = 256;

std::uint64_t load(std::uint64_t& word) {
    return std::atomic_ref(word).load(std::memory_order_acquire);
}

std::uint32_t group_number(const kernel::Generation& generation, std::uint32_t member) {
    const auto members = generation.members();
    return member < members.size() ? members[member].group : 0;
}

/// What an account is off by. Flows come and go while a pass counts them: what lies between its
/// state at the beginning and at the end is no error.
std::int64_t drift_of(std::int64_t counted, std::int64_t before, std::int64_t now,
                      std::uint64_t ceiling) {
    const auto bearable =
        static_cast<std::int64_t>(std::max<std::uint64_t>(SLC_FLOW_WAYS, ceiling / kDriftPart));
    const std::int64_t least = std::min(before, now) - bearable;
    const std::int64_t most = std::max(before, now) + bearable;
    return counted >= least && counted <= most ? 0 : counted - now;
}

}  // namespace

std::chrono::milliseconds flow_age(std::uint64_t entry, std::uint32_t tick,
                                   std::chrono::seconds lifetime,
                                   const plan::FlowGeometry& geometry) {
    const int whole = plan::ticks_of(lifetime, geometry.shift);
    const int ticks = std::max(0, whole - int{slc_flow_left(entry, tick)});
    return std::chrono::duration_cast<std::chrono::milliseconds>(geometry.tick() * ticks);
}

bool free_entry(std::uint64_t& place, std::uint64_t seen, kernel::Generation& generation) {
    if (!std::atomic_ref(place).compare_exchange_strong(seen, 0)) return false;
    const std::uint32_t group = group_number(generation, SLC_FLOW_MEMBER_OF(seen));
    if (group != 0 && group < generation.accounts().size())
        std::atomic_ref(generation.accounts()[group].used).fetch_sub(1);
    return true;
}

FlowSweep::Lifetimes group_lifetimes(const config::Config& config) {
    FlowSweep::Lifetimes out(config.groups.size() + 1);
    for (const auto& service : config.services) {
        if (service.forward == config::Forward::local) continue;
        const auto raise = [&](slc_flow_class kind, std::chrono::seconds lifetime) {
            auto& longest = out[service.group + 1][kind];
            longest = std::max(longest, lifetime);
        };
        raise(SLC_FLOW_EMBRYONIC, service.lifetimes.embryonic);
        raise(SLC_FLOW_ESTABLISHED, service.lifetimes.established);
        raise(SLC_FLOW_CLOSING, service.lifetimes.closing);
        raise(SLC_FLOW_DATAGRAM, service.lifetimes.udp);
    }
    return out;
}

void FlowSweep::restart() {
    running_ = false;
    totals_.by_group.clear();  // Groups have other numbers now.
}

void FlowSweep::count_cut(std::uint32_t member, std::uint64_t flows) {
    if (cut_.size() <= member) cut_.resize(member + 1);
    cut_[member] += flows;
    freed_.evicted += flows;
}

void FlowSweep::begin(const Changes::Scene& scene, const Changes& changes, plan::Instant now) {
    pass_ = {};
    pass_.began = now;
    pass_.by_group.resize(scene.config.groups.size() + 1);
    pass_.by_member.resize(scene.generation.members().size());
    charged_.assign(pass_.by_group.size(), 0);
    used_before_.clear();
    for (slc_account& account : scene.generation.accounts())
        used_before_.push_back(static_cast<std::int64_t>(std::atomic_ref(account.used).load()));
    foreign_.assign(changes.size(), {});
    for (std::size_t i = 0; i < changes.size(); ++i)
        if (!changes.ring(i).settled()) foreign_[i].resize(changes.ring(i).slots().size());
    at_ = 0;
    running_ = true;
}

bool FlowSweep::step(kernel::FlowMap& flows, const Changes::Scene& scene, Changes& changes,
                     const Lifetimes& lifetimes, plan::Instant now, std::size_t buckets) {
    if (!running_) begin(scene, changes, now);
    // The table that is being left first: a flow that moves meanwhile is then seen twice, and never
    // missed. One that is missed loses the mark of its slot, and with it its backend.
    const std::size_t left = flows.leaving() ? flows.leaving()->buckets().size() : 0;
    const std::size_t all = left + flows.current().buckets().size();
    const std::size_t to = std::min(at_ + buckets, all);
    if (at_ < left)
        walk(*flows.leaving(), true, scene, changes, lifetimes, at_, std::min(to, left));
    if (to > left)
        walk(flows.current(), false, scene, changes, lifetimes, std::max(at_, left) - left,
             to - left);
    at_ = to;
    if (at_ < all) return false;
    finish(scene, changes, now);
    return true;
}

/// Expired for long enough, or void: its member has failed, or is none of this generation.
bool FlowSweep::is_to_go(std::uint64_t entry, std::uint32_t tick,
                         const Changes::Scene& scene) const {
    if (slc_flow_is_free(entry, tick)) return true;
    const std::uint32_t member = SLC_FLOW_MEMBER_OF(entry);
    const std::uint32_t group = group_number(scene.generation, member);
    if (group == 0) return !keeps_unknown_;
    return (scene.generation.members()[member].flags & SLC_MEMBER_DOWN) != 0;
}

void FlowSweep::let_go(std::uint64_t& place, std::uint64_t entry, std::uint32_t tick,
                       const Changes::Scene& scene) {
    const bool is_expired = !slc_flow_is_alive(entry, tick);
    if (is_expired) ++pass_.expired;
    if (!free_entry(place, entry, scene.generation)) return;
    ++(is_expired ? freed_.expired : freed_.evicted);
}

/// Notes the slots for which this entry is foreign; false when it is to be forgotten: overdue, and
/// remembered for a member that has left.
bool FlowSweep::judge(std::uint64_t entry, std::uint64_t hash, std::uint32_t group,
                      const Changes::Scene& scene, const Changes& changes) {
    bool is_overdue = false;
    for (const std::size_t i : changes.rings_of(group - 1)) {
        const plan::RingTransition& ring = changes.ring(i);
        const std::uint32_t slot = slc_slot_of(hash, scene.image.ring_list[i].log2);
        if (slot >= ring.slots().size()) continue;
        if (SLC_SLOT_CURRENT(load(ring.slots()[slot])) == SLC_FLOW_MEMBER_OF(entry)) continue;
        if (!foreign_[i].empty()) foreign_[i][slot] = true;
        is_overdue = is_overdue || ring.overdue(slot);
    }
    return !is_overdue || changes.shall_own(SLC_FLOW_MEMBER_OF(entry));
}

void FlowSweep::walk(const kernel::FlowTable& table, bool leaving, const Changes::Scene& scene,
                     Changes& changes, const Lifetimes& lifetimes, std::size_t from,
                     std::size_t to) {
    const auto buckets = table.buckets();
    const std::uint32_t tick = table.tick();
    for (std::size_t b = from; b < to; ++b) {
        for (std::uint64_t& place : buckets[b].entry) {
            const std::uint64_t entry = load(place);
            if (entry == 0) continue;
            if (is_to_go(entry, tick, scene)) {
                let_go(place, entry, tick, scene);
                continue;
            }
            const std::uint32_t member = SLC_FLOW_MEMBER_OF(entry);
            const std::uint32_t group = group_number(scene.generation, member);
            const std::uint64_t hash =
                slc_flow_hash_of(entry, static_cast<std::uint32_t>(b), table.geometry.log2);
            const bool stays = judge(entry, hash, group, scene, changes);
            if (!stays && free_entry(place, entry, scene.generation)) {
                if (slc_flow_is_alive(entry, tick)) count_cut(member, 1);
                continue;
            }
            ++charged_[group];
            ++pass_.by_member[member];
            // Expired a moment ago: somebody may still have seen it alive and renew it.
            if (!slc_flow_is_alive(entry, tick)) {
                ++pass_.expired;
                continue;
            }
            const std::uint32_t kind = SLC_FLOW_CLASS_OF(entry);
            ++pass_.live;
            ++pass_.by_class[kind];
            ++pass_.by_group[group][kind];
            pass_.leaving += leaving ? 1 : 0;
            const auto age = flow_age(entry, tick, lifetimes[group][kind], table.geometry);
            pass_.oldest = std::max(pass_.oldest, age);
            ++pass_.ages[age_class(age)];
        }
    }
}

void FlowSweep::finish(const Changes::Scene& scene, Changes& changes, plan::Instant now) {
    const auto accounts = scene.generation.accounts();
    std::uint64_t of_pool = 0;
    for (std::size_t group = 1; group < accounts.size(); ++group) {
        std::atomic_ref used(accounts[group].used);
        used.fetch_add(static_cast<std::uint64_t>(
            drift_of(static_cast<std::int64_t>(charged_[group]), used_before_[group],
                     static_cast<std::int64_t>(used.load()), accounts[group].ceiling)));
        const auto taken = static_cast<std::int64_t>(used.load());
        of_pool += static_cast<std::uint64_t>(
            std::max<std::int64_t>(0, taken - static_cast<std::int64_t>(accounts[group].share)));
    }
    if (!accounts.empty()) std::atomic_ref(accounts[0].used).store(of_pool);
    for (std::size_t i = 0; i < changes.size(); ++i)
        if (foreign_[i].size() == changes.ring(i).slots().size() && !foreign_[i].empty())
            changes.ring(i).swept(foreign_[i], pass_.began);
    pass_.ended = now;
    totals_ = std::move(pass_);
    running_ = false;
}

}  // namespace sluice::control
