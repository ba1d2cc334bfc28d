// SPDX-License-Identifier: Apache-2.0
#include "control/loaded.h"

#include <algorithm>
#include <atomic>

#include "plan/header_template.h"

namespace sluice::control {
namespace {

Result<void> set_cell(Loaded& loaded, std::uint32_t member, std::uint32_t variant,
                      const slc_template* header) {
    auto outcome = loaded.generation->set_cell(member, variant, header);
    if (outcome || outcome.error().code != Errc::limit) return outcome;
    loaded.generation->reclaim();
    return loaded.generation->set_cell(member, variant, header);
}

Result<void> write_member(Loaded& loaded, const plan::ImageMember& member,
                          const plan::NextHop& hop) {
    const config::Node& node = loaded.config.node;
    const plan::TunnelSources sources{node.tunnel_source4, node.tunnel_source6, node.gue_port};
    loaded.generation->set_local(member.id, hop.state == plan::HopState::local);
    for (std::uint32_t variant = 0; variant < SLC_VARIANTS; ++variant) {
        if ((member.variants & (1u << variant)) == 0) continue;
        if (hop.state != plan::HopState::resolved) {
            SLC_CHECK(set_cell(loaded, member.id, variant, nullptr), "template");
            continue;
        }
        auto header = plan::build_template(static_cast<config::Forward>(variant >> 1),
                                           (variant & 1) != 0, member.address, hop, sources);
        // A mode that cannot reach this backend now (L2 through a gateway) leaves it unresolved;
        // status says why. Other modes of the same backend go on.
        SLC_CHECK(set_cell(loaded, member.id, variant, header ? &*header : nullptr), "template");
    }
    return {};
}

}  // namespace

void Loaded::index_members() {
    members_at.clear();
    for (std::size_t i = 0; i < image.members.size(); ++i) {
        members_at[image.members[i].address].push_back(i);
        addresses.insert_or_assign(image.members[i].id, image.members[i].address);
    }
}

std::set<IpAddress> Loaded::watched() const {
    std::set<IpAddress> out;
    for (const auto& [address, members] : members_at) out.insert(out.end(), address);
    return out;
}

std::set<std::string> Loaded::member_names() const {
    std::set<std::string> out;
    for (const auto& group : config.groups)
        for (const auto& backend : group.backends) out.insert(plan::member_name(group, backend));
    return out;
}

Wanted wanted_of(const Loaded& loaded, const plan::Overrides& overrides) {
    Wanted out;
    for (const auto& ring : loaded.image.ring_list) {
        out.offsets.push_back(static_cast<std::uint32_t>(out.slots.size()));
        if (ring.empty) continue;
        for (const std::uint32_t owner :
             plan::ring_owners(loaded.config, loaded.ids, overrides, ring))
            out.slots.push_back(SLC_SLOT_MAKE(owner, owner, 0));
    }
    return out;
}

void mark_dead(Loaded& next, const Loaded* before, const plan::Overrides& overrides) {
    const auto was = before != nullptr ? std::as_const(*before->generation).members()
                                       : std::span<const slc_member>();
    for (const auto& member : next.image.members) {
        if (member.backend == plan::kRetired) {
            // Removed while it was down: what is remembered for it stays void.
            next.generation->set_down(
                member.id, member.id < was.size() && (was[member.id].flags & SLC_MEMBER_DOWN) != 0);
            continue;
        }
        const auto& group = next.config.groups[member.group];
        const auto backend = plan::effective(group, group.backends[member.backend], overrides);
        next.generation->set_down(member.id, Changes::is_dead(group, backend));
    }
}

std::map<std::string, config::ServerId> retired_ids_of(
    const Loaded& before, const std::vector<std::pair<std::string, IpAddress>>& retired) {
    std::map<std::string, config::ServerId> out;
    if (retired.empty()) return out;
    std::map<std::string, config::ServerId> known = before.retired_ids;
    for (const auto& group : before.config.groups)
        for (const auto& backend : group.backends)
            if (backend.server_id)
                known.insert_or_assign(plan::member_name(group, backend), *backend.server_id);
    for (const auto& [group, address] : retired)
        if (const auto id = known.find(plan::member_name(group, address)); id != known.end())
            out.insert(*id);
    return out;
}

void merge_refusals(std::span<std::uint64_t> old, std::span<std::uint64_t> fresh) {
    if (old.empty() || old.data() == fresh.data()) return;
    for (std::size_t i = 0; i < fresh.size(); ++i) {
        const std::uint64_t was = std::atomic_ref(old[i & (old.size() - 1)]).load();
        std::atomic_ref word(fresh[i]);
        if ((was & SLC_SLOT_REFUSED) != 0 && (word.load() & SLC_SLOT_OPEN) != 0)
            word.fetch_or(SLC_SLOT_REFUSED);
    }
}

void take_over_refusals(Loaded& next, Loaded& before) {
    const auto continued = plan::predecessors(next.config, next.before);
    std::vector<std::size_t> indexes;  // of next.before.rings in the image before
    for (std::size_t i = 0; i < before.image.ring_list.size(); ++i)
        if (!before.image.ring_list[i].empty) indexes.push_back(i);
    for (const auto& ring : next.image.ring_list) {
        const auto found = continued.find({next.config.groups[ring.group].name, ring.balance});
        if (ring.empty || found == continued.end()) continue;
        const auto& old = before.image.ring_list[indexes[found->second]];
        // Its slots may have become fewer since they were copied.
        const auto words = slots_of(*before.generation, old);
        if (words.size() == next.before.rings[found->second].slots.size())
            merge_refusals(words, slots_of(*next.generation, ring));
    }
}

void take_over_accounts(Loaded& next, Loaded& before) {
    std::map<std::string, std::uint64_t> used;
    const auto accounts = before.generation->accounts();
    for (std::size_t g = 0; g < before.config.groups.size(); ++g)
        used[before.config.groups[g].name] = std::atomic_ref(accounts[g + 1].used).load();
    std::uint64_t of_pool = 0;
    for (std::size_t g = 0; g < next.config.groups.size(); ++g) {
        slc_account& account = next.generation->accounts()[g + 1];
        const std::uint64_t taken = used[next.config.groups[g].name];
        std::atomic_ref(account.used).fetch_add(taken);
        if (static_cast<std::int64_t>(taken) > static_cast<std::int64_t>(account.share))
            of_pool += taken - account.share;
    }
    std::atomic_ref(next.generation->accounts()[0].used).fetch_add(of_pool);
}

Result<void> write_hop(Loaded& loaded, const IpAddress& address, plan::NextHop hop) {
    const auto found = loaded.members_at.find(address);
    if (found == loaded.members_at.end()) return {};
    for (const std::size_t index : found->second)
        SLC_CHECK(write_member(loaded, loaded.image.members[index], hop), address.text());
    loaded.hops.insert_or_assign(address, std::move(hop));
    return {};
}

}  // namespace sluice::control
