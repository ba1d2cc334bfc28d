// SPDX-License-Identifier: Apache-2.0
#include "kernel/tables.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace sluice::kernel {
namespace {

/// Tables begin at cache lines, or two of them where a record spans two.
constexpr std::size_t kAlign = 128;
/// In reserve: 128 KiB, rings for some hundred backends.
constexpr std::uint32_t kLeastFreeSlots = 16384;

std::uint32_t at_least_one(std::size_t records) {
    return static_cast<std::uint32_t>(std::max<std::size_t>(records, 1));
}

/// Places one table behind what is there; the verifier lets no program step further into a value
/// than 512 MiB, so what is beyond is refused later and need not be exact.
template <typename Record>
void place(std::size_t& end, std::size_t records, slc_u32& count, slc_u32& at) {
    count = at_least_one(records);
    at = static_cast<slc_u32>(end);
    end = (end + count * sizeof(Record) + kAlign - 1) / kAlign * kAlign;
}

template <typename Record>
void copy(const MappedValue& value, std::size_t at, const std::vector<Record>& from) {
    if (from.empty()) return;
    std::memcpy(value.records<Record>(at, from.size()).data(), from.data(),
                from.size() * sizeof(Record));
}

/// Stores one prefix in an LPM trie with keys slc_lpm4 or slc_lpm6, whichever its family is.
Result<void> lpm_set(int fd, const IpPrefix& prefix, std::uint32_t value) {
    slc_lpm4 key4{prefix.len, prefix.address.ip4_be()};
    slc_lpm6 key6{prefix.len, {}};
    std::memcpy(key6.addr_be, prefix.address.bytes.data(), sizeof key6.addr_be);
    const void* key = prefix.address.is_ip6 ? static_cast<const void*>(&key6) : &key4;
    if (::bpf_map_update_elem(fd, key, &value, BPF_ANY) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "insert prefix " + prefix.text()));
}

Result<void> fill_tries(const BpfObject& object, const plan::Image& image) {
    for (const auto& entry : image.prefixes) {
        const char* trie = entry.prefix.address.is_ip6 ? "slc_prefixes6" : "slc_prefixes4";
        SLC_CHECK(lpm_set(object.map_fd(trie), entry.prefix, entry.record), trie);
    }
    for (const auto& prefix : image.peers) {
        const char* trie = prefix.address.is_ip6 ? "slc_peers6" : "slc_peers4";
        SLC_CHECK(lpm_set(object.map_fd(trie), prefix, 1), trie);
    }
    return {};
}

Result<void> fill_ranges(const BpfObject& object, const plan::Image& image) {
    const int fd = object.map_fd("slc_port_ranges");
    if (fd < 0) return {};  // The agent has no ports.
    for (std::uint32_t i = 0; i < image.ranges.size(); ++i) {
        if (::bpf_map_update_elem(fd, &i, &image.ranges[i], BPF_ANY) == 0) continue;
        const int saved = errno;
        return fail(sys_error(saved, "slc_port_ranges"));
    }
    return {};
}

Result<void> fill_server_ids(const BpfObject& object, const plan::Image& image) {
    const int fd = object.map_fd("slc_server_ids");
    for (const auto& id : image.server_ids) SLC_CHECK(set_server_id(fd, id), "fill");
    return {};
}

}  // namespace

Result<void> set_server_id(int map_fd, const plan::ImageServerId& id) {
    if (::bpf_map_update_elem(map_fd, &id.key, &id.member, BPF_ANY) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "slc_server_ids"));
}

Capacity capacity_for(const plan::Image& image) {
    Capacity out;
    const std::uint32_t members = image.highest_member + 1;
    const std::uint32_t more = std::max<std::uint32_t>(64, members / 8);
    out.members = std::min<std::uint32_t>(members + more, SLC_MAX_MEMBERS);
    std::uint32_t variants = 1;
    std::uint32_t largest = 0;
    for (const auto& member : image.members)
        variants = std::max(variants, static_cast<std::uint32_t>(std::popcount(member.variants)));
    for (const auto& ring : image.ring_list)
        if (!ring.empty) largest = std::max(largest, 1u << ring.log2);
    out.cells = 2 * image.templates + more * variants + 64;
    const auto slots = static_cast<std::uint32_t>(image.slots.size());
    out.slots = slots + std::max({2 * largest, slots / 8, kLeastFreeSlots});
    const auto ids = static_cast<std::uint32_t>(image.server_ids.size());
    out.server_ids = ids == 0 ? 0 : ids + std::max<std::uint32_t>(64, ids / 8);
    return out;
}

Layout lay_out(const plan::Image& image, const Capacity& capacity) {
    const auto at_least = [](std::size_t used, std::uint32_t wanted) {
        return std::max<std::size_t>(used, wanted);
    };
    Layout out;
    slc_node& node = out.node;
    node = image.node;
    slc_u32 start = 0;
    place<slc_vip>(out.plan_size, image.vips.size(), node.vips, start);
    place<slc_port_bucket>(out.plan_size, image.ports.size(), node.ports, node.ports_at);
    place<slc_service>(out.plan_size, image.services.size(), node.services, node.services_at);
    place<std::uint64_t>(out.live_size, image.rings.size(), node.rings, start);
    place<std::uint64_t>(out.live_size, at_least(image.slots.size(), capacity.slots), node.slots,
                         node.slots_at);
    place<slc_member>(out.live_size, at_least(image.highest_member + 1, capacity.members),
                      node.members, node.members_at);
    place<slc_template>(out.live_size, capacity.cells, node.templates, node.templates_at);
    place<slc_account>(out.live_size, image.accounts.size(), node.accounts, node.accounts_at);
    return out;
}

Result<void> size_tables(BpfObject& object, const plan::Image& image, const Capacity& capacity) {
    const Layout layout = lay_out(image, capacity);
    SLC_CHECK(object.set_value_size("slc_plan", layout.plan_size), "VIPs, ports and services");
    SLC_CHECK(object.set_value_size("slc_live", layout.live_size), "rings, backends and templates");
    const std::pair<const char*, std::size_t> sizes[] = {
        {"slc_server_ids", std::max<std::size_t>(image.server_ids.size(), capacity.server_ids)},
        {"slc_port_ranges", image.ranges.size()},
        {"slc_prefixes4", image.prefixes.size()},
        {"slc_prefixes6", image.prefixes.size()},
        {"slc_peers4", image.peers.size()},
        {"slc_peers6", image.peers.size()},
    };
    for (const auto& [name, entries] : sizes)
        SLC_CHECK(object.set_max_entries(name, at_least_one(entries)), "size tables");
    return {};
}

Result<void> fill_tables(const BpfObject& object, const plan::Image& image, const Layout& layout,
                         const SharedTables& shared) {
    if (!shared.has("slc_plan")) {
        const MappedValue plan = SLC_TRY(
            MappedValue::map(object.map_fd("slc_plan"), layout.plan_size, "slc_plan"), "fill");
        copy(plan, 0, image.vips);
        copy(plan, layout.node.ports_at, image.ports);
        copy(plan, layout.node.services_at, image.services);
    }
    if (!shared.has("slc_port_ranges")) SLC_CHECK(fill_ranges(object, image), "fill");
    SLC_CHECK(fill_server_ids(object, image), "fill");
    // All of them or none: see Generation::shared_with.
    return shared.has("slc_peers4") ? Result<void>() : fill_tries(object, image);
}

}  // namespace sluice::kernel
