// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the flow table counts for all services together, in slices: a reading of 65,536 services on
/// many CPUs at once would hold up the event loop.

#include <cstdint>

#include "kernel/state_maps.h"
#include "sluice/types.h"

namespace sluice::kernel {

struct FlowCountsSlice {
    slc_flow_counter sum{};
    std::uint32_t next = 0;  ///< Service id to go on with.
    bool done = false;       ///< There are no more.
};

/// Services from id `from` on, as many as make about `rows` rows of one CPU each. Of the maps in
/// use, both sets; not of those that have a successor: nothing is counted there any more.
FlowCountsSlice sum_flow_counts(const StateMaps& state, std::uint32_t from, std::uint32_t rows);

/// Of a map of `state` by its name in the object; -1: there is none.
int state_map_fd(const StateMaps& state, const char* name);

}  // namespace sluice::kernel
