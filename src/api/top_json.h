// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The document of GET /api/v1/top: every counter that a live view shows, as of one moment. Who
/// asks twice has rates. Written without a tree in between: a node with 10,000 backends is asked
/// every second.

#include <span>
#include <string>

#include "control/metrics_source.h"
#include "control/observation.h"

namespace sluice::api {

std::string top_json(const control::MetricsSource& source, std::span<const control::Talker> talkers,
                     const observe::Names& names);

}  // namespace sluice::api
