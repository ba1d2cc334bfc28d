// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Entries of a per-CPU array, many with one system call where the kernel has it for this map.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <span>
#include <vector>

namespace sluice::kernel {

/// Calls `take(index, values of all CPUs)` for entries `from` .. `from + count`, those of the map's
/// that there are. `Value` is the map's, a multiple of eight bytes.
template <typename Value, typename Take>
void read_rows(int fd, std::uint32_t from, std::uint32_t count, const Take& take) {
    static_assert(sizeof(Value) % 8 == 0);  // Else the kernel pads between CPUs.
    constexpr std::uint32_t kBatch = 256;
    const auto cpus = static_cast<std::size_t>(std::max(::libbpf_num_possible_cpus(), 1));
    std::vector<std::uint32_t> keys(kBatch);
    std::vector<Value> rows(kBatch * cpus);
    const std::uint32_t end = from + count;
    std::uint32_t at = from;
    while (at < end) {
        std::uint32_t got = std::min(end - at, kBatch);
        std::uint32_t before = at - 1;  // The batch begins behind this key.
        std::uint32_t last = 0;
        const int error = ::bpf_map_lookup_batch(fd, at == 0 ? nullptr : &before, &last,
                                                 keys.data(), rows.data(), &got, nullptr);
        if (got == 0 || (error != 0 && errno != ENOENT)) break;
        for (std::uint32_t i = 0; i < got; ++i)
            take(keys[i], std::span<const Value>(rows.data() + i * cpus, cpus));
        at += got;
    }
    for (; at < end; ++at)
        if (::bpf_map_lookup_elem(fd, &at, rows.data()) == 0)
            take(at, std::span<const Value>(rows.data(), cpus));
}

}  // namespace sluice::kernel
