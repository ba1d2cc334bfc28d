// SPDX-License-Identifier: Apache-2.0

/// What the controller tells /metrics.

#include "control/controller.h"
#include "control/metrics_source.h"

namespace sluice::control {

MetricsSource Controller::metrics() {
    MetricsSource out;
    out.summary = summary();
    return out;
}

}  // namespace sluice::control
