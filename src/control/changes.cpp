// SPDX-License-Identifier: Apache-2.0
#include "control/changes.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "config/rules.h"

namespace sluice::control {
namespace {

using RingKey = std::pair<std::size_t, config::Balance>;

/// Groups that may stand in for this one, nearest first.
std::vector<std::size_t> fallbacks_of(const config::Config& config, std::size_t group) {
    std::vector<std::size_t> out;
    while (out.size() < config::kMaxFallbacks && !config.groups[group].health.fallback.empty()) {
        const auto next = plan::group_named(config, config.groups[group].health.fallback);
        if (!next || std::find(out.begin(), out.end(), *next) != out.end()) break;
        group = *next;
        out.push_back(group);
    }
    return out;
}

/// The longest window of the services on each ring. A tick more than the lifetime: an entry that is
/// made in the last moment lives that much longer too.
std::map<RingKey, plan::TransitionTimes> times_of(const config::Config& config,
                                                  std::uint8_t shift) {
    const std::chrono::milliseconds tick((std::int64_t{1} << shift) / 1'000'000 + 1);
    std::map<RingKey, plan::TransitionTimes> out;
    for (const auto& service : config.services) {
        if (service.forward == config::Forward::local) continue;
        plan::TransitionTimes none;
        none.tracked = false;
        auto& times = out.try_emplace({service.group, service.balance}, none).first->second;
        if (service.tracking == config::Tracking::never) continue;
        times.tracked = true;
        times.window = std::max(times.window, plan::window_of(service) + tick);
    }
    return out;
}

std::map<RingKey, std::vector<std::string>> services_of(const config::Config& config) {
    std::map<RingKey, std::vector<std::string>> out;
    for (const auto& service : config.services)
        if (service.forward != config::Forward::local)
            out[{service.group, service.balance}].push_back(service.name);
    return out;
}

}  // namespace

std::span<std::uint64_t> slots_of(kernel::Generation& generation, const plan::ImageRing& ring) {
    if (ring.empty) return {};
    return generation.slots().subspan(ring.offset, std::size_t{1} << ring.log2);
}

plan::LiveRings live_rings(const config::Config& config, const plan::Image& image,
                           const plan::IdStore& ids, kernel::Generation& generation) {
    plan::LiveRings out;
    out.names = ids.members.names_by_id();
    const auto services = services_of(config);
    for (std::size_t i = 0; i < image.ring_list.size(); ++i) {
        const plan::ImageRing& ring = image.ring_list[i];
        if (ring.empty) continue;
        plan::LiveRing live{config.groups[ring.group].name,
                            ring.balance,
                            services.at({ring.group, ring.balance}),
                            {}};
        for (std::uint64_t& slot : slots_of(generation, ring))
            live.slots.push_back(std::atomic_ref(slot).load());
        out.rings.push_back(std::move(live));
    }
    return out;
}

Changes::Changes(const Scene& scene, plan::Instant now, const Changes* before,
                 const plan::LiveRings& live) {
    const auto continued = plan::predecessors(scene.config, live);
    // `before` holds every ring, `live` only those that have slots.
    std::vector<const plan::RingTransition*> earlier;
    if (before != nullptr)
        for (const auto& ring : before->rings_)
            if (!ring.slots().empty()) earlier.push_back(&ring);
    times_ = times_of(scene.config, scene.image.node.flow_shift);
    members_.resize(scene.config.groups.size());
    for (std::size_t g = 0; g < members_.size(); ++g)
        members_[g].resize(scene.config.groups[g].backends.size());
    for (const auto& member : scene.image.members)
        if (member.backend != plan::kRetired) members_[member.group][member.backend] = member.id;
    for (std::size_t i = 0; i < scene.image.ring_list.size(); ++i) {
        const plan::ImageRing& ring = scene.image.ring_list[i];
        by_group_[ring.group].push_back(i);
        for (const std::size_t other : fallbacks_of(scene.config, ring.group))
            by_group_[other].push_back(i);
        const auto found = continued.find({scene.config.groups[ring.group].name, ring.balance});
        const auto slots = slots_of(scene.generation, ring);
        const auto& times = times_.at({ring.group, ring.balance});
        if (found != continued.end() && found->second < earlier.size())
            rings_.emplace_back(slots, times, *earlier[found->second]);
        else
            rings_.emplace_back(slots, times, now);
    }
}

bool Changes::is_dead(const config::Group& group, const config::Backend& effective) {
    return plan::ring_role(group, effective) == plan::RingRole::replaced;
}

void Changes::add_dead(const Scene& scene, std::size_t number,
                       std::vector<std::uint32_t>& dead) const {
    const config::Group& group = scene.config.groups[number];
    for (std::size_t b = 0; b < group.backends.size(); ++b)
        if (is_dead(group, plan::effective(group, group.backends[b], scene.overrides)))
            dead.push_back(members_[number][b]);
}

/// Of a group also the rings in which it may stand in for another.
void Changes::aim(const Scene& scene, plan::Instant now, std::optional<std::size_t> group) {
    const auto* only = group ? &rings_of(*group) : nullptr;
    for (std::size_t i = 0; i < rings_.size(); ++i) {
        const plan::ImageRing& ring = scene.image.ring_list[i];
        if (ring.empty ||
            (only != nullptr && std::find(only->begin(), only->end(), i) == only->end()))
            continue;
        aim_ring(scene, i, plan::ring_owners(scene.config, scene.ids, scene.overrides, ring), now);
    }
}

void Changes::aim_at(const Scene& scene, const Wanted& wanted, plan::Instant now) {
    const std::span<const std::uint64_t> slots = wanted.slots;
    for (std::size_t i = 0; i < rings_.size(); ++i) {
        const plan::ImageRing& ring = scene.image.ring_list[i];
        if (ring.empty) continue;
        std::vector<std::uint32_t> owners;
        owners.reserve(std::size_t{1} << ring.log2);
        for (const std::uint64_t slot :
             slots.subspan(wanted.offsets[i], std::size_t{1} << ring.log2))
            owners.push_back(SLC_SLOT_CURRENT(slot));
        aim_ring(scene, i, owners, now);
    }
}

void Changes::aim_ring(const Scene& scene, std::size_t index,
                       const std::vector<std::uint32_t>& owners, plan::Instant now) {
    const std::size_t number = scene.image.ring_list[index].group;
    const config::Group& group = scene.config.groups[number];
    // Also of those that may stand in: a group that is nothing but a fallback has no ring.
    std::vector<std::size_t> groups = fallbacks_of(scene.config, number);
    groups.push_back(number);
    std::vector<std::uint32_t> dead;
    for (const std::size_t each : groups) add_dead(scene, each, dead);
    std::sort(dead.begin(), dead.end());
    note_owners(index, owners);
    rings_[index].aim(
        owners,
        [&dead](std::uint32_t member) {
            return std::binary_search(dead.begin(), dead.end(), member);
        },
        now, group.deadline);
    for (const std::size_t each : groups)
        for (const std::uint32_t id : members_[each])
            scene.generation.set_down(id, std::binary_search(dead.begin(), dead.end(), id));
}

void Changes::note_owners(std::size_t ring, const std::vector<std::uint32_t>& owners) {
    owners_in_.resize(rings_.size());
    for (const std::uint32_t member : owners_in_[ring]) --shall_own_[member];
    ++round_;
    std::vector<std::uint32_t> distinct;
    for (const std::uint32_t member : owners) {
        if (seen_.size() <= member) seen_.resize(member + 1);
        if (std::exchange(seen_[member], round_) != round_) distinct.push_back(member);
    }
    owners_in_[ring] = std::move(distinct);
    for (const std::uint32_t member : owners_in_[ring]) {
        if (shall_own_.size() <= member) shall_own_.resize(member + 1);
        ++shall_own_[member];
    }
}

void Changes::limit(std::size_t group, std::uint32_t member, plan::Instant deadline) {
    for (const std::size_t i : rings_of(group)) rings_[i].limit(member, deadline);
}

void Changes::step(const Scene& scene, plan::Instant now) {
    for (std::size_t i = 0; i < rings_.size(); ++i) {
        rings_[i].step(now);
        const plan::ImageRing& ring = scene.image.ring_list[i];
        if (!ring.empty && ring.wanted_log2 < ring.log2 && rings_[i].settled()) shrink(scene, i);
    }
}

void Changes::hold_open() {
    constexpr std::chrono::hours kForEver{24 * 365 * 10};
    for (auto& [key, times] : times_) times.window = kForEver;
    for (auto& ring : rings_) ring.hold_open(kForEver);
}

void Changes::adopt_marks(plan::Instant now) {
    for (auto& ring : rings_) ring.adopt_marks(now);
}

/// A settled ring that repeats itself says the same in a part of its size: one store. What lies
/// behind stays unused until the next generation.
void Changes::shrink(const Scene& scene, std::size_t index) {
    plan::ImageRing& ring = scene.image.ring_list[index];
    if (!plan::can_shrink(rings_[index].slots(), ring.wanted_log2)) return;
    ring.log2 = ring.wanted_log2;
    kernel::publish(scene.generation.rings()[index], plan::ring_descriptor(ring));
    rings_[index] = plan::RingTransition(slots_of(scene.generation, ring),
                                         times_.at({ring.group, ring.balance}), plan::Instant{0});
}

const std::vector<std::size_t>& Changes::rings_of(std::size_t group) const {
    static const std::vector<std::size_t> kNone;
    const auto found = by_group_.find(group);
    return found == by_group_.end() ? kNone : found->second;
}

bool Changes::settled() const {
    return std::all_of(rings_.begin(), rings_.end(),
                       [](const plan::RingTransition& ring) { return ring.settled(); });
}

plan::TransitionCounts Changes::counts_of(std::size_t group, std::uint32_t member,
                                          bool is_remembered) const {
    plan::TransitionCounts out;
    for (const std::size_t i : rings_of(group)) out.add(rings_[i].counts_of(member, is_remembered));
    return out;
}

bool Changes::names(std::size_t group, std::uint32_t member) const {
    return std::any_of(rings_of(group).begin(), rings_of(group).end(),
                       [&](std::size_t i) { return rings_[i].names(member); });
}

}  // namespace sluice::control
