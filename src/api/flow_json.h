// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The API's JSON about flows; rules as in api/json.h.

#include <string>
#include <string_view>

#include "api/json.h"
#include "control/status.h"

namespace sluice::api {

/// `tuple` as parse_tuple() (api/tuple.h) understood it.
std::string flow_json(const control::FlowTuple& tuple, const control::FlowAnswer& answer);

/// In quotes, escaped.
std::string json_string(std::string_view text);

}  // namespace sluice::api
