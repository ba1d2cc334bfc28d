// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/output.h"

namespace sluice::cli {

/// The document of /api/v1/node/drops with `packets_per_second` in every layer and loss: what grew
/// since `before`, `seconds` earlier. A row that was not there counts from 0; one that went back
/// (a device that was made anew) has no rate.
Json with_rates(const Json& before, Json now, double seconds);

}  // namespace sluice::cli
