// SPDX-License-Identifier: Apache-2.0
#include "kernel/pinned_generation.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <atomic>
#include <cerrno>

#include "base/unique_fd.h"
#include "kernel/mapped_value.h"

namespace sluice::kernel {
namespace {

struct PinnedMap {
    UniqueFd fd;
    bpf_map_info info{};
};

Result<PinnedMap> open_map(const std::string& path) {
    PinnedMap out;
    out.fd.reset(::bpf_obj_get(path.c_str()));
    if (!out.fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open " + path));
    }
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

void read_rings(const MappedValue& live, const slc_node& node, PinnedGeneration& out) {
    const auto slots = live.records<std::uint64_t>(node.slots_at, node.slots);
    for (const std::uint64_t descriptor : live.records<std::uint64_t>(0, node.rings)) {
        PinnedRing ring{descriptor, {}};
        const std::uint64_t offset = SLC_RING_OFFSET(descriptor);
        const std::uint64_t size = std::uint64_t{1} << SLC_RING_LOG2(descriptor);
        if ((descriptor & SLC_RING_VALID) != 0 && lies_in(offset, size, 1, node.slots))
            for (std::uint64_t i = 0; i < size; ++i)
                ring.slots.push_back(std::atomic_ref(slots[offset + i]).load());
        out.rings.push_back(std::move(ring));
    }
}

}  // namespace

Result<std::optional<PinnedGeneration>> read_pinned_generation(const std::string& directory) {
    const PinnedMap constants = SLC_TRY(open_map(directory + "/_rodata_node"), "read generation");
    slc_node node{};
    if (constants.info.value_size != sizeof node) return std::nullopt;
    const std::uint32_t zero = 0;
    if (::bpf_map_lookup_elem(constants.fd.get(), &zero, &node) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "read " + directory + "/_rodata_node"));
    }
    const PinnedMap plan = SLC_TRY(open_map(directory + "/slc_plan"), "read generation");
    const PinnedMap live = SLC_TRY(open_map(directory + "/slc_live"), "read generation");
    const bool known =
        lies_in(node.services_at, node.services, sizeof(slc_service), plan.info.value_size) &&
        lies_in(0, node.rings, sizeof(slc_u64), live.info.value_size) &&
        lies_in(node.slots_at, node.slots, sizeof(slc_u64), live.info.value_size);
    if (!known) return std::nullopt;
    const auto plan_value = SLC_TRY(
        MappedValue::map(plan.fd.get(), plan.info.value_size, "slc_plan"), "read generation");
    const auto live_value = SLC_TRY(
        MappedValue::map(live.fd.get(), live.info.value_size, "slc_live"), "read generation");
    PinnedGeneration out;
    read_rings(live_value, node, out);
    const auto services = plan_value.records<slc_service>(node.services_at, node.services);
    for (std::uint32_t id = 1; id < services.size(); ++id)
        if (services[id].group != 0) out.services.emplace_back(id, services[id].ring);
    return std::optional(std::move(out));
}

}  // namespace sluice::kernel
