// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Requests about configurations, asked of control/configurations.h. routes.cpp calls it.
///
///   POST /api/v1/config/plan              what a configuration would change; nothing is touched
///   POST /api/v1/config/apply             puts it into force, whole or not at all
///   POST /api/v1/config/drift             what differs between a text and what runs
///   POST /api/v1/config/confirm           the change that waits stays
///   POST /api/v1/config/rollback          to a generation, or to the one before
///   GET  /api/v1/config/history[?limit=]  newest first
///   GET  /api/v1/config/generations/N     one of them, with its text
///   GET  /api/v1/config/file              the daemon's own file
///   GET  /api/v1/config/canary            and POST .../canary/promote, .../canary/back

#include <string_view>

#include "api/routes.h"

namespace sluice::api {

inline constexpr std::string_view kConfigPaths = "/api/v1/config/";

/// `path` begins with kConfigPaths.
Response answer_config(const Request& request, control::NodeView& node, std::string_view path,
                       std::string_view query);
/// Those of them that carry a configuration.
bool takes_config(std::string_view path);

}  // namespace sluice::api
