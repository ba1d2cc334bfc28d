// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the health of a group's backends means to its rings: which of them are taken out, and what
/// part of its weight each of the others gets. A pure function of states and time, so that all
/// nodes that see the same health decide alike; the controller makes overrides of it
/// (plan::Override), and asks again when a state changes or at `next`.
///
///  - unknown counts as healthy: nothing has been found out yet.
///  - Panic: fewer healthy than `min_healthy` means that the checks are wrong, or that the few who
///    are left would fail next. Then nobody is taken out.
///  - With nobody healthy the group does what `when_none` says. keep: those stay that failed last,
///    whose connections may still live; the others had been replaced long before. Who does not
///    count and is well is left alone: what it still has lives.
///  - A backend that came back begins with a tenth of its weight and gets it all in ten steps over
///    `slow_start`; one that was there from the beginning does not. Load moves parts besides
///    (health/load_parts.h).

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "config/health.h"
#include "health/judge.h"

namespace sluice::health {

/// A backend as effects see it.
struct Member {
    State state = State::unknown;
    Judge::Time since{};        ///< Of `state`.
    bool was_out = false;       ///< It has been down or held before `since`.
    bool counts = true;         ///< It is ready, and has weight: others are nobody's reserve.
    std::uint32_t part = 1000;  ///< By load, thousandths.
};

enum class Condition : std::uint8_t {
    healthy,   ///< All are.
    degraded,  ///< Some are out.
    panic,     ///< Too few are healthy: failed ones stay in.
    none,      ///< Nobody that counts is healthy, or nobody counts: `when_none`.
};

std::string_view word_of(Condition condition);

struct Effect {
    bool is_out = false;
    std::uint32_t part = 1000;  ///< Of its weight, thousandths: 1 at least.
    bool operator==(const Effect&) const = default;
};

struct Effects {
    std::vector<Effect> members;  ///< In the order of those asked about.
    Condition condition = Condition::healthy;
    std::uint32_t healthy = 0;  ///< Of those that count.
    std::uint32_t counted = 0;
    std::optional<Judge::Time> next;  ///< When it is to be asked again, if no state changes.
};

/// `members`: those of one group. Times of the future are taken for now.
Effects effects_of(const config::Health& rules, std::span<const Member> members, Judge::Time now);

}  // namespace sluice::health
