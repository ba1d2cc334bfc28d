// SPDX-License-Identifier: Apache-2.0
#include "kernel/flow_counts.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <vector>

#include "kernel/row_reader.h"

namespace sluice::kernel {
namespace {

constexpr const char* kName = "slc_flow_counters";

int fd_of(const std::vector<std::pair<std::string, int>>& maps, const char* name) {
    for (const auto& [map, fd] : maps)
        if (map == name) return fd;
    return -1;
}

void add(slc_flow_counter& to, const slc_flow_counter& counter) {
    to.hits += counter.hits;
    to.misses += counter.misses;
    to.inserts += counter.inserts;
    to.refused_full += counter.refused_full;
    to.refused_ceiling += counter.refused_ceiling;
    to.held += counter.held;
    to.ids_unknown += counter.ids_unknown;
}

}  // namespace

int state_map_fd(const StateMaps& state, const char* name) {
    return fd_of(state.current(), name);
}

FlowCountsSlice sum_flow_counts(const StateMaps& state, std::uint32_t from, std::uint32_t rows) {
    FlowCountsSlice out;
    const auto cpus = static_cast<std::uint32_t>(std::max(::libbpf_num_possible_cpus(), 1));
    const std::uint32_t entries = state.capacity(kName);
    const std::uint32_t count =
        std::min(std::max(rows / cpus, 1u), entries - std::min(from, entries));
    std::vector<int> fds = {fd_of(state.maps_of(0), kName)};
    if (const int second = fd_of(state.maps_of(1), kName); second != fds[0]) fds.push_back(second);
    for (const int fd : fds)
        read_rows<slc_flow_counter>(fd, from, count, [&out](std::uint32_t, const auto& of_cpus) {
            for (const slc_flow_counter& counter : of_cpus) add(out.sum, counter);
        });
    out.next = from + count;
    out.done = out.next >= entries;
    return out;
}

}  // namespace sluice::kernel
