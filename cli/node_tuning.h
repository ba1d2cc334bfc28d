// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "cli/output.h"
#include "node/tuning_log.h"

namespace sluice::cli {

/// What became of each setting, as a table.
void print_outcomes(const std::vector<node::TuningOutcome>& outcomes);
/// The same as a list.
Json outcomes_json(const std::vector<node::TuningOutcome>& outcomes);

}  // namespace sluice::cli
