// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `sluice-bench gate`: has anything become slower than what bench/recorded.json holds?
///
/// Only ratios are compared, each taken round by round against something of the same run that no
/// change of Sluice touches: packets against the baseline with 100 flows, rings against a fixed
/// piece of arithmetic, live throughput against the bare reflector. What looks slower is measured
/// again, up to three times in all, and counts only if it looked slower every time.

#include <string>

#include "bench/harness.h"

namespace sluice::bench {

struct GateOptions {
    std::string recorded = "bench/recorded.json";
    bool record = false;  ///< Write the file instead.
    bool live = true;
    unsigned rounds = 9;
    std::string json;
};

/// Prints the table. Errors: conflict when something became slower; unsupported when something
/// looks slower, but the record is of another kind of machine.
Result<nlohmann::json> run_gate(const GateOptions& options, std::vector<Asked>& asked);

}  // namespace sluice::bench
