// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A change of the configuration in words: what a plan's document says, for people. Pure.

#include <cstdint>
#include <string>

#include "cli/output.h"

namespace sluice::cli {

/// "3 changes", "1 change".
std::string counted(std::uint64_t count, const char* noun);
/// "950 us", "4.2 ms", "1.3 s".
std::string measured_text(std::uint64_t microseconds);
/// "0.02%", "1.4%", "100%": two digits that say something.
std::string percent_text(double part);

/// One line each, with its road, and below them why each road is consistent. `most` lines at most:
/// how many more there are is said.
std::string changes_text(const Json& changes, std::size_t most);
/// The whole plan, its proof and replay; `is_wide`: all lines of it.
std::string plan_text(const Json& plan, bool is_wide);
/// "4 changes by the program road: 87 of 65536 slots (0.13%) and 14 of 1024 sampled packets (1.4%)
/// go elsewhere; 3 tests hold".
std::string plan_summary(const Json& plan);
/// Why a plan does not hold: "1 of 3 tests does not hold"; empty when it does.
std::string objection(const Json& plan);
/// What became of an apply or a rollback; lines with their ends.
std::string outcome_text(const Json& applied);

/// Lines of changes that are shown unless all are asked for.
inline constexpr std::size_t kMaxChanges = 100;

}  // namespace sluice::cli
