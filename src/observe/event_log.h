// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The last events of the daemon's log, for the API's stream and `sluice events`. Numbers go up by
/// one for each, so that a reader who comes back says the last it saw, and is told what it missed.
/// It is fed by base/log.h (log_also_to), which limits repetition. Bounded: the newest
/// kEventsKept, and of a value kMaxEventValue bytes. Not thread-safe: the daemon's event loop owns
/// it, and all that logs runs there.

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"

namespace sluice::observe {

inline constexpr std::size_t kEventsKept = 4096;
inline constexpr std::size_t kMaxEventValue = 1024;

struct Event {
    std::uint64_t number = 0;  ///< 1.. since the daemon began.
    std::chrono::system_clock::time_point at;
    LogLevel level = LogLevel::info;
    std::string name;  ///< "config.applied".
    std::vector<std::pair<std::string, std::string>> fields;
};

struct EventPage {
    std::vector<Event> events;  ///< Ascending.
    std::uint64_t missed = 0;   ///< Between the number asked and the first: given up.
    std::uint64_t last = 0;     ///< Number of the newest there is.
};

class EventLog {
 public:
    using Clock = std::function<std::chrono::system_clock::time_point()>;
    explicit EventLog(Clock clock = std::chrono::system_clock::now);

    void add(LogLevel level, std::string_view name, std::span<const LogField> fields);
    /// Those after `number`, at most `limit`.
    [[nodiscard]] EventPage after(std::uint64_t number, std::size_t limit) const;
    /// Number after which the last `count` of those that are `wanted` follow.
    using Wanted = std::function<bool(const Event& event)>;
    [[nodiscard]] std::uint64_t before_last(std::size_t count, const Wanted& wanted) const;
    [[nodiscard]] std::uint64_t last() const { return last_; }
    /// When numbers began, in milliseconds since 1970: those of another daemon begin elsewhere.
    [[nodiscard]] std::uint64_t began() const { return began_; }

 private:
    Clock clock_;
    std::uint64_t began_;
    std::deque<Event> events_;
    std::uint64_t last_ = 0;
};

}  // namespace sluice::observe
