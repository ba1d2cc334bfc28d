// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `traffic delay`: takes whole IP packets that were routed into a dead end (--interface is its far
/// end) and sends them on their way after --ms milliseconds, with the mark --mark, by which rules
/// tell them from those that have not waited.

#include "base/result.h"
#include "traffic/options.h"

namespace sluice::traffic {

Result<void> run_delay(const Options& options);

}  // namespace sluice::traffic
