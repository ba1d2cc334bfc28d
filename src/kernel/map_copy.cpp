// SPDX-License-Identifier: Apache-2.0
#include "kernel/map_copy.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace sluice::kernel {
namespace {

bool is_per_cpu(std::uint32_t type) {
    return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
           type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

bool is_copied(std::uint32_t type) {
    return is_per_cpu(type) || type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_HASH ||
           type == BPF_MAP_TYPE_LRU_HASH;
}

/// How an entry's values lie in the memory that the kernel copies: one, or one for each CPU.
struct Row {
    explicit Row(const MapShape& shape) : value(shape.value_size), stride(value) {
        if (!is_per_cpu(shape.type)) return;
        stride = (value + 7) / 8 * 8;
        count = static_cast<std::size_t>(std::max(::libbpf_num_possible_cpus(), 1));
    }
    std::size_t value;
    std::size_t stride;
    std::size_t count = 1;
};

std::string widened(const std::string& values, const Row& from, const Row& to) {
    std::string out(to.stride * to.count, '\0');
    for (std::size_t i = 0; i < from.count; ++i)
        out.replace(i * to.stride, from.value, values, i * from.stride, from.value);
    return out;
}

}  // namespace

bool MapShape::fits_in(const MapShape& larger) const {
    return type == larger.type && key_size == larger.key_size && flags == larger.flags &&
           value_size <= larger.value_size && max_entries <= larger.max_entries;
}

Result<MapShape> shape_of(int map_fd) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(map_fd, &info, &size) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "inspect a map"));
    }
    return MapShape{info.type, info.key_size, info.value_size, info.max_entries, info.map_flags};
}

Result<std::uint64_t> copy_entries(int from, int to, bool only_missing) {
    const MapShape source = SLC_TRY(shape_of(from), "copy");
    const MapShape target = SLC_TRY(shape_of(to), "copy");
    if (!is_copied(source.type) || !source.fits_in(target))
        return fail(Errc::unsupported, "copy: maps of these kinds and sizes are not copied");
    const Row narrow(source);
    const Row wide(target);
    std::string key(source.key_size, '\0');
    std::string next(source.key_size, '\0');
    std::string values(narrow.stride * narrow.count, '\0');
    std::uint64_t written = 0;
    // Packets may remove entries meanwhile, and then the kernel begins again: a bound all the same.
    std::uint64_t steps = 4 * std::uint64_t{source.max_entries} + 16;
    const void* before = nullptr;
    while (steps-- > 0 && ::bpf_map_get_next_key(from, before, next.data()) == 0) {
        key = next;
        before = key.data();
        if (::bpf_map_lookup_elem(from, key.data(), values.data()) != 0) continue;
        const std::string out = widened(values, narrow, wide);
        const int put =
            ::bpf_map_update_elem(to, key.data(), out.data(), only_missing ? BPF_NOEXIST : BPF_ANY);
        const int saved = errno;
        if (put != 0 && !(only_missing && saved == EEXIST))
            return fail(sys_error(saved, "copy an entry"));
        if (put == 0) ++written;
    }
    return written;
}

}  // namespace sluice::kernel
