// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A node of which every metric has something to tell, with fixed values.

#include "control/metrics_source.h"

namespace sluice::test {

control::MetricsSource fake_metrics(control::NodeSummary summary);

}  // namespace sluice::test
