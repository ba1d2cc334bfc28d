// SPDX-License-Identifier: Apache-2.0
#include "api/health_json.h"

#include <utility>

#include "api/json.h"
#include "api/json_of.h"

namespace sluice::api {
namespace {

using namespace control;

/// Buckets without a check are left out; what took longer than all bounds has none.
Json json_of(const CheckDurations& durations) {
    Json buckets = Json::array();
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < durations.counts.size(); ++i) {
        if (durations.counts[i] == 0) continue;
        sum += durations.counts[i];
        Json bucket = Json::object();
        bucket["up_to_us"] =
            i < CheckDurations::kBounds.size() ? Json(CheckDurations::kBounds[i]) : Json();
        bucket["checks"] = durations.counts[i];
        buckets.push_back(std::move(bucket));
    }
    return {{"checks", sum}, {"sum_us", durations.sum.count()}, {"buckets", buckets}};
}

Json json_of(const GroupHealth& group) {
    Json outcomes = Json::object();
    for (const auto& [why, count] : group.outcomes) outcomes[why] = count;
    return {{"group", group.group},
            {"condition", group.condition},
            {"healthy", group.healthy},
            {"counted", group.counted},
            {"min_healthy", group.min_healthy},
            {"when_none", group.when_none},
            {"fallback", group.fallback},
            {"trouble", group.trouble},
            {"outcomes", std::move(outcomes)},
            {"durations", json_of(group.durations)}};
}

Json json_of(const CheckStatus& check) {
    const bool has_ended = !check.why.empty();
    return {{"type", check.type},
            {"via", check.via},
            {"target", check.target},
            {"result", check.why},
            {"text", check.text},
            {"duration_us", has_ended ? Json(check.duration.count()) : Json()},
            {"age_ms", has_ended ? Json(check.age.count()) : Json()}};
}

Json json_of(const HealthTransition& transition) {
    return {{"at", precise_time_text(transition.at)},
            {"from", transition.from},
            {"to", transition.to},
            {"result", transition.why},
            {"text", transition.text}};
}

Json json_of(const BackendHealth& backend, bool with_history) {
    Json checks = Json::array();
    for (const CheckStatus& check : backend.checks) checks.push_back(json_of(check));
    Json out = {{"group", backend.group},     {"address", backend.address.text()},
                {"health", backend.state},    {"age_ms", backend.age.count()},
                {"why", backend.explanation}, {"out", backend.is_out},
                {"part", backend.part},       {"recent_failures", backend.recent_failures},
                {"checks", std::move(checks)}};
    if (!with_history) return out;
    Json history = Json::array();
    for (const HealthTransition& each : backend.history) history.push_back(json_of(each));
    out["history"] = std::move(history);
    return out;
}

Json json_of(const CheckerStatus& checker) {
    return {{"targets", checker.targets},
            {"in_flight", checker.in_flight},
            {"waiting", checker.waiting},
            {"begun", checker.begun},
            {"lost_outcomes", checker.lost_outcomes},
            {"cpu_us", checker.cpu.count()},
            {"latest_us", checker.lateness.most().count()}};
}

}  // namespace

std::string health_json(const HealthStatus& health, bool with_history) {
    Json out = document();
    Json groups = Json::array();
    for (const GroupHealth& group : health.groups) groups.push_back(json_of(group));
    Json backends = Json::array();
    for (const BackendHealth& backend : health.backends)
        backends.push_back(json_of(backend, with_history));
    out["groups"] = std::move(groups);
    out["backends"] = std::move(backends);
    out["checker"] = json_of(health.checker);
    return text_of(out);
}

}  // namespace sluice::api
