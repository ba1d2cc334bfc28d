// SPDX-License-Identifier: Apache-2.0
#include "api/health_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/routes.h"
#include "tests/cli/fake_health.h"

namespace sluice::api {
namespace {

using Json = nlohmann::ordered_json;
using test::FakeNode;
using test::Scene;

Json get(const char* target) {
    FakeNode node(Scene::watched);
    return Json::parse(answer({"GET", target, ""}, node).body);
}

TEST(HealthJson, groups_come_with_what_their_checks_found_and_how_long_it_took) {
    const Json page = get("/api/v1/health");
    const Json web = {{"group", "web"},
                      {"condition", "degraded"},
                      {"healthy", 1},
                      {"counted", 3},
                      {"min_healthy", 0},
                      {"when_none", "keep"},
                      {"fallback", ""},
                      {"trouble", ""},
                      {"outcomes", {{"passed", 2}, {"timeout", 1}}},
                      {"durations",
                       {{"checks", 3},
                        {"sum_us", 20'013'112},
                        {"buckets",
                         {{{"up_to_us", 1000}, {"checks", 1}},
                          {{"up_to_us", 25'000}, {"checks", 1}},
                          {{"up_to_us", nullptr}, {"checks", 1}}}}}}};
    EXPECT_EQ(page["groups"][0], web);
    EXPECT_EQ(page["groups"][2]["fallback"], "static");
    EXPECT_EQ(page["checker"]["latest_us"], 840);
    EXPECT_EQ(page["backends"].size(), 3u);
}

TEST(HealthJson, a_list_has_no_history_and_one_backend_has) {
    const Json list = get("/api/v1/health/web");
    EXPECT_EQ(list["groups"].size(), 1u);
    for (const Json& backend : list["backends"]) EXPECT_FALSE(backend.contains("history"));
    const Json one = get("/api/v1/health/web/10.0.0.5");
    ASSERT_EQ(one["backends"].size(), 1u);
    const Json way_down = {{"at", "2026-01-01T00:00:03.500Z"},
                           {"from", "up"},
                           {"to", "down"},
                           {"result", "status"},
                           {"text", "3 failures in a row: status: 503 Service Unavailable"}};
    EXPECT_EQ(one["backends"][0]["history"][1], way_down);
}

TEST(HealthJson, a_check_that_has_not_ended_has_neither_duration_nor_age) {
    const Json checks = get("/api/v1/health/web/2001:db8:1::7")["backends"][0]["checks"];
    const Json none = {{"type", "command"}, {"via", "direct"}, {"target", "/usr/lib/checks/deep"},
                       {"result", ""},      {"text", ""},      {"duration_us", nullptr},
                       {"age_ms", nullptr}};
    EXPECT_EQ(checks[1], none);
    EXPECT_EQ(checks[0]["duration_us"], 901);
}

TEST(HealthJson, a_durations_bucket_holds_its_bound) {
    control::CheckDurations durations;
    for (const int us : {0, 1000, 1001, 10'000'000, 10'000'001})
        durations.note(std::chrono::microseconds(us));
    EXPECT_EQ(durations.counts.front(), 2u);
    EXPECT_EQ(durations.counts[1], 1u);
    EXPECT_EQ(durations.counts[durations.kBounds.size() - 1], 1u);
    EXPECT_EQ(durations.counts.back(), 1u);
}

TEST(HealthJson, backends_say_their_health_and_part) {
    const Json backends = get("/api/v1/backends")["backends"];
    EXPECT_EQ(backends[0]["health"], "up");
    EXPECT_EQ(backends[0]["part"], 400);
    EXPECT_EQ(backends[1]["health_why"], "3 failures in a row: refused");
}

}  // namespace
}  // namespace sluice::api
