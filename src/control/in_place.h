// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The entry and map roads: a configuration that differs in backends only takes effect within the
/// loaded tables. First everything is written where no packet looks; then descriptors, accounts and
/// slots move, each by one aligned store; a refusal before that leaves nothing behind.
///
///   lay_aside() -> propose() to a twin -> commit() or abandon()

#include <vector>

#include "base/result.h"
#include "control/loaded.h"
#include "kernel/network_port.h"

namespace sluice::control {

struct LaidAside {
    Loaded next;  ///< Without a generation; its image lies as the live tables do.
    std::vector<std::uint32_t> added;  ///< Members that had no record.
    std::uint32_t slots_before = 0;    ///< First slot that was taken.
    bool took_slots = false;
};

/// `next` was compiled beside `live`: same services, groups and rings in the same order. Errors:
/// limit when the reserves do not suffice; internal when the two do not fit each other.
Result<LaidAside> lay_aside(Loaded& live, Loaded next, kernel::NetworkPort& network);
void abandon(Loaded& live, const LaidAside& aside);

/// The slot pool of `live` as it shall be, and its ring descriptors.
struct Proposal {
    std::vector<std::uint64_t> slots;
    std::vector<std::uint64_t> rings;
};
Proposal propose(Loaded& live, const LaidAside& aside);

/// Into effect; cannot fail. `live` becomes the new configuration.
void commit(Loaded& live, LaidAside aside, const plan::Overrides& overrides, plan::Instant now);

}  // namespace sluice::control
