// SPDX-License-Identifier: Apache-2.0
#include "kernel/sample_ring.h"

#include <algorithm>
#include <atomic>
#include <optional>

namespace sluice::kernel {
namespace {

/// A sample is written within a microsecond, unless its CPU is taken away by a hypervisor: then the
/// reader comes back later.
constexpr int kPatience = 1000;

std::uint64_t seq_of(slc_sample& sample) {
    return std::atomic_ref<slc_u64>(sample.seq).load(std::memory_order_acquire);
}

/// What lies there, whole; nothing: it is being written, or nothing was yet.
std::optional<slc_sample> read_patiently(slc_sample& from) {
    slc_sample out{};
    for (int i = 0; i < kPatience; ++i)
        if (read_whole(from, out)) return out;
    return std::nullopt;
}

}  // namespace

bool read_whole(slc_sample& from, slc_sample& to) {
    const std::atomic_ref<slc_u64> seq(from.seq);
    const slc_u64 before = seq.load(std::memory_order_acquire);
    if (before == 0) return false;
    to = from;
    std::atomic_thread_fence(std::memory_order_acquire);
    const bool is_whole = seq.load(std::memory_order_relaxed) == before;
    to.seq = before;
    return is_whole;
}

std::uint64_t newest_in(std::span<slc_sample> ring) {
    std::uint64_t newest = 0;
    for (slc_sample& sample : ring) newest = std::max<std::uint64_t>(newest, seq_of(sample));
    return newest;
}

std::uint64_t read_behind(std::span<slc_sample> ring, std::uint64_t& seen, std::size_t limit,
                          std::vector<slc_sample>& out, bool& is_cut) {
    std::uint64_t lost = 0;
    for (std::size_t taken = 0; taken < limit;) {
        const std::uint64_t next = seen + 1;
        slc_sample& place = ring[seen % ring.size()];
        // The usual end: what lies there was read a lap ago.
        if (const std::uint64_t seq = seq_of(place); seq != 0 && seq < next) return lost;
        const auto found = read_patiently(place);
        if (!found || found->seq < next) return lost;
        if (found->seq > next) {
            // The writer has been here again: all that is a lap behind it is gone.
            const std::uint64_t oldest = found->seq - ring.size() + 1;
            lost += oldest - next;
            seen = oldest - 1;
            continue;
        }
        out.push_back(*found);
        seen = next;
        ++taken;
    }
    is_cut = true;
    return lost;
}

}  // namespace sluice::kernel
