// SPDX-License-Identifier: Apache-2.0
#include "control/retained.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "plan/fallback.h"
#include "plan/flow_plan.h"

namespace sluice::control {
namespace {

constexpr std::uint32_t kTunnelVariants = (1u << (2 * SLC_FORWARD_L2)) - 1;

Error not_this_one(std::string why) {
    return make_error(Errc::conflict, "this generation must be loaded again: " + std::move(why));
}

/// Its own names have the ids that its tables hold.
Result<void> check_ids(const Loaded& target, plan::IdStore& ids) {
    for (const auto& member : target.image.members) {
        if (member.backend == plan::kRetired) continue;
        const std::string name =
            plan::member_name(target.config.groups[member.group].name, member.address);
        if (SLC_TRY(ids.members.assign(name), name) != member.id)
            return fail(not_this_one(name + " has another id by now"));
    }
    for (std::size_t i = 0; i < target.config.services.size(); ++i) {
        const std::string& name = target.config.services[i].name;
        if (SLC_TRY(ids.services.assign(name), name) != target.image.service_ids[i])
            return fail(not_this_one(name + " has another id by now"));
    }
    return {};
}

/// Customers and policies that its records name.
Result<void> keep_owners(const plan::IdStore& own, plan::IdStore& ids) {
    const auto keep = [](const plan::IdSpace& from, plan::IdSpace& into) -> Result<void> {
        for (const auto& [name, id] : from.names())
            if (SLC_TRY(into.assign(name), name) != id)
                return fail(not_this_one(name + " has another id by now"));
        return {};
    };
    SLC_CHECK(keep(own.customers, ids.customers), "customers");
    return keep(own.policies, ids.policies);
}

std::uint32_t log2_of(std::size_t size) {
    return static_cast<std::uint32_t>(__builtin_ctzll(size));
}

/// A ring that has grown meanwhile is laid out anew, in the reserve.
Result<void> fit_rings(Loaded& target) {
    const auto continued = plan::predecessors(target.config, target.before);
    for (std::uint32_t i = 0; i < target.image.ring_list.size(); ++i) {
        plan::ImageRing& ring = target.image.ring_list[i];
        const auto found = continued.find({target.config.groups[ring.group].name, ring.balance});
        if (found == continued.end()) continue;
        const std::uint32_t log2 = log2_of(target.before.rings[found->second].slots.size());
        if (!ring.empty && log2 <= ring.log2) continue;
        auto offset = target.generation->take_slots(1u << log2);
        if (!offset) return fail(not_this_one("a ring has grown, and there is no room for it"));
        ring.offset = *offset;
        ring.log2 = log2;
        ring.empty = false;
        target.generation->set_ring(i, plan::ring_descriptor(ring));
    }
    return {};
}

/// Members of this generation's groups that are no backends of it, but slots or flows name them.
Result<void> fit_members(Loaded& target, Loaded& live,
                         const std::vector<std::pair<std::string, IpAddress>>& retired,
                         const plan::IdStore& ids) {
    auto& members = target.image.members;
    std::vector<std::uint32_t> variants(target.config.groups.size());
    for (const auto& service : target.config.services)
        if (service.forward != config::Forward::local)
            variants[service.group] |=
                1u << SLC_VARIANT(static_cast<int>(service.forward), service.vip.address.is_ip6);
    const plan::Fallbacks fallbacks(target.config);
    fallbacks.spread(variants);
    std::set<std::uint32_t> stale;
    for (const auto& member : members)
        if (member.backend == plan::kRetired) stale.insert(member.id);
    std::erase_if(members, [](const auto& member) { return member.backend == plan::kRetired; });
    const std::uint32_t features = target.generation->node().features;
    for (const auto& [group, address] : retired) {
        const auto& groups = target.config.groups;
        const auto at = std::find_if(groups.begin(), groups.end(),
                                     [&](const auto& each) { return each.name == group; });
        if (at == groups.end()) continue;
        plan::ImageMember member;
        member.id = ids.members.find(plan::member_name(group, address));
        member.group = static_cast<std::size_t>(at - groups.begin());
        member.backend = plan::kRetired;
        member.address = address;
        member.variants = variants[member.group];
        member.family = fallbacks.last_of(member.group);
        const std::uint32_t outer = address.is_ip6 ? SLC_FEATURE_OUTER6 : SLC_FEATURE_OUTER4;
        if ((member.variants & kTunnelVariants) != 0 && (features & outer) == 0)
            return fail(not_this_one("its programs build no outer header to " + address.text()));
        if (!target.generation->set_member(member.id, plan::member_record(member)))
            return fail(not_this_one("there is no room for " + address.text()));
        stale.erase(member.id);
        members.push_back(member);
    }
    for (const std::uint32_t id : stale) target.generation->clear_member(id);
    target.retired_ids = retired_ids_of(live, retired);
    target.index_members();
    return {};
}

/// Connections that name a retired member by its id find it here, too, where there is room.
void fit_ids(Loaded& target) {
    for (const auto& member : target.image.members) {
        if (member.backend != plan::kRetired) continue;
        const auto& group = target.config.groups[member.group];
        const auto id = target.retired_ids.find(plan::member_name(group.name, member.address));
        if (id == target.retired_ids.end()) continue;
        config::Backend backend;
        backend.address = member.address;
        backend.server_id = id->second;
        for (const auto& key : plan::server_id_keys(target.config, member.group, backend)) {
            const auto& own = target.image.server_ids;
            const bool taken = std::any_of(own.begin(), own.end(), [&key](const auto& other) {
                return std::memcmp(&other.key, &key, sizeof key) == 0;
            });
            if (!taken && target.generation->add_server_id({key, member.id}))
                target.image.server_ids.push_back({key, member.id});
        }
    }
}

/// Every address is reached as it is now: those that are watched are known.
Result<void> fit_hops(Loaded& target, const Loaded& live, kernel::NetworkPort& network) {
    std::set<IpAddress> both = target.watched();
    both.merge(live.watched());
    network.watch(both);
    for (const auto& [address, indexes] : target.members_at) {
        const auto watched = live.hops.find(address);
        const bool is_known = live.members_at.contains(address) && watched != live.hops.end();
        plan::NextHop now = is_known ? watched->second : network.resolve(address);
        const auto known = target.hops.find(address);
        const bool has_retired = std::any_of(indexes.begin(), indexes.end(), [&](std::size_t i) {
            return target.image.members[i].backend == plan::kRetired;
        });
        if (known == target.hops.end() || !(known->second == now) || has_retired)
            SLC_CHECK(write_hop(target, address, std::move(now)), "backend");
    }
    return {};
}

/// Equal rings have equal owners: what build_owners() would be given, in order.
struct Candidates {
    std::string group;  ///< Whose backends they are: the ring's, or that which stands in.
    std::vector<std::tuple<IpAddress, std::uint32_t, plan::RingRole>> members;
    bool operator==(const Candidates&) const = default;
};

Candidates candidates(const Loaded& loaded, const plan::ImageRing& ring,
                      const plan::Overrides& overrides) {
    Candidates out;
    const auto& group =
        loaded.config.groups[plan::serving_group(loaded.config, ring.group, overrides)];
    out.group = group.name;
    for (const auto& configured : group.backends) {
        const auto backend = plan::effective(group, configured, overrides);
        out.members.emplace_back(backend.address, backend.weight, plan::ring_role(group, backend));
    }
    std::sort(out.members.begin(), out.members.end());
    return out;
}

/// The slots of each ring begin as the live ones are; what they shall be is built only where that
/// is not what the live ring was aimed at.
std::uint32_t fill_slots(Loaded& target, Loaded& live, const plan::Overrides& overrides) {
    plan::Image image;  // the slots, where inherit_slots() finds its rings
    image.ring_list = target.image.ring_list;
    const auto slots = target.generation->slots();
    image.slots.assign(slots.begin(), slots.end());
    target.wanted = {};
    std::uint32_t built = 0;
    std::map<std::pair<std::string, config::Balance>, std::size_t> live_rings;
    for (std::size_t i = 0; i < live.image.ring_list.size(); ++i)
        live_rings.emplace(std::pair(live.config.groups[live.image.ring_list[i].group].name,
                                     live.image.ring_list[i].balance),
                           i);
    for (const auto& ring : target.image.ring_list) {
        target.wanted.offsets.push_back(static_cast<std::uint32_t>(target.wanted.slots.size()));
        if (ring.empty) continue;
        const auto same = live_rings.find({target.config.groups[ring.group].name, ring.balance});
        const bool is_same = same != live_rings.end() &&
                             live.image.ring_list[same->second].log2 == ring.log2 &&
                             live.image.ring_list[same->second].wanted_log2 == ring.wanted_log2 &&
                             live.changes->ring(same->second).settled() &&
                             candidates(target, ring, overrides) ==
                                 candidates(live, live.image.ring_list[same->second], overrides);
        if (is_same) {
            const auto words = slots_of(*live.generation, live.image.ring_list[same->second]);
            target.wanted.slots.insert(target.wanted.slots.end(), words.begin(), words.end());
            std::copy(words.begin(), words.end(), image.slots.begin() + ring.offset);
            continue;
        }
        ++built;
        for (const std::uint32_t owner :
             plan::ring_owners(target.config, target.ids, overrides, ring)) {
            const std::uint64_t steady = SLC_SLOT_MAKE(owner, owner, 0);
            image.slots[ring.offset + target.wanted.slots.size() - target.wanted.offsets.back()] =
                steady;
            target.wanted.slots.push_back(steady);
        }
    }
    plan::inherit_slots(target.config, target.before, target.ids, image);
    std::copy(image.slots.begin(), image.slots.end(), slots.begin());
    return built;
}

}  // namespace

Result<Reconciled> reconcile(Loaded& target, Loaded& live, plan::LiveRings before,
                             const plan::IdStore& ids, const plan::Overrides& overrides,
                             kernel::NetworkPort& network) {
    target.before = std::move(before);
    plan::CompileOptions kept;
    plan::retain(target.config, target.before, kept);
    const plan::IdStore own = target.ids;
    target.ids = ids;
    std::set<std::string> members;
    for (const auto& group : target.config.groups)
        for (const auto& backend : group.backends)
            members.insert(plan::member_name(group, backend));
    for (const auto& [group, address] : kept.retired)
        members.insert(plan::member_name(group, address));
    std::set<std::string> services;
    for (const auto& service : target.config.services) services.insert(service.name);
    target.ids.members.retain(members);
    target.ids.services.retain(services);
    SLC_CHECK(check_ids(target, target.ids), "roll back");
    SLC_CHECK(keep_owners(own, target.ids), "roll back");
    for (const auto& [group, address] : kept.retired)
        (void)SLC_TRY(target.ids.members.assign(plan::member_name(group, address)), "roll back");
    SLC_CHECK(fit_rings(target), "roll back");
    SLC_CHECK(fit_members(target, live, kept.retired, target.ids), "roll back");
    fit_ids(target);
    SLC_CHECK(fit_hops(target, live, network), "roll back");
    for (auto& account : target.generation->accounts()) account.used = 0;
    Reconciled out;
    out.rings = static_cast<std::uint32_t>(target.image.ring_list.size());
    out.rings_that_differ = fill_slots(target, live, overrides);
    mark_dead(target, &live, overrides);
    return out;
}

}  // namespace sluice::control
