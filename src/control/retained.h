// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Generations that were in force and are still loaded. What the world said meanwhile (failures,
/// drains, weights, next hops, members that came and went, flows that are remembered) is written
/// into one before it is swapped back, so that a rollback revives nothing dead and cuts nothing
/// that was born meanwhile.

#include <cstdint>

#include "base/result.h"
#include "control/loaded.h"
#include "kernel/network_port.h"

namespace sluice::control {

/// What reconcile() did, for its figures.
struct Reconciled {
    std::uint32_t rings = 0;
    std::uint32_t rings_that_differ = 0;  ///< Were built anew.
};

/// Makes `target`, which carries no traffic, what it would be if it were loaded now; `before` is
/// what packets read. Errc::conflict says why it cannot be: then its configuration must be loaded
/// again. `target` is of no use after an error.
Result<Reconciled> reconcile(Loaded& target, Loaded& live, plan::LiveRings before,
                             const plan::IdStore& ids, const plan::Overrides& overrides,
                             kernel::NetworkPort& network);

}  // namespace sluice::control
