// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What routes.cpp and config_routes.cpp share. No other file includes it.

#include <string>
#include <string_view>

#include "api/routes.h"

namespace sluice::api {

Response ok(std::string body);
Response refused(const Error& error);
/// A target that asks for nothing, rather than for something that is not there.
Response bad_target(const Error& error);
Response not_found(std::string what, std::string hint);
Response wrong_method(const Request& request, std::string_view path, std::string_view allow);

}  // namespace sluice::api
