// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The health of the fake node's backends, fixed: in Scene::watched one of group web is up and
/// still in its slow start, one is down, one held; group spare is in panic, cache has nobody, and
/// static cannot be checked.

#include "control/health_status.h"
#include "tests/cli/fake_node.h"

namespace sluice::test {

control::HealthStatus make_health(Scene scene);

}  // namespace sluice::test
