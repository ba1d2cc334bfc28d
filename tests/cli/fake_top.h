// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the fake node tells `sluice top`: counters that have gone on each time that somebody asks,
/// by a second each.

#include <cstdint>
#include <vector>

#include "control/metrics_source.h"
#include "control/observation.h"

namespace sluice::test {

/// `source` as it is `seconds` later. `crowded`: with more backends than fit a screen.
void move_on(control::MetricsSource& source, std::uint64_t seconds, bool crowded);

std::vector<control::Talker> fake_talkers();

}  // namespace sluice::test
