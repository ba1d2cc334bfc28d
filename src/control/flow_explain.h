// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Where a packet would go now, and why: the data plane's own decision (abi/sluice/flow_decide.h)
/// on copies of the bucket and the accounts, so that nothing is written.

#include <optional>

#include "control/changes.h"
#include "control/status.h"
#include "kernel/state_maps.h"

namespace sluice::control {

struct FlowExplanation {
    std::uint64_t hash = 0;
    std::uint32_t slot = 0;
    std::uint64_t word = 0;
    std::uint64_t entry = 0;  ///< The live entry of this flow; 0: none.
    bool in_leaving = false;  ///< The entry is in the table that is being left.
    std::uint32_t bucket = 0;
    std::uint32_t member = 0;
    enum class Way { ring, remembered, previous, refused, held } way = Way::ring;
};

/// The service that a packet to this destination belongs to, as the data plane finds it.
const config::Service* service_for(const config::Config& config, const FlowTuple& tuple);

/// The flow hash of the tuple for a service.
std::uint64_t flow_hash(const config::Config& config, const config::Service& service,
                        const FlowTuple& tuple);

/// For a service with a ring that exists.
FlowExplanation explain_flow(const Changes::Scene& scene, const kernel::StateMaps& state,
                             const config::Service& service, std::uint32_t service_id,
                             const FlowTuple& tuple);

/// The member that the id of the packet names, or 0.
std::uint32_t member_by_id(const plan::Image& image, const config::Service& service,
                           const std::vector<std::uint8_t>& id);

}  // namespace sluice::control
