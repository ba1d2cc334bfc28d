// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The pages about the machine below the data plane: /api/v1/node/drops.

#include <string>

#include "api/routes.h"
#include "node/losses.h"

namespace sluice::api {

Response node_drops(control::NodeView& node);

/// {layers: [...], losses: [...]}; docs/reference/api.md lists the fields.
std::string losses_json(const node::LossCounts& counts);

}  // namespace sluice::api
