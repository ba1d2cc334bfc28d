// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What /metrics tells (api/metrics.h): plain values, gathered in time that grows with what is
/// exported and not with slots or flows.

#include "control/status.h"

namespace sluice::control {

struct MetricsSource {
    NodeSummary summary;
};

}  // namespace sluice::control
