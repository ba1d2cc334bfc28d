// SPDX-License-Identifier: Apache-2.0
#include "kernel/state_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "kernel/bpffs.h"
#include "kernel/state_version.h"

namespace sluice::kernel {

/// What becomes of a map whose values are shorter than this version's.
enum class Shorter {
    summed,   ///< It is the first epoch, and has a successor.
    copied,   ///< Small, and of no great matter: a new one takes its place.
    refused,  ///< Its meaning is not that of this version.
};

/// One kind of state map.
struct StateKind {
    const char* name;
    bpf_map_type type;
    std::uint32_t value_size;
    std::uint32_t flags;
    std::uint32_t least;  ///< Entries of the first map, with room to grow.
    Shorter shorter;

    /// Counters, which have successors and two sets.
    [[nodiscard]] bool counts() const { return shorter == Shorter::summed; }
};

namespace {

constexpr StateKind kKinds[] = {
    {"slc_reason_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0,
     kReasonRows* SLC_FAMPROTO_COUNT, Shorter::summed},
    {"slc_service_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_service_counter), 0, 256,
     Shorter::summed},
    {"slc_flow_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_flow_counter), 0, 256,
     Shorter::summed},
    {"slc_member_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0, 1024,
     Shorter::summed},
    {"slc_customer_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0, 64,
     Shorter::summed},
    {"slc_policy_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0, 64, Shorter::summed},
    {"slc_mitigation_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0, 64,
     Shorter::summed},
    {"slc_limiters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_limiter), 0, 1, Shorter::copied},
    {"slc_sample_counts", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_u64), 0, 1, Shorter::copied},
    {"slc_frags", BPF_MAP_TYPE_ARRAY, sizeof(slc_frag_bucket), BPF_F_MMAPABLE, 0, Shorter::refused},
};

std::uint32_t wanted_entries(const StateKind& kind, const StateSizes& sizes) {
    const std::string name = kind.name;
    if (name == "slc_service_counters" || name == "slc_flow_counters") return sizes.services;
    if (name == "slc_member_counters") return sizes.members;
    if (name == "slc_customer_counters") return sizes.customers;
    if (name == "slc_policy_counters") return sizes.policies;
    if (name == "slc_frags") return sizes.frag_buckets;
    return kind.least;
}

Result<bpf_map_info> info_of(int fd, const std::string& name) {
    bpf_map_info info{};
    __u32 size = sizeof info;
    if (::bpf_obj_get_info_by_fd(fd, &info, &size) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "inspect " + name));
    }
    return info;
}

/// slc_member_counters, slc_member_counters_1; the second set's: slc_member_counters_canary,
/// slc_member_counters_canary_1.
std::string pin_name(const StateKind& kind, std::size_t set, std::size_t epoch) {
    std::string out = kind.name;
    if (set == 1) out += "_canary";
    return epoch == 0 ? out : out + "_" + std::to_string(epoch);
}

Result<UniqueFd> create(const StateKind& kind, std::uint32_t entries) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = kind.flags);
    UniqueFd fd(::bpf_map_create(kind.type, kind.name, sizeof(std::uint32_t), kind.value_size,
                                 entries, &options));
    if (fd.valid()) return fd;
    const int saved = errno;
    return fail(sys_error(saved, "create map with " + std::to_string(entries) + " entries"));
}

std::size_t padded(std::size_t size) {
    return (size + 7) / 8 * 8;
}

/// One map's row of values for all CPUs, from shorter values to this version's.
std::string widened(const std::string& row, std::size_t from, std::size_t to) {
    std::string out(row.size() / padded(from) * padded(to), '\0');
    for (std::size_t cpu = 0; cpu * padded(from) < row.size(); ++cpu)
        out.replace(cpu * padded(to), from, row, cpu * padded(from), from);
    return out;
}

/// A map of this version with what an earlier one's holds, pinned in its place. Generations of
/// before go on with theirs until they end.
Result<UniqueFd> copy(const StateKind& kind, int from, const bpf_map_info& info,
                      const std::string& path) {
    UniqueFd to = SLC_TRY(create(kind, info.max_entries), "copy");
    const auto cpus = static_cast<std::size_t>(std::max(::libbpf_num_possible_cpus(), 1));
    std::string row(padded(info.value_size) * cpus, '\0');
    for (std::uint32_t index = 0; index < info.max_entries; ++index) {
        const std::string wide = ::bpf_map_lookup_elem(from, &index, row.data()) == 0
                                     ? widened(row, info.value_size, kind.value_size)
                                     : std::string(padded(kind.value_size) * cpus, '\0');
        if (::bpf_map_update_elem(to.get(), &index, wide.data(), BPF_ANY) == 0) continue;
        const int saved = errno;
        return fail(sys_error(saved, "copy " + path));
    }
    SLC_CHECK(remove_pins(path + "_new"), "copy");
    SLC_CHECK(make_pin(to.get(), path + "_new"), "copy");
    SLC_CHECK(move_pin(path + "_new", path), "copy");
    return to;
}

}  // namespace

Result<StateMaps> StateMaps::open(const std::string& directory, const StateSizes& sizes) {
    StateMaps out = SLC_TRY(find(directory), "state");
    out.flows_ = SLC_TRY(FlowMap::open(directory, sizes.flows), "state");
    SLC_CHECK(out.make_missing(sizes), "state");
    return out;
}

Result<StateMaps> StateMaps::open(const std::string& directory, const StateSizes& sizes,
                                  FlowMap flows) {
    StateMaps out = SLC_TRY(find(directory), "state");
    out.flows_ = std::move(flows);
    SLC_CHECK(out.make_missing(sizes), "state");
    return out;
}

