// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench metrics`: how long a scrape of a large node takes beside an empty answer, for how
/// long others wait meanwhile, and whether packets notice. Needs root; works in namespaces of its
/// own.

#include <string>
#include <vector>

#include "bench/harness.h"

namespace sluice::bench {

struct MetricsOptions {
    unsigned services = 2000;
    unsigned backends = 10;  ///< Of each service.
    unsigned rounds = 9;
    unsigned packets = 3'000'000;  ///< Of a measurement.
    std::string json;
};

/// Prints the table; answers to what was asked for go to `asked`.
Result<nlohmann::json> run_metrics(const MetricsOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
