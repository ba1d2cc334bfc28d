// SPDX-License-Identifier: Apache-2.0

/// Events as a stream, without a server: what comes, in which form, from where on.

#include "api/event_stream.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "api/routes.h"
#include "tests/cli/fake_node.h"

namespace sluice::api {
namespace {

using namespace sluice::test;
using Json = nlohmann::json;

void add(FakeNode& node, LogLevel level, const char* name, std::vector<LogField> fields = {}) {
    node.event_log.add(level, name, fields);
}

/// Steps until nothing more comes for now.
std::string drain(Stream& stream, FakeNode& node) {
    std::string out;
    do {
        EXPECT_TRUE(stream.step(node).has_value());
        out += stream.take();
    } while (!stream.done() && stream.pause() == std::chrono::milliseconds(0));
    return out;
}

/// "1 config.applied", or "missed=3", of each line.
std::vector<std::string> told(const std::string& lines) {
    std::vector<std::string> out;
    std::istringstream in(lines);
    std::string line;
    while (std::getline(in, line)) {
        const Json json = Json::parse(line);
        EXPECT_EQ(json["schema_version"], 1);
        if (json.contains("missed"))
            out.push_back("missed=" + std::to_string(json["missed"].get<int>()));
        else if (json.contains("restarted"))
            out.push_back("restarted");
        else
            out.push_back(std::to_string(json["number"].get<int>()) + " " +
                          json["event"].get<std::string>());
    }
    return out;
}

EventRequest following() {
    EventRequest out;
    out.follow = true;
    return out;
}

std::vector<std::string> ask(FakeNode& node, const std::string& query,
                             const std::string& last_event_id = {}) {
    Request request{"GET", "/api/v1/events" + query, ""};
    request.last_event_id = last_event_id;
    const Response response = answer(request, node);
    EXPECT_NE(response.stream, nullptr) << response.body;
    return response.stream ? told(drain(*response.stream, node)) : std::vector<std::string>();
}

void add_five(FakeNode& node) {
    add(node, LogLevel::info, "daemon.starting");
    add(node, LogLevel::info, "config.applied", {{"generation", "1"}});
    add(node, LogLevel::warning, "backend.next_hop", {{"why", "no route\nat all"}});
    add(node, LogLevel::error, "config.rejected");
    add(node, LogLevel::info, "backend.ordered");
}

TEST(EventStream, tells_what_was_asked_for) {
    using Told = std::vector<std::string>;
    struct Case {
        const char* name;
        const char* query;
        Told want;
    };
    const Case cases[] = {
        {"all",
         "",
         {"1 daemon.starting", "2 config.applied", "3 backend.next_hop", "4 config.rejected",
          "5 backend.ordered"}},
        {"after_a_number", "?after=3", {"4 config.rejected", "5 backend.ordered"}},
        {"after_the_last", "?after=5", {}},
        {"a_number_that_has_not_been_is_another_daemons",
         "?after=6&name=config.a",
         {"restarted", "2 config.applied"}},
        {"the_last_two", "?last=2", {"4 config.rejected", "5 backend.ordered"}},
        {"the_last_two_that_match",
         "?last=2&name=config.",
         {"2 config.applied", "4 config.rejected"}},
        {"more_than_there_are",
         "?last=99&level=warning",
         {"3 backend.next_hop", "4 config.rejected"}},
        {"the_last_none", "?last=0", {}},
        {"several_names", "?name=daemon.,backend.o", {"1 daemon.starting", "5 backend.ordered"}},
        {"errors_only", "?level=error", {"4 config.rejected"}},
    };
    FakeNode node(Scene::healthy);
    add_five(node);
    for (const Case& test : cases) EXPECT_EQ(ask(node, test.query), test.want) << test.name;
}

TEST(EventStream, a_line_carries_the_whole_event) {
    FakeNode node(Scene::healthy);
    add_five(node);
    const Response response = answer({"GET", "/api/v1/events?after=2&last=1", ""}, node);
    EXPECT_EQ(response.status, 400u);
    EventRequest request;
    request.after = EventPlace{{}, 2};
    request.names = {"backend.next"};
    EventStream stream(request);
    const Json json = Json::parse(drain(stream, node));
    EXPECT_EQ(json["number"], 3);
    EXPECT_EQ(json["level"], "warning");
    EXPECT_EQ(json["fields"], Json({{"why", "no route\nat all"}}));
    EXPECT_EQ(json["time"].get<std::string>().size(),
              std::string("2026-01-01T00:00:00.123Z").size());
    EXPECT_TRUE(stream.done());
    EXPECT_FALSE(stream.is_live());
}

TEST(EventStream, who_follows_gets_what_comes_and_is_never_done) {
    FakeNode node(Scene::healthy);
    EventStream stream(following());
    EXPECT_EQ(drain(stream, node), "");
    EXPECT_TRUE(stream.is_live());
    EXPECT_FALSE(stream.done());
    EXPECT_GT(stream.pause(), std::chrono::milliseconds(0));
    add_five(node);
    EXPECT_EQ(told(drain(stream, node)).size(), 5u);
    add(node, LogLevel::info, "flows.resized");
    EXPECT_EQ(told(drain(stream, node)), std::vector<std::string>{"6 flows.resized"});
    EXPECT_EQ(drain(stream, node), "");
}

TEST(EventStream, who_is_slow_is_told_what_it_missed) {
    FakeNode node(Scene::healthy);
    add_five(node);
    EventStream stream(following());
    EXPECT_EQ(told(drain(stream, node)).size(), 5u);
    for (std::size_t i = 0; i < observe::kEventsKept + 7; ++i)
        add(node, LogLevel::info, "api.request");
    const auto lines = told(drain(stream, node));
    ASSERT_EQ(lines.size(), observe::kEventsKept + 1);
    EXPECT_EQ(lines[0], "missed=7");
    EXPECT_EQ(lines[1], "13 api.request");
    EXPECT_EQ(lines.back(), std::to_string(observe::kEventsKept + 12) + " api.request");
    // Who asks for all that are kept has missed nothing that it asked for.
    EXPECT_EQ(ask(node, "").front(), "13 api.request");
}

TEST(EventStream, a_page_that_was_given_up_while_it_was_read_ends) {
    struct Case {
        const char* name;
        std::size_t added;  ///< After the page's first 256 of 300.
        std::vector<std::string> want;
    };
    const Case cases[] = {
        {"some_of_it",
         observe::kEventsKept - 4,
         {"missed=40", "297 page", "298 page", "299 page", "300 page"}},
        {"all_of_it", observe::kEventsKept, {"missed=44"}},
        {"more_than_it", observe::kEventsKept * 2, {"missed=44"}},
    };
    for (const Case& test : cases) {
        FakeNode node(Scene::healthy);
        for (int i = 0; i < 300; ++i) add(node, LogLevel::info, "page");
        EventStream stream({});
        ASSERT_TRUE(stream.step(node).has_value());
        EXPECT_EQ(told(stream.take()).size(), 256u);
        for (std::size_t i = 0; i < test.added; ++i) add(node, LogLevel::info, "storm");
        ASSERT_TRUE(stream.step(node).has_value());
        EXPECT_EQ(told(stream.take()), test.want) << test.name;
        EXPECT_TRUE(stream.done()) << test.name;
    }
}

TEST(EventStream, server_sent_events_go_on_where_their_client_was) {
    FakeNode node(Scene::healthy);
    add_five(node);
    Request request{"GET", "/api/v1/events?last=1&follow=1", ""};
    request.accept = "text/event-stream";
    const Response first = answer(request, node);
    ASSERT_NE(first.stream, nullptr);
    EXPECT_EQ(first.stream->content_type(), "text/event-stream");
    const std::string began = std::to_string(node.event_log.began());
    const std::string text = drain(*first.stream, node);
    EXPECT_TRUE(text.starts_with("id: " + began + "-5\ndata: {\"schema_version\":1,")) << text;
    EXPECT_TRUE(text.ends_with("}\n\n")) << text;
    add(node, LogLevel::info, "flows.resized");
    EXPECT_EQ(ask(node, "?last=1&follow=1", began + "-4"),
              (std::vector<std::string>{"5 backend.ordered", "6 flows.resized"}));
    // The same number, of a daemon that was there before.
    EXPECT_EQ(ask(node, "?name=flows.", "17-6"),
              (std::vector<std::string>{"restarted", "6 flows.resized"}));
}

TEST(EventStream, a_wrong_question_is_refused_by_its_key) {
    const std::pair<const char*, const char*> cases[] = {
        {"?after=x",
         "events: query: after: 'x' is not a whole number from 0 to "
         "18446744073709551615"},
        {"?after=1-",
         "events: query: after: '' is not a whole number from 0 to "
         "18446744073709551615"},
        {"?level=debug", "events: query: level: 'debug' is not one of info, warning, error"},
        {"?name=", "events: query: name: an empty word"},
        {"?name=a,,b", "events: query: name: an empty word"},
        {"?follow=2", "events: query: follow: '2' is not a whole number from 0 to 1"},
        {"?format=xml", "events: format: 'xml' is not one of lines, sse"},
        {"?since=1", "events: query: unknown key 'since'"},
        {"?after=1&last=1", "events: query: after and last exclude each other"},
    };
    FakeNode node(Scene::healthy);
    for (const auto& [query, want] : cases) {
        const Response response = answer({"GET", std::string("/api/v1/events") + query, ""}, node);
        EXPECT_EQ(response.status, 400u) << query;
        ASSERT_EQ(response.stream, nullptr) << query;
        EXPECT_EQ(Json::parse(response.body)["message"], want) << query;
    }
    EXPECT_EQ(answer({"POST", "/api/v1/events", ""}, node).status, 405u);
}

TEST(EventStream, long_values_are_kept_shortened_at_a_whole_character) {
    FakeNode node(Scene::healthy);
    std::string value(observe::kMaxEventValue - 1, 'x');
    value += "\xc3\xbc and more";
    add(node, LogLevel::info, "config.rejected", {{"error", value}});
    EventStream stream({});
    const Json json = Json::parse(drain(stream, node));
    EXPECT_EQ(json["fields"]["error"], std::string(observe::kMaxEventValue - 1, 'x') + "...");
}

}  // namespace
}  // namespace sluice::api
