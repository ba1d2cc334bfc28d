// SPDX-License-Identifier: Apache-2.0
#include "kernel/sample_map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace sluice::kernel {
namespace {

constexpr const char* kName = "slc_samples";

std::uint32_t wanted_entries() {
    return static_cast<std::uint32_t>(std::max(::libbpf_num_possible_cpus(), 1)) *
           SLC_SAMPLES_PER_CPU;
}

Result<UniqueFd> make(const std::string& path) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    UniqueFd fd(::bpf_map_create(BPF_MAP_TYPE_ARRAY, kName, sizeof(std::uint32_t),
                                 sizeof(slc_sample), wanted_entries(), &options));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "create"));
    }
    if (!path.empty() && ::bpf_obj_pin(fd.get(), path.c_str()) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "pin " + path));
    }
    return fd;
}

Result<UniqueFd> find(const std::string& path) {
    UniqueFd fd(::bpf_obj_get(path.c_str()));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open " + path));
    }
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "inspect " + path));
    }
    if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != sizeof(slc_sample) ||
        info.max_entries != wanted_entries())
        return fail(Errc::conflict, path + " has another layout than this version's",
                    "it was left by another version: sluiced --detach removes it");
    return fd;
}

/// A copy that no writer has changed meanwhile; false where there is none.
bool read_whole(slc_sample& from, slc_sample& to) {
    const std::atomic_ref<slc_u64> seq(from.seq);
    const slc_u64 before = seq.load(std::memory_order_acquire);
    if (before == 0) return false;
    to = from;
    std::atomic_thread_fence(std::memory_order_acquire);
    return seq.load(std::memory_order_relaxed) == before;
}

}  // namespace

Result<SampleMap> SampleMap::open(const std::string& directory) {
    SampleMap out;
    const std::string path = directory.empty() ? "" : directory + "/" + kName;
    auto fd = path.empty() ? make(path) : find(path);
    if (!fd && !path.empty() && fd.error().code == Errc::not_found) fd = make(path);
    out.fd_ = SLC_TRY(std::move(fd), kName);
    out.entries_ = wanted_entries();
    out.memory_ = SLC_TRY(
        MappedValue::map(out.fd_.get(), std::size_t{out.entries_} * sizeof(slc_sample), kName),
        "map");
    return out;
}

std::vector<slc_sample> SampleMap::read() const {
    std::vector<slc_sample> out;
    for (slc_sample& from : memory_.records<slc_sample>(0, entries_)) {
        slc_sample sample{};
        if (read_whole(from, sample)) out.push_back(sample);
    }
    // The coarse clock stands still for milliseconds, and each CPU counts for itself.
    std::stable_sort(out.begin(), out.end(), [](const slc_sample& left, const slc_sample& right) {
        return left.time_ns != right.time_ns ? left.time_ns < right.time_ns : left.seq < right.seq;
    });
    return out;
}

}  // namespace sluice::kernel
