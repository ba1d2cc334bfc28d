// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench roads`: the three roads of change against each other, by how many backends change,
/// and a rollback to a generation that is still loaded, by how many rings differ. Needs root; works
/// in namespaces of its own.

#include <string>
#include <vector>

#include "bench/harness.h"

namespace sluice::bench {

struct RoadsOptions {
    unsigned services = 100;
    unsigned backends = 100;  ///< Of each service.
    unsigned rounds = 5;
    std::string json;
};

/// Prints two tables; answers to what was asked for go to `asked`.
Result<nlohmann::json> run_roads(const RoadsOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
