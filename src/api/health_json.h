// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The API's JSON about the health of backends; rules as in api/json.h.

#include <string>

#include "control/health_status.h"

namespace sluice::api {

/// `with_history`: as it was asked for (control/health_status.h).
std::string health_json(const control::HealthStatus& health, bool with_history);

}  // namespace sluice::api
