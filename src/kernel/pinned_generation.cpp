// SPDX-License-Identifier: Apache-2.0
#include "kernel/pinned_generation.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <atomic>
#include <cerrno>

#include "base/unique_fd.h"
#include "kernel/bpffs.h"
#include "kernel/generation_pins.h"
#include "kernel/mapped_value.h"

namespace sluice::kernel {
namespace {

struct PinnedMap {
    UniqueFd fd;
    bpf_map_info info{};
};

Result<PinnedMap> open_map(const std::string& path) {
    PinnedMap out;
    out.fd = SLC_TRY(open_pin(path), "map");
    __u32 size = sizeof out.info;
    if (::bpf_obj_get_info_by_fd(out.fd.get(), &out.info, &size) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "inspect " + path));
    }
    return out;
}

/// Whether `count` records of `size` bytes at `at` lie in a value of `whole` bytes.
bool lies_in(std::uint64_t at, std::uint64_t count, std::uint64_t size, std::uint64_t whole) {
    return at <= whole && count * size <= whole - at;
}

/// The constants of a generation, and its tables as memory.
struct Mapped {
    slc_node node{};
    MappedValue plan;
    MappedValue live;
};

bool is_known_layout(const slc_node& node, std::uint64_t plan, std::uint64_t live) {
    return lies_in(0, node.vips, sizeof(slc_vip), plan) &&
           lies_in(node.ports_at, node.ports, sizeof(slc_port_bucket), plan) &&
           lies_in(node.services_at, node.services, sizeof(slc_service), plan) &&
           lies_in(0, node.rings, sizeof(slc_u64), live) &&
           lies_in(node.slots_at, node.slots, sizeof(slc_u64), live) &&
           lies_in(node.members_at, node.members, sizeof(slc_member), live) &&
           lies_in(node.accounts_at, node.accounts, sizeof(slc_account), live);
}

/// Nothing when the layout is another version's.
Result<std::optional<Mapped>> map_generation(const std::string& directory) {
    const PinnedMap constants = SLC_TRY(open_map(directory + "/_rodata_node"), "read generation");
    Mapped out;
    if (constants.info.value_size != sizeof out.node) return std::nullopt;
    const std::uint32_t zero = 0;
    if (::bpf_map_lookup_elem(constants.fd.get(), &zero, &out.node) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "read " + directory + "/_rodata_node"));
    }
    const PinnedMap plan = SLC_TRY(open_map(directory + "/slc_plan"), "read generation");
    const PinnedMap live = SLC_TRY(open_map(directory + "/slc_live"), "read generation");
    if (!is_known_layout(out.node, plan.info.value_size, live.info.value_size)) return std::nullopt;
    out.plan = SLC_TRY(MappedValue::map(plan.fd.get(), plan.info.value_size, "slc_plan"),
                       "read generation");
    out.live = SLC_TRY(MappedValue::map(live.fd.get(), live.info.value_size, "slc_live"),
                       "read generation");
    return std::optional(std::move(out));
}

void read_rings(const MappedValue& live, const slc_node& node, PinnedGeneration& out) {
    const auto slots = live.records<std::uint64_t>(node.slots_at, node.slots);
    for (std::uint64_t& place : live.records<std::uint64_t>(0, node.rings)) {
        const std::uint64_t descriptor = std::atomic_ref(place).load();
        PinnedRing ring{descriptor, {}, 0};
        const std::uint64_t offset = SLC_RING_OFFSET(descriptor);
        const std::uint64_t size = std::uint64_t{1} << SLC_RING_LOG2(descriptor);
        if ((descriptor & SLC_RING_VALID) != 0 && lies_in(offset, size, 1, node.slots))
            for (std::uint64_t i = 0; i < size; ++i)
                ring.slots.push_back(std::atomic_ref(slots[offset + i]).load());
        out.rings.push_back(std::move(ring));
    }
}

// ---- maps with keys ----

/// Every key and value of a pinned map. A map that changes meanwhile is read as far as it went.
template <typename Key, typename Value, typename Take>
Result<void> for_each(const std::string& path, Take take) {
    const PinnedMap map = SLC_TRY(open_map(path), "read");
    if (map.info.key_size != sizeof(Key) || map.info.value_size != sizeof(Value))
        return fail(Errc::unsupported, path + ": keys or values of another size");
    Key at{};
    Key next{};
    const Key* before = nullptr;
    // As many as it can hold: the kernel begins again where a key was removed meanwhile.
    for (std::uint64_t i = 0; i <= map.info.max_entries; ++i) {
        if (::bpf_map_get_next_key(map.fd.get(), before, &next) != 0) {
            const int saved = errno;
            if (saved == ENOENT) return {};
            return fail(sys_error(saved, "walk " + path));
        }
        Value value{};
        if (::bpf_map_lookup_elem(map.fd.get(), &next, &value) == 0) take(next, value);
        at = next;
        before = &at;
    }
    return {};
}

IpPrefix prefix_of(const slc_lpm4& key) {
    return {IpAddress::from_ip4(key.addr_be), static_cast<std::uint8_t>(key.prefix_len)};
}

