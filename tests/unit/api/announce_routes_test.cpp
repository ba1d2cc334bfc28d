// SPDX-License-Identifier: Apache-2.0
#include "api/announce_routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/fake_node.h"

namespace sluice::api {
namespace {

using Json = nlohmann::ordered_json;
using control::NodeState;
using test::FakeNode;
using test::Scene;

Json get(FakeNode& node) {
    return Json::parse(answer({"GET", "/api/v1/announcements", ""}, node).body);
}

TEST(AnnounceRoutes, vips_come_with_what_is_wished_what_is_and_each_way) {
    FakeNode node(Scene::degraded);
    const Json page = get(node);
    EXPECT_EQ(page["configured"], true);
    EXPECT_EQ(page["settled"], false);
    const Json failing = {{"vip", "192.0.2.10"},
                          {"wish", "announce"},
                          {"state", "failing"},
                          {"since", "2026-01-01T00:01:00Z"},
                          {"why", "bgp 192.0.2.1: connect: Connection refused"},
                          {"ways",
                           {{{"way", "bird"}, {"state", "announced"}, {"why", ""}},
                            {{"way", "bgp 192.0.2.1"},
                             {"state", "failing"},
                             {"why", "connect: Connection refused"}}}}};
    EXPECT_EQ(page["announcements"][0], failing);
    EXPECT_EQ(page["announcements"][1]["vip"], "2001:db8::/64");
    EXPECT_EQ(page["announcements"][1]["why"], "service web6 has no healthy backend");
    const Json way = {{"way", "bgp 192.0.2.1"},
                      {"state", "connect"},
                      {"up", false},
                      {"since", "2026-01-01T00:01:30Z"},
                      {"resets", 3},
                      {"last_error", "connect: Connection refused"}};
    EXPECT_EQ(page["ways"][1], way);
}

TEST(AnnounceRoutes, a_node_is_drained_and_ready_again) {
    FakeNode node(Scene::healthy);
    EXPECT_EQ(get(node)["settled"], true);
    const Response drained = answer({"POST", "/api/v1/node/drain",
                                     R"({"until_quiet": true, "deadline_s": 600, "keep_s": 3600})"},
                                    node);
    EXPECT_EQ(drained.status, 200u);
    EXPECT_EQ(drained.order, R"(node drain {"until_quiet":true,"deadline_s":600,"keep_s":3600})");
    EXPECT_TRUE(node.last_node_order.drain);
    EXPECT_TRUE(node.last_node_order.until_quiet);
    EXPECT_EQ(node.last_node_order.deadline, std::chrono::minutes(10));
    EXPECT_EQ(node.last_node_order.keep, std::chrono::hours(1));
    const Json state = {{"state", "draining"},
                        {"since", "2026-01-01T00:10:00Z"},
                        {"withdraw_at", "2026-01-01T00:10:30Z"},
                        {"until_quiet", true},
                        {"deadline", "2026-01-01T00:20:00Z"},
                        {"ready_at", "2026-01-01T01:10:00Z"}};
    EXPECT_EQ(Json::parse(drained.body)["node_state"], state);
    EXPECT_EQ(Json::parse(drained.body)["settled"], false);
    const Response ready = answer({"POST", "/api/v1/node/ready", ""}, node);
    EXPECT_EQ(ready.order, "node ready");
    EXPECT_EQ(Json::parse(ready.body)["node_state"]["state"], "ready");
    EXPECT_EQ(Json::parse(ready.body)["settled"], true);
}

struct Case {
    const char* name;
    Scene scene;
    const char* method;
    const char* target;
    const char* body;
    unsigned status;
    const char* message;
};

const Case kCases[] = {
    {"drain_by_get", Scene::healthy, "GET", "/api/v1/node/drain", "", 405,
     "/api/v1/node/drain does not take GET"},
    {"unknown_key", Scene::healthy, "POST", "/api/v1/node/drain", R"({"wait": true})", 400,
     "drain: unknown key 'wait'"},
    {"no_time_at_all", Scene::healthy, "POST", "/api/v1/node/drain", R"({"keep_s": 0})", 400,
     "drain: keep_s: not a whole number from 1 to 315360000"},
    {"ready_with_words", Scene::healthy, "POST", "/api/v1/node/ready", "{}", 400,
     "ready: nothing can be said with it"},
    {"nothing_to_announce_by", Scene::empty, "POST", "/api/v1/node/drain", "", 409,
     "nothing announces the VIPs of this node"},
    {"announcements_are_only_read", Scene::healthy, "POST", "/api/v1/announcements", "", 405,
     "/api/v1/announcements does not take POST"},
};

TEST(AnnounceRoutes, what_is_wrong_is_said) {
    for (const Case& each : kCases) {
        SCOPED_TRACE(each.name);
        FakeNode node(each.scene);
        const Response response = answer({each.method, each.target, each.body}, node);
        EXPECT_EQ(response.status, each.status);
        EXPECT_EQ(Json::parse(response.body)["message"], each.message);
    }
}

TEST(AnnounceRoutes, what_a_client_sends_is_what_the_server_reads) {
    control::NodeOrder order;
    order.drain = true;
    EXPECT_EQ(drain_json(order), "{}");
    order.until_quiet = true;
    order.deadline = std::chrono::seconds(0);
    order.keep = std::chrono::seconds(5);
    const auto read = parse_drain(drain_json(order));
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->drain);
    EXPECT_TRUE(read->until_quiet);
    EXPECT_EQ(read->deadline, order.deadline);
    EXPECT_EQ(read->keep, order.keep);
}

}  // namespace
}  // namespace sluice::api
