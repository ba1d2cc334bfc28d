// SPDX-License-Identifier: Apache-2.0
//
// The judge as tables: rows are what happens at which second, and what the state is afterwards.
#include "health/judge.h"

#include <gtest/gtest.h>

namespace sluice::health {
namespace {

using std::chrono::seconds;

constexpr Why kPass = Why::passed;
constexpr Why kFail = Why::refused;

Judge::Time at(int second) {
    return Judge::Time(seconds(1000 + second));
}

Outcome outcome_of(Why why) {
    Outcome out;
    out.ok = why == Why::passed;
    out.why = why;
    if (why == Why::refused) out.text = "Connection refused";
    return out;
}

JudgeRules rules_of(std::uint32_t rise, std::uint32_t fall, std::size_t checks = 1) {
    JudgeRules out;
    out.checks.assign(checks, {.rise = rise, .fall = fall});
    return out;
}

struct Step {
    int second;
    std::size_t check;
    std::optional<Why> why;  ///< Empty: only time passes.
    State wanted;
};

struct Case {
    const char* name;
    JudgeRules rules;
    std::vector<Step> steps;
};

std::vector<Case> cases() {
    using enum State;
    return {
        {"one_pass_is_enough_at_the_beginning", rules_of(3, 3), {{0, 0, kPass, up}}},
        {"failures_at_the_beginning_are_counted",
         rules_of(2, 3),
         {{0, 0, kFail, unknown}, {1, 0, kFail, unknown}, {2, 0, kFail, down}}},
        {"fall_failures_in_a_row_take_it_down",
         rules_of(2, 3),
         {{0, 0, kPass, up}, {1, 0, kFail, up}, {2, 0, kFail, up}, {3, 0, kFail, down}}},
        {"a_pass_between_starts_the_count_again",
         rules_of(2, 2),
         {{0, 0, kPass, up},
          {1, 0, kFail, up},
          {2, 0, kPass, up},
          {3, 0, kFail, up},
          {4, 0, kFail, down}}},
        {"rise_passes_in_a_row_bring_it_back",
         rules_of(2, 1),
         {{0, 0, kFail, down},
          {1, 0, kPass, down},
          {2, 0, kFail, down},
          {3, 0, kPass, down},
          {4, 0, kPass, up}}},
        {"trouble_of_this_node_counts_neither_way",
         rules_of(2, 2),
         {{0, 0, kPass, up},
          {1, 0, kFail, up},
          {2, 0, Why::local, up},
          {3, 0, kFail, down},
          {4, 0, kPass, down},
          {5, 0, Why::local, down},
          {6, 0, kPass, up}}},
        {"all_checks_must_pass",
         rules_of(1, 1, 2),
         {{0, 0, kPass, unknown},
          {1, 1, kPass, up},
          {2, 1, kFail, down},
          {3, 0, kPass, down},
          {4, 1, kPass, up}}},
        {"one_failed_check_is_down_though_the_other_is_not_known",
         rules_of(1, 1, 2),
         {{0, 0, kFail, down}, {1, 0, kPass, down}, {2, 1, kPass, up}}},
        {"a_check_that_does_not_exist_changes_nothing", rules_of(1, 1), {{0, 7, kFail, unknown}}},
    };
}

std::vector<Case> flap_cases() {
    using enum State;
    JudgeRules flaps = rules_of(1, 1);
    flaps.flap_limit = 2;
    flaps.flap_window = seconds(100);
    flaps.flap_hold = seconds(50);
    JudgeRules never_held = flaps;
    never_held.flap_limit = 0;
    return {
        {"more_failures_than_the_limit_are_held",
         flaps,
         {{0, 0, kPass, up},
          {1, 0, kFail, down},
          {2, 0, kPass, up},
          {3, 0, kFail, down},
          {4, 0, kPass, up},
          {5, 0, kFail, down},
          {6, 0, kPass, held},
          {54, 0, {}, held},
          {55, 0, {}, up}}},
        {"a_failure_while_held_starts_the_hold_again",
         flaps,
         {{0, 0, kFail, down},
          {1, 0, kPass, up},
          {2, 0, kFail, down},
          {3, 0, kPass, up},
          {4, 0, kFail, down},
          {5, 0, kPass, held},
          {40, 0, kFail, down},
          {41, 0, kPass, held},
          {60, 0, kPass, held},
          {89, 0, kPass, held},
          {90, 0, kPass, up}}},
        {"down_for_longer_than_the_hold_comes_straight_back",
         flaps,
         {{0, 0, kFail, down},
          {1, 0, kPass, up},
          {2, 0, kFail, down},
          {3, 0, kPass, up},
          {4, 0, kFail, down},
          {60, 0, kFail, down},
          {61, 0, kPass, up}}},
        {"failures_far_apart_are_no_flapping",
         flaps,
         {{0, 0, kFail, down},
          {1, 0, kPass, up},
          {60, 0, kFail, down},
          {61, 0, kPass, up},
          {120, 0, kFail, down},
          {121, 0, kPass, up}}},
        {"without_a_limit_nothing_is_held",
         never_held,
         {{0, 0, kFail, down},
          {1, 0, kPass, up},
          {2, 0, kFail, down},
          {3, 0, kPass, up},
          {4, 0, kFail, down},
          {5, 0, kPass, up},
          {6, 0, kFail, down},
          {7, 0, kPass, up}}},
    };
}

TEST(judge, states_by_what_happened) {
    std::vector<Case> all = cases();
    for (Case& each : flap_cases()) all.push_back(std::move(each));
    for (const Case& each : all) {
        SCOPED_TRACE(each.name);
        Judge judge(each.rules);
        for (const Step& step : each.steps) {
            SCOPED_TRACE(step.second);
            const State before = judge.state();
            const auto transition =
                step.why ? judge.observe(step.check, outcome_of(*step.why), at(step.second))
                         : judge.tick(at(step.second));
            EXPECT_EQ(word_of(judge.state()), word_of(step.wanted));
            ASSERT_EQ(transition.has_value(), before != step.wanted);
            if (!transition) continue;
            EXPECT_EQ(transition->from, before);
            EXPECT_EQ(transition->to, step.wanted);
            EXPECT_EQ(transition->at, at(step.second));
            EXPECT_EQ(judge.history().back().text, judge.explanation());
        }
    }
}

TEST(judge, says_why) {
    JudgeRules rules = rules_of(2, 2);
    rules.flap_limit = 1;
    rules.flap_window = seconds(600);
    rules.flap_hold = seconds(120);
    Judge judge(rules);
    EXPECT_EQ(judge.explanation(), "no check has ended yet");
    judge.observe(0, outcome_of(kPass), at(0));
    EXPECT_EQ(judge.explanation(), "1 pass");
    for (int i = 1; i <= 2; ++i) judge.observe(0, outcome_of(kFail), at(i));
    EXPECT_EQ(judge.explanation(), "2 failures in a row: refused: Connection refused");
    for (int i = 3; i <= 4; ++i) judge.observe(0, outcome_of(kPass), at(i));
    EXPECT_EQ(judge.explanation(), "2 passes in a row");
    for (int i = 5; i <= 6; ++i) judge.observe(0, outcome_of(kFail), at(i));
    EXPECT_FALSE(judge.deadline().has_value());
    for (int i = 7; i <= 8; ++i) judge.observe(0, outcome_of(kPass), at(i));
    EXPECT_EQ(judge.state(), State::held);
    EXPECT_EQ(judge.explanation(), "2 failures within 10m: held until there was none for 2m");
    EXPECT_EQ(judge.recent_failures(at(8)), 2U);
    ASSERT_EQ(judge.deadline(), at(6 + 120));
    EXPECT_FALSE(judge.tick(at(6 + 119)).has_value());
    EXPECT_TRUE(judge.tick(*judge.deadline()).has_value());
    EXPECT_EQ(judge.explanation(), "no failure for 2m");
    EXPECT_EQ(judge.recent_failures(at(700)), 0U);
}

TEST(judge, keeps_the_last_transitions_and_no_more) {
    JudgeRules rules = rules_of(1, 1);
    rules.flap_limit = 0;
    Judge judge(rules);
    for (int i = 0; i < 100; ++i) judge.observe(0, outcome_of(i % 2 == 0 ? kPass : kFail), at(i));
    ASSERT_EQ(judge.history().size(), Judge::kHistory);
    EXPECT_EQ(judge.history().back().at, at(99));
    EXPECT_EQ(judge.history().front().at, at(100 - static_cast<int>(Judge::kHistory)));
}

TEST(judge, other_rules_keep_the_state) {
    Judge judge(rules_of(2, 3));
    judge.observe(0, outcome_of(kPass), at(0));
    judge.observe(0, outcome_of(kFail), at(1));
    judge.set_rules(rules_of(2, 2));
    EXPECT_EQ(judge.state(), State::up);
    judge.observe(0, outcome_of(kFail), at(2));
    EXPECT_EQ(judge.state(), State::down);
    // One more check: down until both have said otherwise.
    judge.set_rules(rules_of(2, 2, 2));
    EXPECT_EQ(judge.state(), State::down);
    judge.observe(0, outcome_of(kPass), at(3));
    EXPECT_EQ(judge.state(), State::down);
    judge.observe(1, outcome_of(kPass), at(4));
    EXPECT_EQ(judge.state(), State::down) << "each as often as `rise` says";
    judge.observe(0, outcome_of(kPass), at(5));
    judge.observe(1, outcome_of(kPass), at(6));
    EXPECT_EQ(judge.state(), State::up);
    judge.set_rules(rules_of(2, 2, 0));
    EXPECT_EQ(judge.state(), State::unknown);
}

TEST(judge, a_hold_ends_when_holding_is_switched_off) {
    JudgeRules rules = rules_of(1, 1);
    rules.flap_limit = 1;
    Judge judge(rules);
    for (int i = 0; i < 5; ++i) judge.observe(0, outcome_of(i % 2 == 0 ? kPass : kFail), at(i));
    ASSERT_EQ(judge.state(), State::held);
    rules.flap_limit = 0;
    judge.set_rules(rules);
    judge.tick(at(6));
    EXPECT_EQ(judge.state(), State::up);
}

}  // namespace
}  // namespace sluice::health
