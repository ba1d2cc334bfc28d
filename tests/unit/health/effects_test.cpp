// SPDX-License-Identifier: Apache-2.0
//
// Effects as a table: states of a group's backends, and what becomes of them.
#include "health/effects.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Judge::Time at(milliseconds time) {
    return Judge::Time(seconds(1000) + time);
}

/// A letter for each backend: u(p), d(own), h(eld), ? (unknown), - (does not count, failed).
std::vector<Member> members_of(const std::string& letters) {
    std::vector<Member> out;
    for (const char letter : letters) {
        Member member;
        member.since = at(seconds(0));
        member.state = letter == 'u'   ? State::up
                       : letter == 'h' ? State::held
                       : letter == '?' ? State::unknown
                                       : State::down;
        member.counts = letter != '-';
        out.push_back(member);
    }
    return out;
}

/// What stays in is a '+', what is out a '.'.
std::string text_of(const Effects& effects) {
    std::string out;
    for (const Effect& effect : effects.members) out += effect.is_out ? '.' : '+';
    return out + " " + std::string(word_of(effects.condition));
}

config::Health rules_of(std::uint32_t min_healthy, config::WhenNone when_none) {
    config::Health out;
    out.checks.resize(1);
    out.min_healthy = min_healthy;
    out.when_none = when_none;
    return out;
}

struct Case {
    const char* name;
    const char* members;
    std::uint32_t min_healthy;
    config::WhenNone when_none;
    const char* wanted;
};

constexpr auto kKeep = config::WhenNone::keep;
constexpr auto kReject = config::WhenNone::reject;

constexpr Case kCases[] = {
    {"all_are_well", "uu?", 50, kKeep, "+++ healthy"},
    {"a_failed_one_is_out", "udu", 0, kKeep, "+.+ degraded"},
    {"one_that_is_held_is_out", "uhu", 0, kKeep, "+.+ degraded"},
    {"just_enough_are_healthy", "udud", 50, kKeep, "+.+. degraded"},
    {"too_few_are_healthy_and_nobody_is_taken_out", "uddd", 50, kKeep, "++++ panic"},
    {"a_third_is_less_than_34_of_a_hundred", "udd", 34, kKeep, "+++ panic"},
    {"a_third_is_not_less_than_33_of_a_hundred", "udd", 33, kKeep, "+.. degraded"},
    {"who_does_not_count_is_no_reason_for_panic", "uu--", 60, kKeep, "++.. healthy"},
    {"of_nobody_those_that_failed_together_stay", "dd-", 0, kKeep, "++. none"},
    {"of_nobody_all_are_out_where_something_else_is_done", "ddd", 50, kReject, "... none"},
    {"a_group_without_anybody_is_well", "", 50, kReject, " healthy"},
    {"a_group_in_which_nobody_counts_has_nobody", "--", 50, kReject, ".. none"},
};

TEST(Effects, are_those_of_the_table) {
    for (const Case& each : kCases)
        EXPECT_EQ(text_of(effects_of(rules_of(each.min_healthy, each.when_none),
                                     members_of(each.members), at(seconds(9)))),
                  each.wanted)
            << each.name;
}

TEST(Effects, of_nobody_those_stay_that_failed_last) {
    const config::Health rules = rules_of(0, kKeep);
    auto members = members_of("ddd");
    const milliseconds margin = rules.checks[0].interval + rules.checks[0].timeout;
    members[1].since = at(seconds(60));
    members[2].since = at(seconds(60) - margin);
    EXPECT_EQ(text_of(effects_of(rules, members, at(seconds(61)))), ".++ none");
    members[2].since -= milliseconds(1);
    EXPECT_EQ(text_of(effects_of(rules, members, at(seconds(61)))), ".+. none");
}

TEST(Effects, a_backend_that_came_back_gets_its_weight_in_ten_steps) {
    config::Health rules = rules_of(0, kKeep);
    rules.slow_start = seconds(60);
    auto members = members_of("uu");
    members[1].was_out = true;
    Effects now = effects_of(rules, members, at(seconds(0)));
    EXPECT_EQ(now.members[0].part, 1000u) << "it was there from the beginning";
    for (std::uint32_t step = 1; step <= 9; ++step) {
        EXPECT_EQ(now.members[1].part, 100 * step);
        ASSERT_TRUE(now.next);
        EXPECT_EQ(*now.next, at(seconds(6 * step)));
        const Effects just_before = effects_of(rules, members, *now.next - milliseconds(1));
        EXPECT_EQ(just_before.members[1].part, 100 * step);
        now = effects_of(rules, members, *now.next);
    }
    EXPECT_EQ(now.members[1].part, 1000u) << "the last step";
    now = effects_of(rules, members, at(seconds(60)));
    EXPECT_EQ(now.members[1].part, 1000u);
    EXPECT_FALSE(now.next);
}

TEST(Effects, a_slow_start_of_any_length_ends) {
    for (const int length : {1, 7, 3600}) {
        config::Health rules = rules_of(0, kKeep);
        rules.slow_start = seconds(length);
        auto members = members_of("u");
        members[0].was_out = true;
        int asked = 0;
        std::optional<Judge::Time> next = at(seconds(0));
        while (next && asked < 100) {
            const Effects now = effects_of(rules, members, *next);
            EXPECT_TRUE(!now.next || *now.next > *next);
            next = now.next;
            ++asked;
        }
        EXPECT_EQ(asked, 11) << length;
    }
}

TEST(Effects, load_takes_its_part_of_what_slow_start_leaves) {
    config::Health rules = rules_of(0, kKeep);
    rules.slow_start = seconds(10);
    auto members = members_of("u");
    members[0].was_out = true;
    members[0].part = 500;
    EXPECT_EQ(effects_of(rules, members, at(seconds(0))).members[0].part, 50u);
    members[0].part = 1;
    EXPECT_EQ(effects_of(rules, members, at(seconds(0))).members[0].part, 1u);
}

TEST(Effects, a_time_of_the_future_is_now) {
    config::Health rules = rules_of(0, kKeep);
    rules.slow_start = seconds(10);
    auto members = members_of("u");
    members[0].was_out = true;
    members[0].since = at(seconds(5));
    EXPECT_EQ(effects_of(rules, members, at(seconds(0))).members[0].part, 100u);
}

}  // namespace
}  // namespace sluice::health
