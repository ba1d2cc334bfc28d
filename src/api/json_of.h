// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What json.cpp, flow_json.cpp, config_json.cpp and announce_routes.cpp share. No other file
/// includes it.

#include <nlohmann/json.hpp>
#include <string>

#include "control/status.h"

namespace sluice::api {

using Json = nlohmann::ordered_json;

/// An object with `schema_version`.
Json document();
/// Names come from a file that anybody may have written: bytes that are no UTF-8 are replaced, so
/// that dump() has nothing to throw.
std::string text_of(const Json& json);
Json change_json(const control::ChangeStatus& change);
Json standing_json(const control::NodeStanding& standing);

}  // namespace sluice::api
