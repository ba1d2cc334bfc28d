// SPDX-License-Identifier: Apache-2.0
#include "control/in_place.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>

namespace sluice::control {
namespace {

bool is_same_id(const slc_server_id& left, const slc_server_id& right) {
    return std::memcmp(&left, &right, sizeof left) == 0;
}

bool has_id(const std::vector<plan::ImageServerId>& ids, const slc_server_id& key) {
    return std::any_of(ids.begin(), ids.end(),
                       [&key](const auto& id) { return is_same_id(id.key, key); });
}

/// Rings keep their places; one that wants to be larger gets a new one.
Result<void> lay_rings(Loaded& live, LaidAside& aside) {
    auto& generation = *live.generation;
    auto& rings = aside.next.image.ring_list;
    const auto& before = live.image.ring_list;
    if (rings.size() != before.size())
        return fail(Errc::internal, "rings differ: the change needs another program");
    for (std::size_t i = 0; i < rings.size(); ++i) {
        plan::ImageRing& ring = rings[i];
        if (ring.group != before[i].group || ring.balance != before[i].balance)
            return fail(Errc::internal, "rings differ: the change needs another program");
        if (ring.empty) continue;
        if (!before[i].empty && ring.log2 == before[i].log2) {
            ring.offset = before[i].offset;
            continue;
        }
        const std::uint32_t size = 1u << ring.log2;
        const std::uint32_t offset = SLC_TRY(generation.take_slots(size), "rings");
        if (!aside.took_slots) aside.slots_before = offset;
        aside.took_slots = true;
        const auto* compiled = &aside.next.image.slots[ring.offset];  // inherited: see compile()
        std::copy(compiled, compiled + size, generation.slots().begin() + offset);
        ring.offset = offset;
    }
    return {};
}

/// Backends that have left, and that no slot names yet or any more: they end as all retired members
/// do, when two passes of the sweep have found nothing of them.
void keep_those_who_left(const Loaded& live, Loaded& next) {
    std::set<std::uint32_t> known;
    for (const auto& member : next.image.members) known.insert(member.id);
    for (const auto& member : live.image.members) {
        if (known.contains(member.id)) continue;
        next.image.members.push_back(member);
        next.image.members.back().backend = plan::kRetired;
    }
    next.index_members();
}

/// They are those that were loaded, whatever a fresh numbering would make of the same text.
void keep_immutable_tables(plan::Image& live, plan::Image& next) {
    next.vips = live.vips;
    next.ports = live.ports;
    next.ranges = live.ranges;
    next.prefixes = live.prefixes;
    next.services = live.services;
    next.peers = live.peers;
}

Result<void> lay_members(Loaded& live, LaidAside& aside, kernel::NetworkPort& network) {
    // The generation answers for both until the change is in effect or abandoned.
    Loaded& next = aside.next;
    std::swap(next.generation, live.generation);
    const auto write = [&]() -> Result<void> {
        for (const auto& member : next.image.members) {
            const bool is_new = member.id >= next.generation->members().size() ||
                                next.generation->members()[member.id].group == 0;
            if (!is_new) continue;
            SLC_CHECK(next.generation->set_member(member.id, plan::member_record(member)),
                      member.address.text());
            aside.added.push_back(member.id);
        }
        std::sort(aside.added.begin(), aside.added.end());
        for (const auto& [address, members] : next.members_at) {
            const bool known = live.members_at.contains(address) && live.hops.contains(address);
            const bool has_new =
                std::any_of(members.begin(), members.end(), [&](std::size_t index) {
                    return std::binary_search(aside.added.begin(), aside.added.end(),
                                              next.image.members[index].id);
                });
            if (known && !has_new)
                next.hops.emplace(address, live.hops.at(address));
            else
                SLC_CHECK(write_hop(next, address,
                                    known ? live.hops.at(address) : network.resolve(address)),
                          "backend");
        }
        return {};
    };
    auto outcome = write();
    std::swap(next.generation, live.generation);
    return outcome;
}

/// Packets would find an id at once: they are added when the change takes effect, and must fit.
Result<void> check_ids(const Loaded& live, const Loaded& next) {
    std::size_t fresh = live.image.server_ids.size();
    for (const auto& id : next.image.server_ids)
        fresh += has_id(live.image.server_ids, id.key) ? 0 : 1;
    if (fresh <= live.generation->server_ids_room()) return {};
    return fail(Errc::limit, "no room for more server ids");
}

void publish_rings(Loaded& live, const Loaded& next) {
    for (std::uint32_t i = 0; i < next.image.ring_list.size(); ++i) {
        const auto& ring = next.image.ring_list[i];
        const auto& before = live.image.ring_list[i];
        const bool same =
            ring.empty == before.empty && ring.offset == before.offset && ring.log2 == before.log2;
        if (!same) live.generation->set_ring(i, ring.empty ? 0 : plan::ring_descriptor(ring));
    }
}

void publish_ids(Loaded& live, const Loaded& next) {
    for (const auto& id : next.image.server_ids) (void)live.generation->add_server_id(id);
    for (const auto& id : live.image.server_ids)
        if (!has_id(next.image.server_ids, id.key)) live.generation->remove_server_id(id.key);
}

}  // namespace

Result<LaidAside> lay_aside(Loaded& live, Loaded next, kernel::NetworkPort& network) {
    LaidAside out;
    out.next = std::move(next);
    keep_those_who_left(live, out.next);
    keep_immutable_tables(live.image, out.next.image);
    auto laid = lay_rings(live, out);
    if (laid) laid = lay_members(live, out, network);
    if (laid) laid = check_ids(live, out.next);
    if (laid) return out;
    abandon(live, out);
    return fail(std::move(laid).error());
}

void abandon(Loaded& live, const LaidAside& aside) {
    for (const std::uint32_t member : aside.added) live.generation->clear_member(member);
    if (aside.took_slots) live.generation->give_back_slots(aside.slots_before);
}

Proposal propose(Loaded& live, const LaidAside& aside) {
    Proposal out;
    const auto slots = live.generation->slots();
    const auto rings = live.generation->rings();
    out.slots.reserve(slots.size());
    for (std::uint64_t& slot : slots) out.slots.push_back(std::atomic_ref(slot).load());
    out.rings.assign(rings.begin(), rings.end());
    const auto& list = aside.next.image.ring_list;
    for (std::size_t i = 0; i < list.size(); ++i) {
        out.rings[i] = list[i].empty ? 0 : plan::ring_descriptor(list[i]);
        if (list[i].empty) continue;
        const auto from = aside.next.wanted.slots.begin() + aside.next.wanted.offsets[i];
        std::copy(from, from + (std::ptrdiff_t{1} << list[i].log2),
                  out.slots.begin() + list[i].offset);
    }
    return out;
}

void commit(Loaded& live, LaidAside aside, const plan::Overrides& overrides, plan::Instant now) {
    Loaded& next = aside.next;
    publish_rings(live, next);
    publish_ids(live, next);
    for (std::uint32_t i = 0; i < next.image.accounts.size(); ++i)
        live.generation->set_account(i, next.image.accounts[i]);
    for (const auto& member : next.image.members)
        (void)live.generation->set_member(member.id, plan::member_record(member));
    next.generation = std::move(live.generation);
    next.attachments = std::move(live.attachments);
    next.twin = std::move(live.twin);
    next.pinned = live.pinned;
    next.table_seed = live.table_seed;
    next.unwritten = std::move(live.unwritten);
    next.since = live.since;
    next.changes.emplace(next.scene(overrides), now, &*live.changes, next.before);
    // Old places of rings that moved are still mapped: flows that were refused there hold.
    for (std::size_t i = 0; i < next.image.ring_list.size(); ++i) {
        const auto& ring = next.image.ring_list[i];
        const auto& before = live.image.ring_list[i];
        if (!ring.empty && !before.empty && ring.offset != before.offset)
            merge_refusals(slots_of(*next.generation, before), slots_of(*next.generation, ring));
    }
    next.changes->aim_at(next.scene(overrides), next.wanted, now);
    next.wanted = {};
    live = std::move(next);
}

}  // namespace sluice::control
