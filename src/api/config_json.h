// SPDX-License-Identifier: Apache-2.0
#pragma once

/// JSON of what control/configurations.h says: plans, what an apply has done, history, canary.
/// Conventions as in api/json.h; times that were measured are whole microseconds, `..._us`.
/// docs/reference/api.md lists the fields.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/configurations.h"

namespace sluice::api {

std::string plan_json(const control::PlanReport& report);
/// `confirm_by`: when the change undoes itself; only said beside ApplyReport::confirm_left.
std::string apply_json(const control::ApplyReport& report,
                       std::optional<std::chrono::system_clock::time_point> confirm_by);
/// What a client was told to be in force, confirmed: {status, generation}.
std::string confirmed_json(std::uint32_t generation);
std::string history_json(const std::vector<control::GenerationStatus>& generations);
/// With its text, without the ring secret.
std::string generation_json(const control::GenerationStatus& generation);
std::string canary_json(const control::CanaryStatus& canary);
std::string drift_json(const std::string& file, const std::vector<plan::Change>& changes);
/// The text of the daemon's own file, without the ring secret.
std::string file_json(const std::string& file, std::string_view text);

}  // namespace sluice::api
