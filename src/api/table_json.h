// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The API's JSON about tables of the data plane; rules as in api/json.h.

#include <string>

#include "control/status.h"

namespace sluice::api {

std::string maps_json(const control::MapsStatus& maps);
/// One table without who uses it.
std::string brief_map_json(const control::MapStatus& map);

}  // namespace sluice::api
