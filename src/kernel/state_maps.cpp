// SPDX-License-Identifier: Apache-2.0
#include "kernel/state_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <bit>
#include <cerrno>

namespace sluice::kernel {

/// One kind of state map.
struct StateKind {
    const char* name;
    bpf_map_type type;
    std::uint32_t value_size;
    std::uint32_t flags;
    std::uint32_t least;  ///< Entries of the first map, with room to grow.
    bool grows;           ///< Has successors; else the first map is kept as it is.
};

namespace {

constexpr StateKind kKinds[] = {
    {"slc_reason_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0,
     kReasonRows* SLC_FAMPROTO_COUNT, false},
    {"slc_service_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_service_counter), 0, 256, true},
    {"slc_flow_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_flow_counter), 0, 256, true},
    {"slc_member_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0, 1024, true},
    {"slc_customer_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0, 64, true},
    {"slc_policy_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0, 64, true},
    {"slc_mitigation_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_counter), 0, 64, true},
    {"slc_limiters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_limiter), 0, 1, false},
    {"slc_sample_counts", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(slc_u64), 0, 1, false},
    {"slc_frags", BPF_MAP_TYPE_ARRAY, sizeof(slc_frag_bucket), BPF_F_MMAPABLE, 0, false},
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

std::string pin_name(const StateKind& kind, std::size_t epoch) {
    return epoch == 0 ? kind.name : std::string(kind.name) + "_" + std::to_string(epoch);
}

void add(slc_counter& to, const slc_counter& from) {
    to.packets += from.packets;
    to.bytes += from.bytes;
}

void add(slc_service_counter& to, const slc_service_counter& from) {
    to.packets += from.packets;
    to.bytes += from.bytes;
    to.dropped_packets += from.dropped_packets;
    to.dropped_bytes += from.dropped_bytes;
}

void add(slc_flow_counter& to, const slc_flow_counter& from) {
    to.hits += from.hits;
    to.misses += from.misses;
    to.inserts += from.inserts;
    to.refused_full += from.refused_full;
    to.refused_ceiling += from.refused_ceiling;
    to.held += from.held;
    to.ids_unknown += from.ids_unknown;
}

}  // namespace

Result<StateMaps> StateMaps::open(const std::string& directory, const StateSizes& sizes) {
    StateMaps out = SLC_TRY(open_all_but_flows(directory, sizes), "state");
    out.flows_ = SLC_TRY(FlowMap::open(directory, sizes.flows), "state");
    return out;
}

Result<StateMaps> StateMaps::open(const std::string& directory, const StateSizes& sizes,
                                  FlowMap flows) {
    StateMaps out = SLC_TRY(open_all_but_flows(directory, sizes), "state");
    out.flows_ = std::move(flows);
    return out;
}

Result<StateMaps> StateMaps::open_all_but_flows(const std::string& directory,
                                                const StateSizes& sizes) {
    StateMaps out;
    out.directory_ = directory;
    if (!directory.empty())
        for (const StateKind& kind : kKinds) SLC_CHECK(out.find_pinned(kind), kind.name);
    SLC_CHECK(out.fit(sizes), "sizes");
    out.samples_ = SLC_TRY(SampleMap::open(directory), "samples");
    return out;
}

Result<void> StateMaps::find_pinned(const StateKind& kind) {
    for (std::size_t epoch = 0;; ++epoch) {
        const std::string path = directory_ + "/" + pin_name(kind, epoch);
        const int fd = ::bpf_obj_get(path.c_str());
        const int saved = errno;
        if (fd < 0 && saved == ENOENT) return {};
        if (fd < 0) return fail(sys_error(saved, "open " + path));
        UniqueFd owned(fd);
        const bpf_map_info info = SLC_TRY(info_of(owned.get(), path), "state");
        if (info.type != kind.type || info.value_size != kind.value_size)
            return fail(Errc::conflict, path + " has another layout than this version's",
                        "it was left by another version: sluiced --detach removes it");
        maps_[kind.name].push_back({std::move(owned), info.max_entries});
    }
}

Result<void> StateMaps::fit(const StateSizes& sizes) {
    for (const StateKind& kind : kKinds)
        SLC_CHECK(fit_one(kind, wanted_entries(kind, sizes)), kind.name);
    return {};
}

Result<void> StateMaps::fit_one(const StateKind& kind, std::uint32_t wanted) {
    auto& epochs = maps_[kind.name];
    if (!epochs.empty() && (!kind.grows || epochs.back().entries >= wanted)) return {};
    std::uint32_t entries = std::max(kind.least, wanted);
    if (kind.grows) entries = std::bit_ceil(entries);
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = kind.flags);
    UniqueFd fd(::bpf_map_create(kind.type, kind.name, sizeof(std::uint32_t), kind.value_size,
                                 entries, &options));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "create map with " + std::to_string(entries) + " entries"));
    }
    if (!directory_.empty()) {
        const std::string path = directory_ + "/" + pin_name(kind, epochs.size());
        if (::bpf_obj_pin(fd.get(), path.c_str()) != 0) {
            const int saved = errno;
            return fail(sys_error(saved, "pin " + path));
        }
    }
    epochs.push_back({std::move(fd), entries});
    return {};
}

std::vector<std::pair<std::string, int>> StateMaps::current() const {
    std::vector<std::pair<std::string, int>> out;
    for (const auto& [name, epochs] : maps_) out.emplace_back(name, epochs.back().fd.get());
    out.emplace_back("slc_samples", samples_.fd());
    out.emplace_back("slc_flows", flows_.current().fd.get());
    if (flows_.leaving()) out.emplace_back("slc_flows_old", flows_.leaving()->fd.get());
    return out;
}

std::uint32_t StateMaps::frag_buckets() const {
    return maps_.at("slc_frags").back().entries;
}

template <typename Value>
std::vector<Value> StateMaps::sum(const std::string& name) const {
    const int cpus = ::libbpf_num_possible_cpus();
    const auto found = maps_.find(name);
    std::vector<Value> out;
    if (found == maps_.end() || cpus <= 0) return out;
    std::vector<Value> row(static_cast<std::size_t>(cpus));
    for (const Epoch& epoch : found->second) {
        out.resize(std::max<std::size_t>(out.size(), epoch.entries));
        for (std::uint32_t index = 0; index < epoch.entries; ++index) {
            if (::bpf_map_lookup_elem(epoch.fd.get(), &index, row.data()) != 0) continue;
            for (const Value& value : row) add(out[index], value);
        }
    }
    return out;
}

std::vector<slc_counter> StateMaps::reasons() const {
    return sum<slc_counter>("slc_reason_counters");
}
std::vector<slc_service_counter> StateMaps::services() const {
    return sum<slc_service_counter>("slc_service_counters");
}
std::vector<slc_counter> StateMaps::members() const {
    return sum<slc_counter>("slc_member_counters");
}
slc_counter StateMaps::member(std::uint32_t id) const {
    slc_counter out{};
    std::vector<slc_counter> row(
        static_cast<std::size_t>(std::max(::libbpf_num_possible_cpus(), 1)));
    for (const Epoch& epoch : maps_.at("slc_member_counters")) {
        if (id >= epoch.entries || ::bpf_map_lookup_elem(epoch.fd.get(), &id, row.data()) != 0)
            continue;
        for (const slc_counter& value : row) add(out, value);
    }
    return out;
}

std::vector<slc_counter> StateMaps::customers() const {
    return sum<slc_counter>("slc_customer_counters");
}
std::vector<slc_counter> StateMaps::policies() const {
    return sum<slc_counter>("slc_policy_counters");
}

std::vector<slc_flow_counter> StateMaps::flow_counters() const {
    return sum<slc_flow_counter>("slc_flow_counters");
}

std::vector<StateMaps::Size> StateMaps::sizes() const {
    const auto cpus = static_cast<std::uint64_t>(std::max(::libbpf_num_possible_cpus(), 1));
    std::vector<Size> out;
    for (const StateKind& kind : kKinds) {
        Size size{kind.name, 0, 0};
        for (const Epoch& epoch : maps_.at(kind.name)) {
            size.entries = epoch.entries;
            size.bytes += std::uint64_t{epoch.entries} * kind.value_size *
                          (kind.type == BPF_MAP_TYPE_PERCPU_ARRAY ? cpus : 1);
        }
        out.push_back(size);
    }
    out.push_back({"slc_samples", cpus * SLC_SAMPLES_PER_CPU,
                   cpus * SLC_SAMPLES_PER_CPU * sizeof(slc_sample)});
    return out;
}

}  // namespace sluice::kernel
