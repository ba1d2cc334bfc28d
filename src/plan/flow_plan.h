// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a configuration asks of the flow table (abi/sluice/flow.h): its size and tick, how long
/// each service's flows are remembered, who may use how much of it, and by which ids packets name
/// backends. Pure.

#include <chrono>
#include <cstdint>
#include <vector>

#include "config/model.h"
#include "sluice/flow.h"
#include "sluice/types.h"

namespace sluice::plan {

/// Size and tick of a flow table.
struct FlowGeometry {
    std::uint8_t log2 = SLC_FLOW_MIN_LOG2;    ///< Buckets.
    std::uint8_t shift = SLC_FLOW_MIN_SHIFT;  ///< A tick is 2^shift nanoseconds.

    [[nodiscard]] std::uint64_t entries() const { return std::uint64_t{SLC_FLOW_WAYS} << log2; }
    [[nodiscard]] std::chrono::nanoseconds tick() const {
        return std::chrono::nanoseconds(std::int64_t{1} << shift);
    }
    bool operator==(const FlowGeometry&) const = default;
};

/// The table that holds node.flow_entries, with the shortest tick that lets the longest lifetime
/// of any service fit in SLC_FLOW_MAX_TICKS.
FlowGeometry flow_geometry(const config::Config& config);

/// Ticks that are at least as long: 1..SLC_FLOW_MAX_TICKS.
std::uint8_t ticks_of(std::chrono::seconds lifetime, std::uint8_t shift);

/// How long a change of a ring stays open for this service: the idle lifetime of what it carries.
std::chrono::seconds window_of(const config::Service& service);

/// The flow fields of a service's record.
void fill_flow_fields(const config::Service& service, std::uint8_t shift, slc_service& record);

/// [0] is what nobody has reserved, [1 + g] the account of group g. Nothing is used yet.
std::vector<slc_account> flow_accounts(const config::Config& config, std::uint64_t entries);

/// Keys of slc_server_ids under which packets of the services on a group may name a backend.
std::vector<slc_server_id> server_id_keys(const config::Config& config, std::size_t group,
                                          const config::Backend& backend);

}  // namespace sluice::plan
