// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Two configurations, field by field: part of change_plan.h. Knows what each table holds and so
/// which road each field takes; knows nothing of what the loaded tables have room for.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/model.h"
#include "plan/change_plan.h"

namespace sluice::plan {

/// A ring that needs more slots than it is laid out with.
struct RingGrowth {
    std::uint32_t from_log2 = 0;
    std::uint32_t to_log2 = 0;
};

struct DiffOptions {
    /// Rings that grow, by group name: what only moves slots elsewhere lays these out anew.
    std::unordered_map<std::string, RingGrowth> growths;
    /// Not null: also what overrides make of backends that both configurations have.
    const Overrides* overrides = nullptr;
};

/// In the order of `after`; removed ones last.
std::vector<Change> diff_configs(const config::Config& before, const config::Config& after,
                                 const DiffOptions& options);

/// The flow table that `after` asks for has another size or tick.
bool resizes_flows(const config::Config& before, const config::Config& after);

/// "192.0.2.10 tcp 80".
std::string target_text(const config::Service& service);

/// "12 backends", "1 backend".
std::string count_text(std::uint64_t count, const std::string& noun);

}  // namespace sluice::plan
