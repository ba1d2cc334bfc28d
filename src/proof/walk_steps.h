// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The sentences of a walk (walk.h), stage by stage. Pure. Only walk.cpp includes it.

#include "proof/walk.h"

namespace sluice::proof {

/// `out` has its outcome already; `service` is null for a packet that found none.
void add_steps(const Trace& trace, const WalkScene& scene, const config::Service* service,
               Walk& out);

}  // namespace sluice::proof
