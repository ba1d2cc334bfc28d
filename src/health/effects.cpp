// SPDX-License-Identifier: Apache-2.0
#include "health/effects.h"

#include <algorithm>

namespace sluice::health {
namespace {

using Time = Judge::Time;

constexpr std::uint32_t kSteps = 10;
constexpr std::uint32_t kWhole = 1000;

bool is_well(const Member& member) {
    return member.state == State::up || member.state == State::unknown;
}

/// With nobody healthy: how long before the last one another may have failed to stay with it.
/// Checks of one interval end at different moments.
std::chrono::milliseconds together(const config::Health& rules) {
    std::chrono::milliseconds longest{0};
    for (const config::Check& check : rules.checks)
        longest = std::max(longest, check.interval + check.timeout);
    return longest;
}

/// Who stays although nobody is healthy.
void keep_last(const config::Health& rules, std::span<const Member> members, Effects& out) {
    Time last = Time::min();
    for (const Member& member : members)
        if (member.counts) last = std::max(last, member.since);
    const auto margin = together(rules);
    for (std::size_t i = 0; i < members.size(); ++i)
        if (members[i].counts) out.members[i].is_out = last - members[i].since > margin;
}

/// Its part in slow start, and when that is more.
std::uint32_t started_part(const config::Health& rules, const Member& member, Time now,
                           std::optional<Time>& next) {
    if (rules.slow_start.count() == 0 || member.state != State::up || !member.was_out)
        return kWhole;
    const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(rules.slow_start);
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::max(now - member.since, Time::duration::zero()));
    if (passed >= whole) return kWhole;
    const std::int64_t step = passed.count() * kSteps / whole.count();
    // The first millisecond in which `step` has grown.
    const std::int64_t until = ((step + 1) * whole.count() + kSteps - 1) / kSteps;
    const Time at = member.since + std::chrono::milliseconds(until);
    next = next ? std::min(*next, at) : at;
    return static_cast<std::uint32_t>(step + 1) * (kWhole / kSteps);
}

Condition condition_of(const config::Health& rules, const Effects& out) {
    if (out.healthy == 0 && !out.members.empty()) return Condition::none;
    if (out.healthy == out.counted) return Condition::healthy;
    // In hundredths, rounded for nobody: 1 of 3 is below 34 %.
    if (std::uint64_t{out.healthy} * 100 < std::uint64_t{rules.min_healthy} * out.counted)
        return Condition::panic;
    return Condition::degraded;
}

}  // namespace

std::string_view word_of(Condition condition) {
    switch (condition) {
        case Condition::healthy:
            return "healthy";
        case Condition::degraded:
            return "degraded";
        case Condition::panic:
            return "panic";
        case Condition::none:
            return "none";
    }
    return "none";
}

Effects effects_of(const config::Health& rules, std::span<const Member> members, Time now) {
    Effects out;
    out.members.resize(members.size());
    for (const Member& member : members) {
        if (!member.counts) continue;
        ++out.counted;
        out.healthy += is_well(member) ? 1 : 0;
    }
    out.condition = condition_of(rules, out);
    const bool keeps_failed = out.condition == Condition::panic;
    for (std::size_t i = 0; i < members.size(); ++i) {
        Effect& effect = out.members[i];
        effect.is_out = !is_well(members[i]) && !keeps_failed;
        const std::uint32_t part = started_part(rules, members[i], now, out.next);
        effect.part = std::max(1u, part * members[i].part / kWhole);
    }
    if (out.condition == Condition::none && rules.when_none == config::WhenNone::keep)
        keep_last(rules, members, out);
    return out;
}

}  // namespace sluice::health
