// SPDX-License-Identifier: Apache-2.0
#include "kernel/state_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "kernel/bpffs.h"
#include "kernel/map_copy.h"
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
     SLC_REASON_INDEX(SLC_INTERFACE_ROWS - 1, SLC_REASON_ROWS, 0), Shorter::summed},
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
    {"slc_drop_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0, 256 * SLC_DROP_ROWS,
     Shorter::summed},
    {"slc_limiters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_limiter), 0, 1, Shorter::copied},
    {"slc_reject_limiters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_limiter), 0, 1, Shorter::copied},
    {"slc_sample_counts", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_u64), 0, 1, Shorter::copied},
    {"slc_drop_stamps", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_u64), 0, SLC_REASON_ROWS,
     Shorter::copied},
    {"slc_talkers", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_talker_bucket), 0, SLC_TALKER_BUCKETS,
     Shorter::copied},
    {"slc_frags", BPF_MAP_TYPE_ARRAY, sizeof(slc_frag_bucket), BPF_F_MMAPABLE, 0, Shorter::refused},
};

std::uint32_t wanted_entries(const StateKind& kind, const StateSizes& sizes) {
    const std::string name = kind.name;
    if (name == "slc_service_counters" || name == "slc_flow_counters") return sizes.services;
    if (name == "slc_drop_counters") return sizes.services * SLC_DROP_ROWS;
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

/// A map of this version with what an earlier one's holds, pinned in its place. Generations of
/// before go on with theirs until they end.
Result<UniqueFd> copy(const StateKind& kind, int from, std::uint32_t entries,
                      const std::string& path) {
    UniqueFd to = SLC_TRY(create(kind, entries), "copy");
    SLC_TRY(copy_entries(from, to.get()), path);
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
        fd = SLC_TRY(copy(kind, fd.get(), info.max_entries, path), "state");
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
    made_.emplace_back(set, kind.name);
    return {};
}

void StateMaps::undo_fit() {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
        auto& epochs = sets_[made->first][made->second];
        epochs.pop_back();
        const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                       [&](const auto& each) { return made->second == each.name; });
        if (!directory_.empty())
            (void)remove_pins(directory_ + "/" + pin_name(*kind, made->first, epochs.size()));
        if (epochs.empty()) sets_[made->first].erase(made->second);
    }
    made_.clear();
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
