// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench health`: what checking thousands of backends costs, and how late checks begin.

#include <string>
#include <vector>

#include "bench/harness.h"

namespace sluice::bench {

struct HealthOptions {
    unsigned backends = 2000;
    unsigned seconds = 10;  ///< Of one measurement.
    unsigned interval_ms = 1000;
    unsigned rounds = 5;
    std::vector<std::string> only;  ///< Scenarios whose name contains one of these; empty: all.
    std::string json;
};

/// Prints the table; the answers to what was asked for go to `asked`.
Result<nlohmann::json> run_health(const HealthOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
