// SPDX-License-Identifier: Apache-2.0
#include "api/routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

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
    {"backend_no_address", "GET", "/api/v1/backends/web", 400, "invalid",
     "'web' is not GROUP/ADDRESS"},
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
        const Response response = answer({test.method, test.target}, node);
        EXPECT_EQ(response.status, test.status) << test.name;
        const Json json = Json::parse(response.body);
        EXPECT_EQ(json["schema_version"], 1) << test.name;
        if (response.status < 300) continue;
        EXPECT_EQ(json["code"], test.code) << test.name;
        EXPECT_EQ(json["message"], test.message) << test.name;
        EXPECT_TRUE(json["hint"].is_string()) << test.name;
        EXPECT_EQ(response.status == 405, !response.allow.empty()) << test.name;
    }
}

TEST(Routes, reload_without_waiting_happens_after_the_answer) {
    FakeNode node(Scene::healthy);
    const Response response = answer({"POST", "/api/v1/reload"}, node);
    EXPECT_TRUE(response.reload_after);
    EXPECT_EQ(node.reloads, 0);
}

TEST(Routes, reload_with_waiting_says_which_generation_is_in_force) {
    FakeNode node(Scene::healthy);
    const Response response = answer({"POST", "/api/v1/reload?wait=1"}, node);
    EXPECT_FALSE(response.reload_after);
    EXPECT_EQ(node.reloads, 1);
    EXPECT_EQ(Json::parse(response.body)["generation"], 4);
}

TEST(Routes, a_refused_configuration_is_422_with_the_error) {
    FakeNode node(Scene::degraded);
    const Response response = answer({"POST", "/api/v1/reload?wait=1"}, node);
    EXPECT_EQ(response.status, 422u);
    const Json json = Json::parse(response.body);
    EXPECT_EQ(json["code"], "invalid");
    EXPECT_EQ(json["message"], "/etc/sluice/sluice.yaml: 2 errors");
    EXPECT_EQ(json["hint"], "sluice config check shows them");
}

TEST(Routes, a_node_without_a_generation_is_alive_and_not_ready) {
    FakeNode node(Scene::empty);
    EXPECT_EQ(answer({"GET", "/livez"}, node).status, 200u);
    EXPECT_EQ(answer({"GET", "/readyz"}, node).status, 503u);
}

TEST(Routes, no_page_shows_the_ring_secret) {
    FakeNode node(Scene::healthy);
    for (const Case& test : kCases)
        EXPECT_EQ(answer({test.method, test.target}, node).body.find("000102030405"),
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
        const Response response = answer({seed.method, target}, node);
        ASSERT_TRUE(Json::accept(response.body)) << target;
        ASSERT_TRUE(response.status >= 200 && response.status < 600) << target;
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
