// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench ring`: how long rings take to build.

#include <string>
#include <vector>

#include "bench/harness.h"

namespace sluice::bench {

struct RingOptions {
    unsigned groups = 1000;
    unsigned backends = 100;
    unsigned rounds = 5;
    std::string json;
};

/// Prints the table; the answer to what was asked for goes to `asked`.
Result<nlohmann::json> run_ring(const RingOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
