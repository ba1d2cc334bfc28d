// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a node says about the health of its backends: plain values, taken at one moment, rendered
/// by the API. Words are those of health/judge.h, health/outcome.h and health/effects.h.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "health/lateness.h"

namespace sluice::control {

/// How long checks took, as Prometheus counts it.
struct CheckDurations {
    /// Upper bounds, in microseconds; what took longer is in the last one.
    static constexpr std::array<std::uint32_t, 13> kBounds{
        1'000,   2'500,   5'000,     10'000,    25'000,    50'000,    100'000,
        250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};
    std::array<std::uint64_t, kBounds.size() + 1> counts{};  ///< Not cumulative.
    std::chrono::microseconds sum{0};

    void note(std::chrono::microseconds duration);
};

struct CheckStatus {
    std::string type;    ///< "http"
    std::string via;     ///< "vip" or "direct"
    std::string target;  ///< "192.0.2.10:443"; of a command, its path.
    /// What the last one found, as health/outcome.h words it; empty: none has ended yet.
    std::string why;
    std::string text;
    std::chrono::microseconds duration{0};
    std::chrono::milliseconds age{0};  ///< Since its end.
};

struct HealthTransition {
    std::chrono::system_clock::time_point at;
    std::string from;
    std::string to;
    std::string why;
    std::string text;
};

struct BackendHealth {
    std::string group;
    IpAddress address;
    std::string state;                 ///< "unknown", "up", "down", "held"
    std::string explanation;           ///< Why it is in this state.
    std::chrono::milliseconds age{0};  ///< In this state.
    bool is_out = false;               ///< Takes nothing for its health's sake.
    std::uint32_t part = 1000;         ///< Of its weight, thousandths: slow start, load.
    std::uint32_t recent_failures = 0;
    std::vector<CheckStatus> checks;
    std::vector<HealthTransition> history;  ///< Oldest first.
};

struct GroupHealth {
    std::string group;
    std::string condition;  ///< "healthy", "degraded", "panic", "none"
    std::uint32_t healthy = 0;
    std::uint32_t counted = 0;      ///< Ready and with weight.
    std::uint32_t min_healthy = 0;  ///< Hundredths.
    std::string when_none;          ///< "keep", "reject", "withdraw", "fallback"
    std::string fallback;           ///< Group that has taken over; empty: none.
    std::string trouble;            ///< Why this node cannot make its checks; empty while it can.
    CheckDurations durations;
    std::map<std::string, std::uint64_t> outcomes;  ///< Checks that ended, by why.
};

/// Of the thread that checks.
struct CheckerStatus {
    std::uint64_t targets = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t waiting = 0;  ///< For a place among those in flight.
    std::uint64_t begun = 0;
    std::uint64_t lost_outcomes = 0;
    std::chrono::microseconds cpu{0};
    health::Lateness lateness;  ///< Of checks that began after their time.
};

struct HealthStatus {
    std::vector<GroupHealth> groups;      ///< Those that are watched, in the order of the file.
    std::vector<BackendHealth> backends;  ///< Of the same groups.
    CheckerStatus checker;
};

/// Whose health. What is not set is not asked about.
struct HealthQuery {
    std::string owner{};  ///< Name of a group, or of a service on it; empty: all.
    std::optional<IpAddress> backend{};
    bool history = false;  ///< With transitions.
};

}  // namespace sluice::control