IpPrefix prefix_of(const slc_lpm6& key) {
    return {IpAddress::from_ip6(key.addr_be), static_cast<std::uint8_t>(key.prefix_len)};
}

Result<void> read_tries(const std::string& directory, plan::KernelTables& out) {
    const auto prefix = [&out](const auto& key, std::uint32_t record) {
        out.prefixes.push_back({prefix_of(key), record});
    };
    const auto peer = [&out](const auto& key, std::uint32_t /*one*/) {
        out.peers.push_back(prefix_of(key));
    };
    SLC_CHECK((for_each<slc_lpm4, std::uint32_t>(directory + "/slc_prefixes4", prefix)), "tables");
    SLC_CHECK((for_each<slc_lpm6, std::uint32_t>(directory + "/slc_prefixes6", prefix)), "tables");
    SLC_CHECK((for_each<slc_lpm4, std::uint32_t>(directory + "/slc_peers4", peer)), "tables");
    SLC_CHECK((for_each<slc_lpm6, std::uint32_t>(directory + "/slc_peers6", peer)), "tables");
    return {};
}

template <typename Record>
void copy(const MappedValue& value, std::size_t at, std::size_t count, std::vector<Record>& out) {
    const auto records = value.records<Record>(at, count);
    out.assign(records.begin(), records.end());
}

}  // namespace

Result<std::optional<PinnedGeneration>> read_pinned_generation(const std::string& directory) {
    const auto mapped = SLC_TRY(map_generation(directory), "generation");
    if (!mapped) return std::nullopt;
    const slc_node& node = mapped->node;
    PinnedGeneration out;
    read_rings(mapped->live, node, out);
    const auto services = mapped->plan.records<slc_service>(node.services_at, node.services);
    for (std::uint32_t id = 1; id < services.size(); ++id)
        if (services[id].group != 0) {
            out.services.emplace_back(id, services[id].ring);
            if (services[id].ring < out.rings.size())
                out.rings[services[id].ring].group = services[id].group;
        }
    return std::optional(std::move(out));
}

Result<plan::KernelTables> read_pinned_tables(const std::string& directory) {
    const auto mapped = SLC_TRY(map_generation(directory), "generation");
    if (!mapped)
        return fail(Errc::unsupported, directory + ": tables of another version of Sluice",
                    "use the version that wrote them");
    plan::KernelTables out;
    out.node = mapped->node;
    copy(mapped->plan, 0, out.node.vips, out.vips);
    copy(mapped->plan, out.node.ports_at, out.node.ports, out.ports);
    copy(mapped->plan, out.node.services_at, out.node.services, out.services);
    copy(mapped->live, 0, out.node.rings, out.rings);
    copy(mapped->live, out.node.members_at, out.node.members, out.members);
    copy(mapped->live, out.node.accounts_at, out.node.accounts, out.accounts);
    SLC_CHECK(
        (for_each<std::uint32_t, slc_ranges>(directory + "/slc_port_ranges",
                                             [&out](std::uint32_t index, const slc_ranges& ranges) {
                                                 if (index >= out.ranges.size())
                                                     out.ranges.resize(std::size_t{index} + 1);
                                                 out.ranges[index] = ranges;
                                             })),
        "tables");
    SLC_CHECK((for_each<slc_server_id, std::uint32_t>(
                  directory + "/slc_server_ids",
                  [&out](const slc_server_id& key, std::uint32_t member) {
                      out.server_ids.push_back({key, member});
                  })),
              "tables");
    SLC_CHECK(read_tries(directory, out), "tables");
    return out;
}

Result<config::Config> config_of_generation(const std::string& directory) {
    const std::string text = SLC_TRY(read_meta(directory), directory);
    const plan::Meta meta = SLC_TRY(plan::parse_meta(text), directory);
    const plan::KernelTables tables = SLC_TRY(read_pinned_tables(directory), "read");
    return plan::read_back(tables, meta);
}

Result<std::string> find_live_generation(const std::string& bpffs, const std::string& node) {
    const std::string path = bpffs + "/" + node;
    auto progs = open_pin(path + "/root" + "/slc_root_progs");
    if (!progs && progs.error().code == Errc::not_found)
        return fail(Errc::not_found, "no instance " + node + " below " + bpffs,
                    "sluice instance list shows those of this machine");
    const UniqueFd array = SLC_TRY(std::move(progs), "instance " + node);
    const std::uint32_t live = SLC_TRY(slot_program(array.get(), 0), "instance " + node);
    const std::string gen = path + "/gen";
    if (live != 0)
        for (const std::uint32_t number : pinned_numbers(gen)) {
            std::string directory = generation_directory(gen, number);
            if (entry_program_id(directory) == live) return directory;
        }
    return fail(Errc::not_found, "instance " + node + ": no pinned generation is live");
}

Result<config::Config> config_from_kernel(const std::string& bpffs, const std::string& node) {
    return config_of_generation(SLC_TRY(find_live_generation(bpffs, node), "kernel"));
}

}  // namespace sluice::kernel
