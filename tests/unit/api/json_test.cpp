// SPDX-License-Identifier: Apache-2.0
#include "api/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "sluice/types.h"
#include "tests/cli/fake_node.h"

namespace sluice::api {
namespace {

using Json = nlohmann::json;
using test::make_status;
using test::Scene;

TEST(Json, every_document_is_an_object_with_the_schema_version) {
    const auto node = make_status(Scene::healthy);
    for (const std::string& text :
         {status_json(node), services_json(node), service_json(node, node.services[0]),
          backends_json(node), backend_json(node.backends[0]), node_json(node), reasons_json(node),
          config_json(node, "version: 1\n"), ok_json(), accepted_json(), reloaded_json(node),
          error_json(make_error(Errc::limit, "full", "wait"))}) {
        const Json json = Json::parse(text);
        ASSERT_TRUE(json.is_object()) << text;
        EXPECT_EQ(json["schema_version"], 1) << text;
    }
}

TEST(Json, the_phase_of_a_change_is_its_first_part_that_is_not_over) {
    control::ChangeStatus change;
    EXPECT_STREQ(phase_of(change), "settled");
    change.marked_slots = 3;
    EXPECT_STREQ(phase_of(change), "closing");
    change.open_slots = 2;
    EXPECT_STREQ(phase_of(change), "open");
    change.preparing_slots = 1;
    EXPECT_STREQ(phase_of(change), "preparing");
}

TEST(Json, a_backend_is_settled_when_nothing_is_left_to_wait_for) {
    struct Case {
        const char* name;
        config::BackendState state;
        std::uint32_t weight;
        bool retired;
        std::uint64_t remembered;
        std::uint32_t marked;
        bool settled;
    };
    using enum config::BackendState;
    const Case cases[] = {
        {"ready_with_flows", ready, 1, false, 5, 0, true},
        {"ready_in_transition", ready, 1, false, 0, 1, false},
        {"ready_without_weight_and_flows", ready, 0, false, 5, 0, false},
        {"ready_without_weight", ready, 0, false, 0, 0, true},
        {"drain_with_flows", drain, 1, false, 1, 0, false},
        {"drain_in_transition", drain, 1, false, 0, 1, false},
        {"drained", drain, 1, false, 0, 0, true},
        {"maint_with_flows", maint, 1, false, 1, 0, false},
        {"maint", maint, 1, false, 0, 0, true},
        {"down", down, 1, false, 0, 0, true},
        {"retired_with_flows", ready, 1, true, 1, 0, false},
        {"retired", ready, 1, true, 0, 0, true},
    };
    for (const Case& test : cases) {
        control::BackendStatus backend;
        backend.state = test.state;
        backend.weight = test.weight;
        backend.retired = test.retired;
        backend.remembered = test.remembered;
        backend.change.marked_slots = test.marked;
        EXPECT_EQ(is_settled(backend), test.settled) << test.name;
    }
}

TEST(Json, counters_are_exact_to_the_last_of_64_bits) {
    auto node = make_status(Scene::healthy);
    node.services[0].traffic = {std::numeric_limits<std::uint64_t>::max(), (1ull << 53) + 1};
    const Json json = Json::parse(services_json(node));
    const Json& traffic = json["services"][0]["traffic"];
    EXPECT_TRUE(traffic["packets"].is_number_unsigned());
    EXPECT_EQ(traffic["packets"].get<std::uint64_t>(), std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(traffic["bytes"].get<std::uint64_t>(), (1ull << 53) + 1);
}

TEST(Json, a_host_vip_has_no_prefix_length_and_a_prefix_has) {
    auto node = make_status(Scene::healthy);
    node.services[1].vip = IpPrefix::parse("192.0.2.0/28").value();
    const Json json = Json::parse(services_json(node));
    EXPECT_EQ(json["services"][0]["vip"], "192.0.2.10");
    EXPECT_EQ(json["services"][1]["vip"], "192.0.2.0/28");
}

TEST(Json, a_service_shows_its_own_backends_only) {
    auto node = make_status(Scene::healthy);
    node.backends[0].services = {"web6"};
    const Json json = Json::parse(service_json(node, node.services[0]));
    ASSERT_EQ(json["backends"].size(), 2u);
    EXPECT_EQ(json["backends"][0]["address"], "10.0.0.6");
}

TEST(Json, bytes_that_are_no_utf8_are_replaced_and_never_thrown) {
    auto node = make_status(Scene::healthy);
    node.problems = {"bad \xff\xfe name"};
    EXPECT_TRUE(Json::accept(status_json(node)));
}

TEST(Json, a_refused_reload_degrades_a_node_that_runs_well) {
    auto node = make_status(Scene::healthy);
    EXPECT_EQ(Json::parse(status_json(node))["state"], "healthy");
    node.reload.success = false;
    EXPECT_EQ(Json::parse(status_json(node))["state"], "degraded");
}

TEST(Json, every_error_code_survives_the_way_to_the_client) {
    for (const Errc code :
         {Errc::invalid, Errc::not_found, Errc::conflict, Errc::denied, Errc::unsupported,
          Errc::limit, Errc::unreachable, Errc::system, Errc::internal}) {
        const Error back = error_from_json(error_json(make_error(code, "what", "hint")), 500);
        EXPECT_EQ(back.code, code) << name_of(code);
        EXPECT_EQ(back.what, "what");
        EXPECT_EQ(back.hint, "hint");
    }
}

TEST(Json, a_body_that_is_no_error_names_the_status) {
    for (const char* body : {"", "nonsense", "[]", "{}", R"({"code": 7})", R"({"code": "odd"})"}) {
        const Error error = error_from_json(body, 502);
        EXPECT_EQ(error.code, Errc::internal) << body;
        EXPECT_EQ(error.what, "the daemon answered with status 502") << body;
    }
}

TEST(Json, every_reason_has_an_outcome_and_the_known_ones_the_right_one) {
    const std::set<std::string> outcomes = {"forwarded", "passed", "answered", "dropped"};
#define SLC_REASON(symbol, label, text, remedy) \
    EXPECT_TRUE(outcomes.contains(outcome_of(label))) << (label);
#include "sluice/reasons.def"
#undef SLC_REASON
    EXPECT_STREQ(outcome_of("forwarded_icmp_error"), "forwarded");
    EXPECT_STREQ(outcome_of("too_big_replied"), "answered");
    EXPECT_STREQ(outcome_of("decap_source_refused"), "passed");
    EXPECT_STREQ(outcome_of("delivered_local"), "passed");
    EXPECT_STREQ(outcome_of("no_such_port"), "dropped");
    EXPECT_STREQ(outcome_of("of_a_later_release"), "dropped");
}

TEST(Json, times_are_rfc3339_and_never_is_empty) {
    EXPECT_EQ(time_text(std::chrono::system_clock::from_time_t(1767225600)),
              "2026-01-01T00:00:00Z");
    EXPECT_EQ(time_text({}), "");
}

TEST(Redact, hides_the_ring_secret_however_it_is_written) {
    const std::string secret = "000102030405060708090a0b0c0d0e0f";
    struct Case {
        const char* name;
        std::string in;
        std::string want;
    };
    const std::vector<Case> cases = {
        {"block_style", "  ring_secret: " + secret + "\n", "  ring_secret: <redacted>\n"},
        {"quoted", "ring_secret: \"" + secret + "\"", "ring_secret: \"<redacted>\""},
        {"json", "{\"ring_secret\": \"" + secret + "\"}", "{\"ring_secret\": \"<redacted>\"}"},
        {"next_line", "ring_secret:\n    " + secret, "ring_secret:\n    <redacted>"},
        {"upper_case", "ring_secret: 000102030405060708090A0B0C0D0E0F", "ring_secret: <redacted>"},
        {"twice", "ring_secret: " + secret + " ring_secret: " + secret,
         "ring_secret: <redacted> ring_secret: <redacted>"},
        {"a_file_is_no_secret", "ring_secret_file: /etc/key", "ring_secret_file: /etc/key"},
        {"nothing", "version: 1\n", "version: 1\n"},
        {"cut_short", "ring_secret", "ring_secret"},
    };
    for (const Case& test : cases) EXPECT_EQ(redact(test.in), test.want) << test.name;
}

}  // namespace
}  // namespace sluice::api
