// SPDX-License-Identifier: Apache-2.0

/// What the health watch says about itself.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "control/health_watch.h"

namespace sluice::control {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

milliseconds age_of(HealthWatch::Time at, HealthWatch::Time now) {
    return duration_cast<milliseconds>(std::max(now - at, HealthWatch::Time::duration::zero()));
}

std::string target_text(const GroupChecks::Place& place, const IpAddress& backend) {
    const config::Check& check = *place.check;
    if (check.type == config::CheckType::command) return check.command.front();
    const IpAddress& address = check.via == config::CheckVia::vip ? place.vip : backend;
    if (check.type == config::CheckType::icmp) return address.text();
    return fmt::format(fmt::runtime(address.is_ip6 ? "[{}]:{}" : "{}:{}"), address.text(),
                       place.port);
}

CheckStatus status_of(const GroupChecks::Place& place, const IpAddress& backend,
                      const std::optional<health::Outcome>& last, HealthWatch::Time now) {
    CheckStatus out{.type = config::name_of(place.check->type),
                    .via = config::name_of(place.check->via),
                    .target = target_text(place, backend),
                    .why = {},
                    .text = {}};
    if (!last) return out;
    out.why = health::word_of(last->why);
    out.text = last->text;
    out.duration = last->duration;
    out.age = age_of(last->at, now);
    return out;
}

std::vector<HealthTransition> history_of(const health::Judge& judge, HealthWatch::Time now) {
    std::vector<HealthTransition> out;
    const auto wall = std::chrono::system_clock::now();
    for (const health::Transition& each : judge.history())
        out.push_back({.at = wall - age_of(each.at, now),
                       .from = std::string(health::word_of(each.from)),
                       .to = std::string(health::word_of(each.to)),
                       .why = std::string(health::word_of(each.why)),
                       .text = each.text});
    return out;
}

}  // namespace

void CheckDurations::note(std::chrono::microseconds duration) {
    const auto* bound = std::lower_bound(kBounds.begin(), kBounds.end(), duration.count());
    ++counts[static_cast<std::size_t>(bound - kBounds.begin())];
    sum += duration;
}

std::vector<GroupHealth> HealthWatch::groups(const std::string& group_name) const {
    std::vector<GroupHealth> out;
    for (const auto& [name, group] : groups_) {
        if (!group_name.empty() && name != group_name) continue;
        const auto fallback = overrides_.find(plan::fallback_key(name));
        out.push_back({.group = name,
                       .condition = std::string(health::word_of(group.effects.condition)),
                       .healthy = group.effects.healthy,
                       .counted = group.effects.counted,
                       .min_healthy = group.rules.min_healthy,
                       .when_none = config::name_of(group.rules.when_none),
                       .fallback = fallback != overrides_.end() ? group.rules.fallback : "",
                       .trouble = group.trouble,
                       .durations = group.durations,
                       .outcomes = group.outcomes});
    }
    return out;
}

CheckerStatus HealthWatch::checker() const {
    if (!checker_) return {};
    const health::Figures figures = checker_->figures();
    return {.targets = figures.targets,
            .in_flight = figures.in_flight,
            .waiting = figures.waiting,
            .begun = figures.begun,
            .lost_outcomes = figures.lost_outcomes,
            .cpu = figures.cpu,
            .lateness = figures.lateness};
}

HealthStatus HealthWatch::status(const std::string& group_name,
                                 const std::optional<IpAddress>& backend, bool history,
                                 Time now) const {
    HealthStatus out{.groups = groups(group_name), .backends = {}, .checker = checker()};
    for (const auto& [name, group] : groups_) {
        if (!group_name.empty() && name != group_name) continue;
        std::size_t i = 0;
        for (const auto& [member, each] : group.backends) {
            const health::Effect& effect = group.effects.members[i++];
            const IpAddress& address = each.configured.address;
            if (backend && *backend != address) continue;
            BackendHealth one{
                .group = name,
                .address = address,
                .state = std::string(health::word_of(each.judge->state())),
                .explanation = each.judge->explanation(),
                .age = age_of(each.since, now),
                .is_out = effect.is_out,
                .part = effect.part,
                .recent_failures = static_cast<std::uint32_t>(each.judge->recent_failures(now)),
                .checks = {},
                .history = {}};
            for (std::size_t c = 0; c < group.checks.places.size(); ++c)
                one.checks.push_back(status_of(group.checks.places[c], address, each.last[c], now));
            if (history) one.history = history_of(*each.judge, now);
            out.backends.push_back(std::move(one));
        }
    }
    return out;
}

}  // namespace sluice::control