/// All that is pinned, before anything is made: what is refused is left as it was.
Result<StateMaps> StateMaps::find(const std::string& directory) {
    StateMaps out;
    out.directory_ = directory;
    SLC_CHECK(check_state_version(directory), "version");
    if (directory.empty()) return out;
    for (const StateKind& kind : kKinds)
        for (std::size_t set = 0; set < (kind.counts() ? 2 : 1); ++set)
            SLC_CHECK(out.find_pinned(kind, set), kind.name);
    out.read_start();
    return out;
}

Result<void> StateMaps::make_missing(const StateSizes& sizes) {
    samples_ = SLC_TRY(SampleMap::open(directory_), "samples");
    SLC_CHECK(fit(sizes), "sizes");
    return mark_state_version(directory_);
}

Result<void> StateMaps::find_pinned(const StateKind& kind, std::size_t set) {
    std::size_t epoch = 0;
    while (SLC_TRY(find_epoch(kind, set, directory_ + "/" + pin_name(kind, set, epoch)), "open"))
        ++epoch;
    return {};
}

/// False when nothing is pinned there.
Result<bool> StateMaps::find_epoch(const StateKind& kind, std::size_t set,
                                   const std::string& path) {
    auto pin = open_pin(path);
    if (!pin && pin.error().code == Errc::not_found) return false;
    UniqueFd fd = SLC_TRY(std::move(pin), "state");
    const bpf_map_info info = SLC_TRY(info_of(fd.get(), path), "state");
    const bool shorter = info.value_size < kind.value_size && kind.shorter != Shorter::refused;
    if (info.type != kind.type || (info.value_size != kind.value_size && !shorter))
        return fail(other_layout(path, info.value_size, kind.value_size));
    std::uint32_t value_size = info.value_size;
    if (shorter && kind.shorter == Shorter::copied) {
        fd = SLC_TRY(copy(kind, fd.get(), info, path), "state");
        value_size = kind.value_size;
    }
    sets_[set][kind.name].push_back({std::move(fd), info.max_entries, value_size});
    return true;
}

Result<void> StateMaps::fit(const StateSizes& sizes) {
    for (const StateKind& kind : kKinds) {
        SLC_CHECK(fit_one(kind, 0, wanted_entries(kind, sizes)), kind.name);
        if (kind.counts() && !sets_[1].empty())
            SLC_CHECK(fit_one(kind, 1, sets_[0].at(kind.name).back().entries), kind.name);
    }
    return {};
}

Result<void> StateMaps::fit_one(const StateKind& kind, std::size_t set, std::uint32_t wanted) {
    auto& epochs = sets_[set][kind.name];
    const bool fits = !epochs.empty() && epochs.back().value_size == kind.value_size &&
                      (!kind.counts() || epochs.back().entries >= wanted);
    if (fits) return {};
    std::uint32_t entries = std::max(kind.least, wanted);
    if (kind.counts()) entries = std::bit_ceil(entries);
    UniqueFd fd = SLC_TRY(create(kind, entries), "fit");
    if (!directory_.empty())
        SLC_CHECK(make_pin(fd.get(), directory_ + "/" + pin_name(kind, set, epochs.size())), "fit");
    epochs.push_back({std::move(fd), entries, kind.value_size});
    return {};
}

Result<void> StateMaps::open_canary(int live_counters) {
    const std::size_t set = 1 - set_of(live_counters);
    for (const StateKind& kind : kKinds)
        if (kind.counts())
            SLC_CHECK(fit_one(kind, 1, sets_[0].at(kind.name).back().entries), kind.name);
    canary_set_ = set;
    return write_start();
}

std::vector<std::pair<std::string, int>> StateMaps::current_of(std::size_t set) const {
    std::vector<std::pair<std::string, int>> out;
    for (const auto& [name, epochs] : sets_[0]) {
        const auto own = sets_[set].find(name);
        out.emplace_back(name, (own == sets_[set].end() ? epochs : own->second).back().fd.get());
    }
    out.emplace_back("slc_samples", samples_.fd());
    out.emplace_back("slc_flows", flows_.current().fd.get());
    if (flows_.leaving()) out.emplace_back("slc_flows_old", flows_.leaving()->fd.get());
    return out;
}

std::vector<std::pair<std::string, int>> StateMaps::current() const {
    return current_of(0);
}

std::vector<std::pair<std::string, int>> StateMaps::canary_current() const {
    return current_of(canary_set_);
}

std::uint32_t StateMaps::capacity(const std::string& name) const {
    const auto found = sets_[0].find(name);
    return found == sets_[0].end() ? 0 : found->second.back().entries;
}

std::uint32_t StateMaps::frag_buckets() const {
    return sets_[0].at("slc_frags").back().entries;
}

std::vector<StateMaps::Size> StateMaps::sizes() const {
    const auto cpus = static_cast<std::uint64_t>(std::max(::libbpf_num_possible_cpus(), 1));
    std::vector<Size> out;
    for (const StateKind& kind : kKinds) {
        Size size{kind.name, 0, 0};
        for (const Epochs& set : sets_) {
            const auto found = set.find(kind.name);
            if (found == set.end()) continue;
            for (const Epoch& epoch : found->second)
                size.bytes += std::uint64_t{epoch.entries} * epoch.value_size *
                              (kind.type == BPF_MAP_TYPE_PERCPU_ARRAY ? cpus : 1);
        }
        size.entries = sets_[0].at(kind.name).back().entries;
        out.push_back(size);
    }
    out.push_back({"slc_samples", cpus * SLC_SAMPLES_PER_CPU,
                   cpus * SLC_SAMPLES_PER_CPU * sizeof(slc_sample)});
    return out;
}

}  // namespace sluice::kernel
