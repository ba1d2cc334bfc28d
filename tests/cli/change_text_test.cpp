// SPDX-License-Identifier: Apache-2.0
#include "cli/change_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice::cli {
namespace {

TEST(ChangeText, times_are_shown_in_the_unit_that_reads_best) {
    EXPECT_EQ(measured_text(0), "0 us");
    EXPECT_EQ(measured_text(999), "999 us");
    EXPECT_EQ(measured_text(4'150), "4.2 ms");
    EXPECT_EQ(measured_text(380'400), "380 ms");
    EXPECT_EQ(measured_text(7'960'000), "8.0 s");
}

TEST(ChangeText, parts_never_read_as_none_or_all_that_are_not) {
    EXPECT_EQ(percent_text(0), "0%");
    EXPECT_EQ(percent_text(1), "100%");
    EXPECT_EQ(percent_text(0.000001), "under 0.01%");
    EXPECT_EQ(percent_text(0.00013), "0.013%");
    EXPECT_EQ(percent_text(0.0137), "1.4%");
    EXPECT_EQ(percent_text(0.9999), "over 99%");
    EXPECT_EQ(percent_text(0.34), "34%");
}

Json change(const char* kind, const char* what, const char* field, const char* before,
            const char* after, const char* road, const char* why) {
    return {{"kind", kind},   {"what", what}, {"field", field}, {"before", before},
            {"after", after}, {"road", road}, {"why", why}};
}

TEST(ChangeText, changes_of_one_owner_stand_together_and_a_reason_stands_once) {
    const Json changes = {
        change("changed", "service web", "ports", "80", "80-81", "program", "fixed at load"),
        change("changed", "backend front/10.0.0.5", "weight", "1", "5", "entry", "slots move"),
        change("changed", "backend front/2001:db8::5", "weight", "1", "5", "entry", "slots move"),
        change("added", "backend web/10.0.0.7", "", "", "weight 1", "map", "written first"),
        change("removed", "backend front/10.0.0.6", "", "weight 1", "", "map", "left first")};
    EXPECT_EQ(changes_text(changes, 10),
              "  ~ service web ports 80 -> 80-81            [program]\n"
              "  + backend web/10.0.0.7 weight 1            [map]\n"
              "  ~ backend front/10.0.0.5 weight 1 -> 5     [entry]\n"
              "  ~ backend front/2001:db8::5 weight 1 -> 5  [entry]\n"
              "  - backend front/10.0.0.6 weight 1          [map]\n"
              "\n"
              "entry:    slots move\n"
              "map:      written first\n"
              "map:      left first\n"
              "program:  fixed at load\n");
}

TEST(ChangeText, of_many_changes_the_first_are_shown_and_how_many_more_there_are) {
    Json changes = Json::array();
    for (int i = 0; i < 30; ++i)
        changes.push_back(change("changed", "node", "gue_port", "", "6080", "none", ""));
    EXPECT_EQ(changes_text(changes, 2),
              "  ~ node gue_port nothing -> 6080  [none]\n"
              "  ~ node gue_port nothing -> 6080  [none]\n"
              "  and 28 more: -o wide\n");
}

TEST(ChangeText, a_plan_is_summed_up_in_a_line) {
    Json plan = {{"changes", {change("changed", "node", "x", "1", "2", "none", "")}},
                 {"road", "none"},
                 {"holds", true}};
    EXPECT_EQ(plan_summary(plan), "1 change, none that a packet sees");
    plan["road"] = "map";
    plan["slots"] = 100u;
    plan["moved_slots"] = 12u;
    EXPECT_EQ(plan_summary(plan), "1 change by the map road: 12 of 100 slots (12%) go elsewhere");
    plan["proof"] = {{"tests", 1u}, {"replayed", 1000u}, {"moved", 1u}};
    EXPECT_EQ(plan_summary(plan),
              "1 change by the map road: 12 of 100 slots (12%) and 1 of 1000 sampled packets "
              "(0.1%) go elsewhere; 1 test holds");
    EXPECT_EQ(objection(plan), "");
}

TEST(ChangeText, tables_that_fill_up_are_named_fullest_first) {
    const auto table = [](const char* name, unsigned used, unsigned capacity) {
        return Json{{"name", name}, {"used", used}, {"capacity", capacity}, {"bytes", 0u}};
    };
    Json plan = {{"changes", {change("changed", "node", "x", "1", "2", "none", "")}},
                 {"tables", {table("ports", 9, 0), table("vips", 1, 1000)}}};
    EXPECT_NE(plan_text(plan, false).find("tables:   all under 1% of their limits\n"),
              std::string::npos);
    plan["tables"].push_back(table("groups", 12, 100));
    plan["tables"].push_back(table("backends", 90, 100));
    EXPECT_NE(plan_text(plan, false).find("tables:   backends 90%, groups 12% of their limits\n"),
              std::string::npos);
    EXPECT_EQ(plan_text(plan, false).find("CAPACITY"), std::string::npos);
    EXPECT_NE(plan_text(plan, true).find("CAPACITY"), std::string::npos);
}

TEST(ChangeText, what_does_not_hold_is_said) {
    Json plan = {{"holds", false}, {"proof", {{"tests", 3u}, {"failures", {{{"test", "a"}}}}}}};
    EXPECT_EQ(objection(plan), "1 of 3 tests does not hold");
    plan["proof"] = {{"tests", 3u}, {"replayed", 200u}, {"moved", 20u}, {"max_moved", 0.05}};
    EXPECT_EQ(objection(plan), "20 of 200 sampled packets (10%) go elsewhere, 5% may");
}

TEST(ChangeText, a_plan_that_says_nothing_is_still_a_text) {
    EXPECT_EQ(plan_text(Json::object(), false),
              "nothing changes: generation 0 does what this configuration says\n\n"
              "tests:    none\n");
    EXPECT_EQ(outcome_text(Json::object()), "generation 0 stays in force\n");
}

}  // namespace
}  // namespace sluice::cli
