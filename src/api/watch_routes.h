// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What can be watched as it comes. routes.cpp calls it.
///
///   GET /api/v1/events?...    the daemon's events (api/event_stream.h)
///   GET /api/v1/observe?...   sampled decisions (api/observe_stream.h)

#include <optional>
#include <string_view>

#include "api/routes.h"

namespace sluice::api {

/// Nothing: `path` is none of these.
std::optional<Response> answer_watching(const Request& request, std::string_view path,
                                        std::string_view query);

}  // namespace sluice::api
