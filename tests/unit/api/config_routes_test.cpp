// SPDX-License-Identifier: Apache-2.0
#include "api/config_routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/config_json.h"
#include "tests/cli/fake_node.h"

namespace sluice::api {
namespace {

using Json = nlohmann::json;
using test::FakeNode;
using test::Scene;

struct Case {
    const char* name;
    Scene scene;
    const char* method;
    const char* target;
    const char* body;
    unsigned status;
    const char* code = "";  ///< Of the error.
    const char* message = "";
};

const Case kCases[] = {
    {"plan", Scene::healthy, "POST", "/api/v1/config/plan", R"({"text": "x"})", 200},
    {"plan_of_the_own_file", Scene::healthy, "POST", "/api/v1/config/plan", "", 200},
    {"plan_by_get", Scene::healthy, "GET", "/api/v1/config/plan", "", 405, "invalid",
     "/api/v1/config/plan does not take GET"},
    {"plan_of_bad_json", Scene::healthy, "POST", "/api/v1/config/plan", "{", 400, "invalid",
     "request: the body is not JSON"},
    {"plan_of_another_file", Scene::healthy, "POST", "/api/v1/config/plan",
     R"({"file": "/etc/shadow"})", 400, "invalid", "request: file and directory without a text"},
    {"plan_of_what_is_no_configuration", Scene::healthy, "POST", "/api/v1/config/plan",
     R"({"text": "broken", "file": "f"})", 422, "invalid",
     "f: 1 error\nf:4:7: services[0]: no group 'wob'\n      group: wob\n             ^"},
    {"a_road_that_is_not_consistent", Scene::healthy, "POST", "/api/v1/config/plan",
     R"({"text": "x", "road": "entry"})", 409, "conflict",
     "node: sampling 1024 -> 4096 cannot take the entry road: a constant of the loaded program"},
    {"apply", Scene::healthy, "POST", "/api/v1/config/apply", R"({"text": "x"})", 200},
    {"apply_of_what_fails", Scene::healthy, "POST", "/api/v1/config/apply",
     R"({"text": "fails", "file": "f"})", 409, "conflict",
     "2 of 3 tests do not hold\nf:31:5: web is answered: expected backend 10.0.0.5, got 10.0.0.7 "
     "(forwarded)"},
    {"apply_while_another_waits", Scene::awaiting, "POST", "/api/v1/config/apply",
     R"({"text": "x"})", 409, "conflict", "generation 3 waits for its confirmation"},
    {"apply_unknown_key", Scene::healthy, "POST", "/api/v1/config/apply", R"({"force": true})", 400,
     "invalid", "request: unknown key 'force'"},
    {"drift", Scene::healthy, "POST", "/api/v1/config/drift", R"({"text": "x"})", 200},
    {"drift_of_the_own_file", Scene::healthy, "POST", "/api/v1/config/drift", "{}", 200},
    {"drift_of_what_is_no_configuration", Scene::healthy, "POST", "/api/v1/config/drift",
     R"({"text": "broken"})", 422, "invalid",
     "-: 1 error\n-:4:7: services[0]: no group 'wob'\n      group: wob\n             ^"},
    {"confirm", Scene::awaiting, "POST", "/api/v1/config/confirm", "", 200},
    {"confirm_this_one", Scene::awaiting, "POST", "/api/v1/config/confirm", R"({"generation": 3})",
     200},
    {"confirm_another_one", Scene::awaiting, "POST", "/api/v1/config/confirm",
     R"({"generation": 2})", 409, "conflict", "generation 3 waits, not 2"},
    {"confirm_nothing", Scene::healthy, "POST", "/api/v1/config/confirm", "", 404, "not_found",
     "no change waits for its confirmation"},
    {"rollback", Scene::healthy, "POST", "/api/v1/config/rollback", "", 200},
    {"rollback_to", Scene::healthy, "POST", "/api/v1/config/rollback", R"({"generation": 1})", 200},
    {"rollback_to_nothing", Scene::healthy, "POST", "/api/v1/config/rollback",
     R"({"generation": 9})", 404, "not_found", "no generation 9"},
    {"rollback_to_a_word", Scene::healthy, "POST", "/api/v1/config/rollback",
     R"({"generation": "1"})", 400, "invalid",
     "request: generation: not a whole number from 1 to 4294967295"},
    {"history", Scene::healthy, "GET", "/api/v1/config/history", "", 200},
    {"history_by_post", Scene::healthy, "POST", "/api/v1/config/history", "", 405, "invalid",
     "/api/v1/config/history does not take POST"},
    {"history_without_end", Scene::healthy, "GET", "/api/v1/config/history?limit=0", "", 400,
     "invalid", "limit: '0' is not a whole number from 1 to 10000"},
    {"history_odd_key", Scene::healthy, "GET", "/api/v1/config/history?last=1", "", 400, "invalid",
     "query: unknown key 'last'"},
    {"generation", Scene::healthy, "GET", "/api/v1/config/generations/3", "", 200},
    {"generation_unknown", Scene::healthy, "GET", "/api/v1/config/generations/9", "", 404,
     "not_found", "no generation 9"},
    {"generation_no_number", Scene::healthy, "GET", "/api/v1/config/generations/3x", "", 400,
     "invalid", "'3x' is no number of a generation"},
    {"generation_without_number", Scene::healthy, "GET", "/api/v1/config/generations/", "", 404,
     "not_found", "no such resource"},
    {"file", Scene::healthy, "GET", "/api/v1/config/file", "", 200},
    {"canary", Scene::canary, "GET", "/api/v1/config/canary", "", 200},
    {"no_canary", Scene::healthy, "GET", "/api/v1/config/canary", "", 404, "not_found",
     "there is no canary"},
    {"promote", Scene::canary, "POST", "/api/v1/config/canary/promote", "", 200},
    {"promote_nothing", Scene::healthy, "POST", "/api/v1/config/canary/promote", "", 404,
     "not_found", "there is no canary"},
    {"take_back", Scene::canary, "POST", "/api/v1/config/canary/back", "{}", 200},
    {"take_back_odd_body", Scene::canary, "POST", "/api/v1/config/canary/back", "x", 400, "invalid",
     "request: the body is not JSON"},
    {"nothing_there", Scene::healthy, "GET", "/api/v1/config/canaries", "", 404, "not_found",
     "no such resource"},
};

TEST(ConfigRoutes, each_request_has_its_status_and_its_whole_message) {
    for (const Case& test : kCases) {
        FakeNode node(test.scene);
        const Response response = answer({test.method, test.target, test.body, "uid 7"}, node);
        EXPECT_EQ(response.status, test.status) << test.name << response.body;
        const Json json = Json::parse(response.body);
        EXPECT_EQ(json["schema_version"], 1) << test.name;
        EXPECT_EQ(response.status == 405, !response.allow.empty()) << test.name;
        if (response.status < 300) continue;
        EXPECT_EQ(json["code"], test.code) << test.name;
        EXPECT_EQ(json["message"], test.message) << test.name;
    }
}

TEST(ConfigRoutes, no_answer_shows_the_ring_secret) {
    for (const Case& test : kCases) {
        FakeNode node(test.scene);
        const Response response = answer({test.method, test.target, test.body, "uid 7"}, node);
        EXPECT_EQ(response.body.find("000102030405"), std::string::npos) << test.name;
    }
}

TEST(ConfigRoutes, a_plan_says_what_moves_by_which_road_and_what_was_proven) {
    FakeNode node(Scene::healthy);
    const Json json = Json::parse(
        answer({"POST", "/api/v1/config/plan", R"({"text": "far fails", "file": "f"})", ""}, node)
            .body);
    EXPECT_EQ(json["base"], 3);
    EXPECT_EQ(json["road"], "program");
    EXPECT_EQ(json["holds"], false);
    ASSERT_EQ(json["changes"].size(), 4u);
    EXPECT_EQ(json["changes"][1],
              Json::parse(R"({"kind": "changed", "what": "backend front/10.0.0.5",
                  "field": "weight", "before": "1", "after": "5", "road": "entry",
                  "why": "slots move one by one, each by one aligned store"})"));
    EXPECT_EQ(json["moved_slots"], 87);
    EXPECT_EQ(
        json["roads"][0],
        Json::parse(R"({"road": "entry", "consistent": false, "time_us": 0, "memory_bytes": 0})"));
    EXPECT_EQ(json["roads"][2]["time_us"], 41'300);
    EXPECT_EQ(json["proof"]["max_moved"], 0.01);
    EXPECT_EQ(json["proof"]["failures"][0]["where"], "f:31:5");
    EXPECT_EQ(json["proof"]["differences"][0]["count"], 14);
    EXPECT_EQ(json["parts"][2], Json::parse(R"({"part": "prove", "took_us": 2100})"));
    EXPECT_EQ(json["took_us"], 4100);
    EXPECT_EQ(node.configured.last_request.file, "f");
}

TEST(ConfigRoutes, without_a_text_the_own_file_is_meant) {
    FakeNode node(Scene::healthy);
    const Response response =
        answer({"POST", "/api/v1/config/apply", R"({"message": "as it is"})", "uid 7"}, node);
    EXPECT_EQ(node.configured.last_request.file, "/etc/sluice/sluice.yaml");
    EXPECT_NE(node.configured.last_request.text.find("ring_secret: 0001"), std::string::npos);
    EXPECT_EQ(node.configured.last_request.author, "uid 7");
    EXPECT_EQ(response.order, "file=own author=uid 7");
}

TEST(ConfigRoutes, an_apply_that_waits_says_until_when) {
    FakeNode node(Scene::healthy);
    const Response response =
        answer({"POST", "/api/v1/config/apply",
                R"({"text": "x", "file": "f", "author": "ada", "confirm_within_s": 300})", "uid 7"},
               node);
    EXPECT_EQ(response.order, "file=f bytes=1 author=ada confirm_within_s=300");
    const Json json = Json::parse(response.body);
    EXPECT_EQ(json["generation"], 4);
    EXPECT_EQ(json["outcome"], "awaiting");
    EXPECT_EQ(json["confirm_left_s"], 299);
    EXPECT_EQ(json["confirm_by"], "2026-01-01T04:05:00Z");
    EXPECT_EQ(json["plan"]["changes"].size(), 4u);
    const Json confirmed =
        Json::parse(answer({"POST", "/api/v1/config/confirm", "", "uid 7"}, node).body);
    EXPECT_EQ(confirmed["generation"], 4);
}

TEST(ConfigRoutes, a_change_of_the_ring_secret_shows_neither_of_them) {
    control::PlanReport report;
    report.plan.changes = {{plan::ChangeKind::changed, "node", "ring_secret", "",
                            "000102030405060708090a0b0c0d0e0f", plan::Road::program, "a constant"}};
    const Json change = Json::parse(plan_json(report))["changes"][0];
    EXPECT_EQ(change["before"], "");
    EXPECT_EQ(change["after"], "<redacted>");
}

TEST(ConfigRoutes, a_dry_run_makes_no_generation) {
    FakeNode node(Scene::healthy);
    const Json json = Json::parse(
        answer({"POST", "/api/v1/config/apply", R"({"text": "x", "dry_run": true})", ""}, node)
            .body);
    EXPECT_TRUE(node.configured.last_request.dry_run);
    EXPECT_EQ(json["generation"], 0);
    EXPECT_TRUE(json["confirm_left_s"].is_null());
    EXPECT_EQ(json["confirm_by"], "");
}

TEST(ConfigRoutes, a_rollback_is_by_its_author_or_else_by_the_peer) {
    FakeNode node(Scene::healthy);
    (void)answer(
        {"POST", "/api/v1/config/rollback", R"({"author": "ada", "message": "too slow"})", "uid 7"},
        node);
    EXPECT_EQ(node.configured.last_author, "ada");
    EXPECT_EQ(node.configured.last_message, "too slow");
    (void)answer({"POST", "/api/v1/config/rollback", "", "uid 7"}, node);
    EXPECT_EQ(node.configured.last_author, "uid 7");
}

TEST(ConfigRoutes, history_is_as_long_as_asked_and_without_texts) {
    FakeNode node(Scene::awaiting);
    const Json json =
        Json::parse(answer({"GET", "/api/v1/config/history?limit=2", "", ""}, node).body);
    ASSERT_EQ(json["generations"].size(), 2u);
    const Json& newest = json["generations"][0];
    EXPECT_EQ(newest["generation"], 3);
    EXPECT_EQ(newest["outcome"], "awaiting");
    EXPECT_EQ(newest["confirm_by"], "2026-01-01T03:05:00Z");
    EXPECT_EQ(newest["live"], true);
    EXPECT_FALSE(newest.contains("text"));
    EXPECT_EQ(json["generations"][1]["loaded"], false);
}

TEST(ConfigRoutes, a_generation_comes_with_its_text) {
    FakeNode node(Scene::healthy);
    const Json json =
        Json::parse(answer({"GET", "/api/v1/config/generations/3", "", ""}, node).body);
    EXPECT_NE(json["text"].get<std::string>().find("interfaces: [eth0]"), std::string::npos);
}

TEST(ConfigRoutes, only_what_carries_a_configuration_may_be_long) {
    EXPECT_EQ(max_body_len("/api/v1/config/plan"), 64u << 20);
    EXPECT_EQ(max_body_len("/api/v1/config/apply?x=1"), 64u << 20);
    EXPECT_EQ(max_body_len("/api/v1/config/drift"), 64u << 20);
    for (const char* target : {"/api/v1/config/confirm", "/api/v1/config/plan/", "/api/v1/reload",
                               "/api/v1/config", "", "?/api/v1/config/plan"})
        EXPECT_FALSE(max_body_len(target).has_value()) << target;
}

}  // namespace
}  // namespace sluice::api
