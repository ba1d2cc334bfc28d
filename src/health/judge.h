// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Whether one backend of one group is healthy, decided from the outcomes of its checks: rise and
/// fall of each check, and damping of a backend that flaps. The controller keeps one Judge for each
/// member. It has no clock: every call says what time it is, and times never go back.
///
///   unknown --first pass of every check--> up --`fall` failures in a row of one--> down
///   down --`rise` passes in a row of every failed check--> up, or held when that happens often
///   held --no failure for `flap_hold`--> up
///
///  - unknown is not down: nothing has been found out yet. Who has to decide keeps what was before.
///    `fall` failures in a row are down from there as well.
///  - More than `flap_limit` ways down within `flap_window` make the next way up a hold. While a
///    check is failing the backend is down, held or not; every way down starts the hold anew.
///  - Outcomes with Why::local say nothing of the backend and change nothing.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "health/outcome.h"

namespace sluice::health {

enum class State : std::uint8_t { unknown, up, down, held };

std::string_view word_of(State state);

struct JudgeRules {
    struct Counts {
        std::uint32_t rise = 2;  ///< At least 1.
        std::uint32_t fall = 3;  ///< At least 1.
        bool operator==(const Counts&) const = default;
    };
    std::vector<Counts> checks;    ///< One for each check of the group, in its order.
    std::uint32_t flap_limit = 5;  ///< 0: never held.
    std::chrono::seconds flap_window{300};
    std::chrono::seconds flap_hold{120};
    bool operator==(const JudgeRules&) const = default;
};

/// One change of state.
struct Transition {
    std::chrono::steady_clock::time_point at;
    State from = State::unknown;
    State to = State::unknown;
    Why why = Why::passed;  ///< Of the outcome that did it.
    std::size_t check = 0;  ///< Whose outcome that was; of a hold that ended, 0.
    std::string text;       ///< For people: "3 failures in a row: 503 Service Unavailable".
};

class Judge {
 public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::size_t kHistory = 32;  ///< Transitions that are kept.

    explicit Judge(JudgeRules rules);

    /// What one check found at `now`. The transition that it caused, if any.
    std::optional<Transition> observe(std::size_t check, const Outcome& outcome, Time now);
    /// It was down when it was watched last, by somebody else: down until the checks say otherwise.
    void assume_down(std::string why, Time now);
    /// To be called at deadline(): a hold may be over.
    std::optional<Transition> tick(Time now);
    [[nodiscard]] std::optional<Time> deadline() const;

    /// Other rules for the same checks; counts and state are kept. Another number of checks starts
    /// counting anew: what was up or down stays so until the new checks say otherwise, and without
    /// any check nothing is known.
    void set_rules(JudgeRules rules);

    [[nodiscard]] State state() const { return state_; }
    /// Why it is in this state, for people; of a held one, until when.
    [[nodiscard]] const std::string& explanation() const { return explanation_; }
    /// Oldest first, at most kHistory.
    [[nodiscard]] const std::deque<Transition>& history() const { return history_; }
    /// Ways down within flap_window before `now`.
    [[nodiscard]] std::size_t recent_failures(Time now) const;

 private:
    struct CheckState {
        State state = State::unknown;  ///< Never held.
        std::uint32_t passes = 0;      ///< In a row.
        std::uint32_t failures = 0;
    };

    [[nodiscard]] State state_of_checks() const;
    [[nodiscard]] bool is_holding(Time now) const { return held_until_ && now < *held_until_; }
    void note_failure(Time now);
    std::optional<Transition> move_to(State to, Transition transition);

    JudgeRules rules_;
    std::vector<CheckState> checks_;
    State state_ = State::unknown;
    std::string explanation_;
    std::deque<Time> failures_;       ///< The last flap_limit + 1 ways down.
    std::optional<Time> held_until_;  ///< Not before this may it come up.
    std::deque<Transition> history_;
};

}  // namespace sluice::health
