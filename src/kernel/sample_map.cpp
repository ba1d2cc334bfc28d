// SPDX-License-Identifier: Apache-2.0
#include "kernel/sample_map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "kernel/sample_ring.h"

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

/// The coarse clock stands still for milliseconds, and each CPU counts for itself.
void sort_by_time(SampleRead& read) {
    std::vector<std::size_t> order(read.samples.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
        return read.samples[left].time_ns < read.samples[right].time_ns;
    });
    SampleRead sorted;
    sorted.lost = read.lost;
    sorted.is_cut = read.is_cut;
    for (const std::size_t at : order) {
        sorted.samples.push_back(read.samples[at]);
        sorted.cpus.push_back(read.cpus[at]);
    }
    read = std::move(sorted);
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

SampleRead SampleMap::read_behind(std::vector<std::uint64_t>& seen) const {
    const std::uint32_t cpus = entries_ / SLC_SAMPLES_PER_CPU;
    const std::span<slc_sample> all = memory_.records<slc_sample>(0, entries_);
    const auto ring_of = [&](std::uint32_t cpu) {
        return all.subspan(std::size_t{cpu} * SLC_SAMPLES_PER_CPU, SLC_SAMPLES_PER_CPU);
    };
    SampleRead out;
    const bool is_first = seen.size() != cpus;
    seen.resize(cpus);
    const std::size_t limit = std::max<std::size_t>(kMostSamplesRead / cpus, 16);
    for (std::uint32_t cpu = 0; cpu < cpus; ++cpu) {
        if (is_first) {
            const std::uint64_t newest = newest_in(ring_of(cpu));
            seen[cpu] = newest - std::min<std::uint64_t>(newest, SLC_SAMPLES_PER_CPU);
        }
        const std::uint64_t lost =
            kernel::read_behind(ring_of(cpu), seen[cpu], limit, out.samples, out.is_cut);
        if (!is_first) out.lost += lost;
        out.cpus.resize(out.samples.size(), cpu);
    }
    sort_by_time(out);
    return out;
}

}  // namespace sluice::kernel
