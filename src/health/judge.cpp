// SPDX-License-Identifier: Apache-2.0
#include "health/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/duration.h"

namespace sluice::health {
namespace {

constexpr const char* kNothingYet = "no check has ended yet";

std::string counted(std::uint32_t count, std::string_view one, std::string_view many) {
    return count == 1 ? fmt::format("1 {}", one) : fmt::format("{} {} in a row", count, many);
}

std::string with_text(std::string what, const Outcome& outcome) {
    what += fmt::format(": {}", word_of(outcome.why));
    if (!outcome.text.empty()) what += ": " + outcome.text;
    return what;
}

}  // namespace

std::string_view word_of(State state) {
    switch (state) {
        case State::unknown:
            return "unknown";
        case State::up:
            return "up";
        case State::down:
            return "down";
        case State::held:
            return "held";
    }
    return "unknown";
}

Judge::Judge(JudgeRules rules)
    : rules_(std::move(rules)), checks_(rules_.checks.size()), explanation_(kNothingYet) {}

State Judge::state_of_checks() const {
    const auto is = [](State state) {
        return [state](const CheckState& check) { return check.state == state; };
    };
    if (std::any_of(checks_.begin(), checks_.end(), is(State::down))) return State::down;
    if (std::any_of(checks_.begin(), checks_.end(), is(State::unknown))) return State::unknown;
    return State::up;
}

std::optional<Transition> Judge::observe(std::size_t check, const Outcome& outcome, Time now) {
    if (check >= checks_.size() || outcome.why == Why::local) return tick(now);
    CheckState& mine = checks_[check];
    const JudgeRules::Counts& counts = rules_.checks[check];
    Transition transition{
        .at = now, .from = state_, .to = state_, .why = outcome.why, .check = check, .text = {}};
    if (outcome.ok) {
        mine.failures = 0;
        mine.passes = std::min(mine.passes + 1, counts.rise);
        if (mine.state == State::unknown || mine.passes >= counts.rise) mine.state = State::up;
        transition.text = counted(mine.passes, "pass", "passes");
    } else {
        mine.passes = 0;
        mine.failures = std::min(mine.failures + 1, counts.fall);
        if (mine.failures >= counts.fall) mine.state = State::down;
        transition.text = with_text(counted(mine.failures, "failure", "failures"), outcome);
    }
    const State found = state_of_checks();
    if (found == State::down && state_ != State::down) note_failure(now);
    if (found == State::up && is_holding(now)) return move_to(State::held, std::move(transition));
    // A check whose first outcome is not in leaves the others' word standing.
    if (found == State::unknown) return {};
    return move_to(found, std::move(transition));
}

void Judge::assume_down(std::string why, Time now) {
    for (CheckState& check : checks_) check = {.state = State::down, .passes = 0, .failures = 0};
    move_to(State::down, {.at = now,
                          .from = state_,
                          .to = State::down,
                          .why = Why::local,
                          .check = 0,
                          .text = std::move(why)});
}

void Judge::note_failure(Time now) {
    if (rules_.flap_limit == 0) return;
    failures_.push_back(now);
    while (failures_.size() > rules_.flap_limit + 1) failures_.pop_front();
    if (recent_failures(now) > rules_.flap_limit) held_until_ = now + rules_.flap_hold;
}

std::size_t Judge::recent_failures(Time now) const {
    return static_cast<std::size_t>(std::count_if(failures_.begin(), failures_.end(), [&](Time at) {
        return now - at < rules_.flap_window;
    }));
}

std::optional<Transition> Judge::tick(Time now) {
    if (is_holding(now)) return {};
    held_until_.reset();
    if (state_ != State::held) return {};
    Transition transition{.at = now,
                          .from = state_,
                          .to = state_,
                          .why = Why::passed,
                          .check = 0,
                          .text = "no failure for " + text_of_duration(rules_.flap_hold)};
    return move_to(State::up, std::move(transition));
}

std::optional<Judge::Time> Judge::deadline() const {
    return state_ == State::held ? held_until_ : std::nullopt;
}

std::optional<Transition> Judge::move_to(State to, Transition transition) {
    if (to == state_) return {};
    if (to == State::held)
        transition.text =
            fmt::format("{} failures within {}: held until there was none for {}",
                        recent_failures(transition.at), text_of_duration(rules_.flap_window),
                        text_of_duration(rules_.flap_hold));
    transition.to = to;
    state_ = to;
    explanation_ = transition.text;
    history_.push_back(transition);
    if (history_.size() > kHistory) history_.pop_front();
    return transition;
}

void Judge::set_rules(JudgeRules rules) {
    const bool is_same_number = rules.checks.size() == rules_.checks.size();
    rules_ = std::move(rules);
    if (!is_same_number) {
        CheckState fresh;
        if (state_ == State::down || state_ == State::held) fresh.state = State::down;
        checks_.assign(rules_.checks.size(), fresh);
    }
    if (checks_.empty()) {
        state_ = State::unknown;
        explanation_ = kNothingYet;
    }
    if (rules_.flap_limit == 0) {
        failures_.clear();
        // A hold ends with the next tick.
        if (held_until_) held_until_ = Time::min();
    }
    while (failures_.size() > rules_.flap_limit + 1) failures_.pop_front();
}

}  // namespace sluice::health
