// SPDX-License-Identifier: Apache-2.0
#include "api/routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "api/backend_order.h"
#include "tests/cli/fake_node.h"

namespace sluice::api {
namespace {

using Json = nlohmann::json;
using test::FakeNode;
using test::Scene;

struct Case {
    const char* name;
    const char* method;
    const char* target;
    unsigned status;
    const char* code;     ///< Of the error, or empty.
    const char* message;  ///< Whole.
};

const Case kCases[] = {
    {"alive", "GET", "/livez", 200, "", ""},
    {"ready", "GET", "/readyz", 200, "", ""},
    {"status", "GET", "/api/v1/status", 200, "", ""},
    {"a_query_is_ignored", "GET", "/api/v1/status?pretty=1", 200, "", ""},
    {"services", "GET", "/api/v1/services", 200, "", ""},
    {"service", "GET", "/api/v1/services/web6", 200, "", ""},
    {"service_with_escapes", "GET", "/api/v1/services/%77eb6", 200, "", ""},
    {"service_unknown", "GET", "/api/v1/services/wob", 404, "not_found", "no service 'wob'"},
    {"service_broken_escape", "GET", "/api/v1/services/%7", 400, "invalid",
     "the path has a broken percent escape"},
    {"service_no_digits", "GET", "/api/v1/services/%zz", 400, "invalid",
     "the path has a broken percent escape"},
    {"service_nul", "GET", "/api/v1/services/a%00b", 400, "invalid",
     "the path has a broken percent escape"},
    {"backends", "GET", "/api/v1/backends", 200, "", ""},
    {"backend", "GET", "/api/v1/backends/web/10.0.0.5", 200, "", ""},
    {"backend_ip6", "GET", "/api/v1/backends/web/2001:db8:1::7", 200, "", ""},
    {"backend_ip6_spelled_otherwise", "GET", "/api/v1/backends/web%2f2001:0db8:1:0::7", 200, "",
     ""},
    {"backend_of_another_group", "GET", "/api/v1/backends/wob/10.0.0.5", 404, "not_found",
     "no backend 'wob/10.0.0.5'"},
    {"backend_of_a_longer_group", "GET", "/api/v1/backends/we/10.0.0.5", 404, "not_found",
     "no backend 'we/10.0.0.5'"},
    {"backend_of_a_service", "GET", "/api/v1/backends/web6/10.0.0.5", 200, "", ""},
    {"backend_with_port", "GET", "/api/v1/backends/web/10.0.0.5:80", 200, "", ""},
    {"backend_ip6_with_port", "GET", "/api/v1/backends/web6/%5B2001:db8:1::7%5D:80", 200, "", ""},
    {"backend_with_another_port", "GET", "/api/v1/backends/web/10.0.0.5:81", 404, "not_found",
     "no service of 'web' has port 81"},
    {"backend_no_address", "GET", "/api/v1/backends/web", 400, "invalid",
     "'web' is not OWNER/ADDRESS"},
    {"backend_no_owner", "GET", "/api/v1/backends//10.0.0.5", 400, "invalid",
     "'/10.0.0.5' is not OWNER/ADDRESS"},
    {"backend_port_too_large", "GET", "/api/v1/backends/web/10.0.0.5:65536", 400, "invalid",
     "'web/10.0.0.5:65536' is not OWNER/ADDRESS"},
    {"backend_ip6_port_without_brackets", "GET", "/api/v1/backends/web/2001:db8:1:0:0:0:0:7:80",
     400, "invalid", "'web/2001:db8:1:0:0:0:0:7:80' is not OWNER/ADDRESS"},
    {"backend_ip4_in_brackets", "GET", "/api/v1/backends/web/[10.0.0.5]:80", 400, "invalid",
     "'web/[10.0.0.5]:80' is not OWNER/ADDRESS"},
    {"delete_a_backend", "DELETE", "/api/v1/backends/web/10.0.0.5", 405, "invalid",
     "/api/v1/backends/web/10.0.0.5 does not take DELETE"},
    {"health", "GET", "/api/v1/health", 200, "", ""},
    {"health_of_a_group", "GET", "/api/v1/health/web", 200, "", ""},
    {"health_of_a_service", "GET", "/api/v1/health/web6", 200, "", ""},
    {"health_of_a_backend", "GET", "/api/v1/health/web%2f10.0.0.5", 200, "", ""},
    {"health_of_a_backend_with_port", "GET", "/api/v1/health/web/10.0.0.5:80", 200, "", ""},
    {"health_of_an_unknown_group", "GET", "/api/v1/health/wob", 404, "not_found",
     "no group or service 'wob' with backends"},
    {"health_of_an_unknown_backend", "GET", "/api/v1/health/web/10.0.0.9", 404, "not_found",
     "no backend 'web/10.0.0.9'"},
    {"health_with_another_port", "GET", "/api/v1/health/web/10.0.0.5:81", 404, "not_found",
     "no service of 'web' has port 81"},
    {"health_of_no_address", "GET", "/api/v1/health/web/", 400, "invalid",
     "'web/' is not OWNER/ADDRESS"},
    {"health_of_nobody", "GET", "/api/v1/health/", 404, "not_found", "no such resource"},
    {"health_broken_escape", "GET", "/api/v1/health/%7", 400, "invalid",
     "the path has a broken percent escape"},
    {"healthy_is_another_path", "GET", "/api/v1/healthy", 404, "not_found", "no such resource"},
    {"post_to_health", "POST", "/api/v1/health/web", 405, "invalid",
     "/api/v1/health/web does not take POST"},
    {"maps", "GET", "/api/v1/maps", 200, "", ""},
    {"flow", "GET", "/api/v1/flow?tuple=tcp+1.2.3.4:5%20>%20192.0.2.10:80&id=0x07", 200, "", ""},
    {"flow_no_tuple", "GET", "/api/v1/flow", 400, "invalid", "flow: no tuple"},
    {"flow_bad_tuple", "GET", "/api/v1/flow?tuple=tcp", 400, "invalid",
     "flow: a tuple is PROTOCOL SOURCE > DESTINATION"},
    {"flow_bad_id", "GET", "/api/v1/flow?tuple=udp+1.2.3.4:5+>+192.0.2.10:80&id=7", 400, "invalid",
     "id: '7' is no id"},
    {"flow_odd_key", "GET", "/api/v1/flow?tuple=udp+1.2.3.4:5+>+192.0.2.10:80&ids=07", 400,
     "invalid", "query: unknown key 'ids'"},
    {"flows_odd_key", "GET", "/api/v1/flows?grup=web", 400, "invalid", "query: unknown key 'grup'"},
    {"flows_no_value", "GET", "/api/v1/flows?group", 400, "invalid",
     "query 'group': not KEY=VALUE"},
    {"flows_key_twice", "GET", "/api/v1/flows?group=web&group=web", 400, "invalid",
     "query: key 'group' twice"},
    {"flows_empty_group", "GET", "/api/v1/flows?group=", 400, "invalid", "group: empty"},
    {"flows_odd_class", "GET", "/api/v1/flows?class=tcp", 400, "invalid",
     "class: 'tcp' is not one of embryonic, established, closing, datagram"},
    {"flows_odd_age", "GET", "/api/v1/flows?min_age_s=-1", 400, "invalid",
     "min_age_s: '-1' is not a whole number from 0 to 315360000"},
    {"flows_no_limit", "GET", "/api/v1/flows?limit=0", 400, "invalid",
     "limit: '0' is not a whole number from 1 to 18446744073709551615"},
    {"flows_two_owners", "GET", "/api/v1/flows?group=web6&backend=web/10.0.0.5", 400, "invalid",
     "group and backend name different owners"},
    {"flows_odd_backend", "GET", "/api/v1/flows?backend=10.0.0.5", 400, "invalid",
     "backend: '10.0.0.5' is not OWNER/ADDRESS"},
    {"flows_backend_with_another_port", "GET", "/api/v1/flows?backend=web/10.0.0.5:81", 404,
     "not_found", "no service of 'web' has port 81"},
    {"flows_broken_escape", "GET", "/api/v1/flows?group=%7", 400, "invalid",
     "query: the path has a broken percent escape"},
    {"count_takes_no_limit", "GET", "/api/v1/flows/count?limit=1", 400, "invalid",
     "query: unknown key 'limit'"},
    {"post_to_flows", "POST", "/api/v1/flows", 405, "invalid", "/api/v1/flows does not take POST"},
    {"get_purge", "GET", "/api/v1/flows/purge", 405, "invalid",
     "/api/v1/flows/purge does not take GET"},
    {"node", "GET", "/api/v1/node", 200, "", ""},
    {"reasons", "GET", "/api/v1/reasons", 200, "", ""},
    {"config", "GET", "/api/v1/config", 200, "", ""},
    {"nothing_there", "GET", "/", 404, "not_found", "no such resource"},
    {"trailing_slash", "GET", "/api/v1/services/", 404, "not_found", "no such resource"},
    {"empty_target", "GET", "", 404, "not_found", "no such resource"},
    {"post_to_a_page", "POST", "/api/v1/status", 405, "invalid",
     "/api/v1/status does not take POST"},
    {"delete_a_service", "DELETE", "/api/v1/services/web", 405, "invalid",
     "/api/v1/services/web does not take DELETE"},
    {"get_reload", "GET", "/api/v1/reload", 405, "invalid", "/api/v1/reload does not take GET"},
    {"reload", "POST", "/api/v1/reload", 202, "", ""},
    {"reload_and_wait", "POST", "/api/v1/reload?wait=1", 200, "", ""},
    {"reload_odd_query", "POST", "/api/v1/reload?force=1", 400, "invalid", "query 'force=1'"},
};

TEST(Routes, each_request_has_its_status_and_its_whole_message) {
    for (const Case& test : kCases) {
        FakeNode node(Scene::healthy);
        const Response response = answer({test.method, test.target, ""}, node);
        EXPECT_EQ(response.status, test.status) << test.name;
        ASSERT_EQ(response.stream, nullptr) << test.name;
        const Json json = Json::parse(response.body);
        EXPECT_EQ(json["schema_version"], 1) << test.name;
        if (response.status < 300) continue;
        EXPECT_EQ(json["code"], test.code) << test.name;
        EXPECT_EQ(json["message"], test.message) << test.name;
        EXPECT_TRUE(json["hint"].is_string()) << test.name;
        EXPECT_EQ(response.status == 405, !response.allow.empty()) << test.name;
    }
}

struct OrderCase {
    const char* name;
    const char* body;
    unsigned status;
    const char* message;  ///< Whole; of the order as logged when it was carried out.
};

const OrderCase kOrders[] = {
    {"a_state", R"({"state": "drain"})", 200, "state=drain"},
    {"every_key", R"({"state":"maint","weight":0,"keep_s":60,"deadline_s":1})", 200,
     "state=maint weight=0 keep_s=60 deadline_s=1"},
    {"down", R"({"state": "down"})", 200, "state=down"},
    {"most_weight", R"({"weight": 1000})", 200, "weight=1000"},
    {"only_a_deadline", R"({"deadline_s": 315360000})", 200, "deadline_s=315360000"},
    {"reset", R"({"reset": true})", 200, "reset"},
    {"no_body", "", 422, "order: the body is not JSON"},
    {"no_json", "state=drain", 422, "order: the body is not JSON"},
    {"cut_short", R"({"state": "drain")", 422, "order: the body is not JSON"},
    {"bytes_behind", R"({"state": "drain"} x)", 422, "order: the body is not JSON"},
    {"bytes_no_utf8", "{\"state\": \"\xff\"}", 422, "order: the body is not JSON"},
    {"a_list", R"([{"state": "drain"}])", 422, "order: the body is not a JSON object"},
    {"empty", "{}", 422, "order: nothing is ordered"},
    {"unknown_key", R"({"wieght": 1})", 422, "order: unknown key 'wieght'"},
    {"unknown_key_beside_known", R"({"state": "drain", "wait": true})", 422,
     "order: unknown key 'wait'"},
    {"key_twice", R"({"weight": 1, "weight": 2})", 422, "order: key 'weight' twice"},
    {"unknown_key_twice", R"({"x": {"x": 1}, "x": 2})", 422, "order: key 'x' twice"},
    {"state_unknown", R"({"state": "off"})", 422,
     "order: state: 'off' is not one of ready, drain, maint, down"},
    {"state_no_string", R"({"state": 1})", 422, "order: state: not a string"},
    {"weight_too_large", R"({"weight": 1001})", 422,
     "order: weight: not a whole number from 0 to 1000"},
    {"weight_negative", R"({"weight": -1})", 422,
     "order: weight: not a whole number from 0 to 1000"},
    {"weight_fraction", R"({"weight": 1.5})", 422,
     "order: weight: not a whole number from 0 to 1000"},
    {"weight_text", R"({"weight": "1"})", 422, "order: weight: not a whole number from 0 to 1000"},
    {"weight_null", R"({"weight": null})", 422, "order: weight: not a whole number from 0 to 1000"},
    {"keep_zero", R"({"state": "drain", "keep_s": 0})", 422,
     "order: keep_s: not a whole number from 1 to 315360000"},
    {"deadline_huge", R"({"deadline_s": 99999999999999999999})", 422,
     "order: deadline_s: not a whole number from 1 to 315360000"},
    {"reset_false", R"({"reset": false})", 422, "order: reset: only true may stand there"},
    {"reset_and_more", R"({"reset": true, "weight": 1})", 422,
     "order: reset: nothing else may be ordered with it"},
    {"refused_by_the_node", R"({"state": "ready", "weight": 0})", 422,
     "a ready backend of weight 0"},
};

TEST(Routes, an_order_is_carried_out_as_it_reads_or_refused_by_the_name_of_its_key) {
    for (const OrderCase& test : kOrders) {
        FakeNode node(Scene::healthy);
        const Response response =
            answer({"PATCH", "/api/v1/backends/web/10.0.0.5", test.body}, node);
        EXPECT_EQ(response.status, test.status) << test.name;
        const Json json = Json::parse(response.body);
        if (response.status == 200) {
            EXPECT_EQ(response.order, test.message) << test.name;
            EXPECT_EQ(json["address"], "10.0.0.5") << test.name;
        } else {
            EXPECT_EQ(json["code"], "invalid") << test.name;
            EXPECT_EQ(json["message"], test.message) << test.name;
        }
    }
}

TEST(Routes, an_order_answers_with_the_state_in_force_and_the_change_that_begins) {
    FakeNode node(Scene::healthy);
    const Response response = answer(
        {"PATCH", "/api/v1/backends/web6/10.0.0.6:80", R"({"state":"drain","keep_s":60})"}, node);
    EXPECT_EQ(node.last_order.owner, "web6");
    EXPECT_EQ(node.last_order.keep, std::chrono::seconds(60));
    const Json json = Json::parse(response.body);
    EXPECT_EQ(json["state"], "drain");
    EXPECT_EQ(json["configured_state"], "ready");
    EXPECT_EQ(json["overridden"], true);
    EXPECT_EQ(json["override_left_s"], 60);
    EXPECT_EQ(json["settled"], false);
    EXPECT_EQ(json["change"]["phase"], "preparing");
}

TEST(Routes, an_order_for_what_is_not_there_or_retired_is_refused) {
    FakeNode node(Scene::changing);
    const std::string drain = R"({"state": "drain"})";
    EXPECT_EQ(answer({"PATCH", "/api/v1/backends/web/10.0.0.99", drain}, node).status, 404u);
    EXPECT_EQ(answer({"PATCH", "/api/v1/backends/web/10.0.0.9", drain}, node).status, 409u);
    EXPECT_EQ(answer({"PATCH", "/api/v1/backends/web/10.0.0.5:81", drain}, node).status, 404u);
    EXPECT_EQ(node.last_order.address.text(), "10.0.0.9");
}

/// A stream taken to its end.
std::string take_all(Stream& stream, FakeNode& node) {
    std::string out;
    while (!stream.done()) {
        const auto stepped = stream.step(node);
        EXPECT_TRUE(stepped.has_value());
        if (!stepped) break;
        out += stream.take();
    }
    return out;
}

TEST(Routes, a_list_of_flows_is_a_document_a_line_and_ends_at_its_limit) {
    FakeNode node(Scene::healthy, {.count = 10, .step_len = 4});
    const Response response =
        answer({"GET", "/api/v1/flows?group=web&min_age_s=2&limit=5", ""}, node);
    ASSERT_NE(response.stream, nullptr);
    std::istringstream lines(take_all(*response.stream, node));
    std::string line;
    int count = 0;
    while (std::getline(lines, line)) {
        const Json json = Json::parse(line);
        EXPECT_EQ(json["schema_version"], 1);
        EXPECT_EQ(json["age_ms"], (count + 2) * 1500);
        ++count;
    }
    EXPECT_EQ(count, 5);
    EXPECT_EQ(node.steps, 2u);
}

TEST(Routes, flows_are_counted_and_purged_over_all_steps) {
    FakeNode node(Scene::healthy, {.count = 10, .step_len = 3});
    const Response count = answer({"GET", "/api/v1/flows/count?backend=web6/10.0.0.5", ""}, node);
    ASSERT_NE(count.stream, nullptr);
    EXPECT_FALSE(count.stream->is_chunked());
    EXPECT_EQ(take_all(*count.stream, node), R"({"schema_version":1,"matched":4})");
    EXPECT_EQ(node.purged, 0u);
    const Response purge = answer({"POST", "/api/v1/flows/purge?class=datagram", ""}, node);
    ASSERT_NE(purge.stream, nullptr);
    EXPECT_EQ(take_all(*purge.stream, node), R"({"schema_version":1,"purged":2})");
    EXPECT_EQ(node.purged, 2u);
}

TEST(Routes, reload_without_waiting_happens_after_the_answer) {
    FakeNode node(Scene::healthy);
    const Response response = answer({"POST", "/api/v1/reload", ""}, node);
    EXPECT_TRUE(response.reload_after);
    EXPECT_EQ(node.reloads, 0);
}

TEST(Routes, reload_with_waiting_says_which_generation_is_in_force) {
    FakeNode node(Scene::healthy);
    const Response response = answer({"POST", "/api/v1/reload?wait=1", ""}, node);
    EXPECT_FALSE(response.reload_after);
    EXPECT_EQ(node.reloads, 1);
    EXPECT_EQ(Json::parse(response.body)["generation"], 4);
}

TEST(Routes, a_refused_configuration_is_422_with_the_error) {
    FakeNode node(Scene::degraded);
    const Response response = answer({"POST", "/api/v1/reload?wait=1", ""}, node);
    EXPECT_EQ(response.status, 422u);
    const Json json = Json::parse(response.body);
    EXPECT_EQ(json["code"], "invalid");
    EXPECT_EQ(json["message"], "/etc/sluice/sluice.yaml: 2 errors");
    EXPECT_EQ(json["hint"], "sluice config check shows them");
}

TEST(Routes, a_node_without_a_generation_is_alive_and_not_ready) {
    FakeNode node(Scene::empty);
    EXPECT_EQ(answer({"GET", "/livez", ""}, node).status, 200u);
    EXPECT_EQ(answer({"GET", "/readyz", ""}, node).status, 503u);
}

TEST(Routes, no_page_shows_the_ring_secret) {
    FakeNode node(Scene::healthy);
    for (const Case& test : kCases)
        EXPECT_EQ(answer({test.method, test.target, ""}, node).body.find("000102030405"),
                  std::string::npos)
            << test.name;
}

TEST(Routes, any_bytes_get_a_document) {
    FakeNode node(Scene::healthy);
    std::mt19937 random(20260101);
    static constexpr char kBytes[] = "/%?=&.-:abwe0f\0\x80\xff\n ";
    constexpr std::string_view alphabet(kBytes, sizeof kBytes - 1);
    for (int round = 0; round < 20'000; ++round) {
        const Case& seed = kCases[random() % std::size(kCases)];
        std::string target = seed.target;
        for (unsigned edits = random() % 6; edits > 0; --edits) {
            const std::size_t at = random() % (target.size() + 1);
            if (random() % 3 == 0 && at < target.size())
                target.erase(at, 1 + random() % 4);
            else
                target.insert(at, 1, alphabet[random() % alphabet.size()]);
        }
        const Response response = answer({seed.method, target, ""}, node);
        if (response.stream) continue;
        ASSERT_TRUE(Json::accept(response.body)) << target;
        ASSERT_TRUE(response.status >= 200 && response.status < 600) << target;
    }
}

TEST(Routes, any_bytes_are_an_order_or_an_error) {
    std::mt19937 random(20260101);
    static constexpr char kBytes[] = "{}[]\":,0123456789-+.eE truefalsn\\u\xff";
    constexpr std::string_view alphabet(kBytes, sizeof kBytes);
    for (int round = 0; round < 20'000; ++round) {
        std::string body = kOrders[random() % std::size(kOrders)].body;
        for (unsigned edits = random() % 6; edits > 0; --edits) {
            const std::size_t at = random() % (body.size() + 1);
            if (random() % 3 == 0 && at < body.size())
                body.erase(at, 1 + random() % 4);
            else
                body.insert(at, 1, alphabet[random() % alphabet.size()]);
        }
        const auto order = parse_order(body);
        if (!order) {
            ASSERT_EQ(order.error().code, Errc::invalid) << body;
            continue;
        }
        const auto again = parse_order(order_json(*order));
        ASSERT_TRUE(again.has_value()) << body;
        ASSERT_EQ(text_of(*again), text_of(*order)) << body;
    }
}

TEST(Encoding, what_is_encoded_decodes_to_itself) {
    std::string all;
    for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
    for (const std::string& text : {std::string("web/10.0.0.5"), std::string("a b%c"), all}) {
        const auto back = decode(encode(text));
        ASSERT_TRUE(back.has_value());
        EXPECT_EQ(*back, text);
    }
    EXPECT_EQ(encode("web/2001:db8::1"), "web%2F2001:db8::1");
}

}  // namespace
}  // namespace sluice::api
