// SPDX-License-Identifier: Apache-2.0

/// Streams that go on until their client leaves, over a real socket: idle ones, many of them,
/// clients that do not read and clients that vanish. They follow the node's events.

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "api/client.h"
#include "tests/unit/api/server_fixture.h"

namespace sluice::api {
namespace {

using namespace sluice::test;
using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kFollow =
    "GET /api/v1/events?follow=1&last=0 HTTP/1.1\r\nHost: x\r\n\r\n";

void add_event(const Running& running, const char* name, int times = 1) {
    running.in_loop([name, times](FakeNode& node) {
        for (int i = 0; i < times; ++i) node.event_log.add(LogLevel::info, name, {});
    });
}

/// All that comes until `text` has; fails the test when it does not within the deadline.
std::string receive_until(int fd, std::string_view text) {
    std::string out;
    char buffer[65536];
    while (out.find(text) == std::string::npos) {
        if (!readable(fd, kDeadlineMs)) {
            ADD_FAILURE() << "nothing more after " << out;
            break;
        }
        const ssize_t received = ::recv(fd, buffer, sizeof buffer, 0);
        if (received <= 0) break;
        out.append(buffer, static_cast<std::size_t>(received));
    }
    return out;
}

/// A client that is being told of events from here on.
UniqueFd follow(const std::string& path) {
    UniqueFd fd = connect_to(path);
    send_bytes(fd.get(), kFollow);
    const std::string head = receive_until(fd.get(), "\r\n\r\n");
    EXPECT_EQ(status_line(head), "HTTP/1.1 200 OK");
    return fd;
}

/// Followed as soon as there is room, within the deadline.
bool follows_in_time(const std::string& path) {
    const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
    while (Clock::now() < deadline) {
        const UniqueFd fd = connect_to(path);
        send_bytes(fd.get(), kFollow);
        if (status_line(receive_until(fd.get(), "\r\n\r\n")) == "HTTP/1.1 200 OK") return true;
    }
    return false;
}

TEST(LiveStream, an_idle_one_is_begun_at_once_rests_and_wakes_for_news) {
    const TempDir dir;
    const Running running(options_for(dir));
    const Client client(dir.file("api.sock"));
    const UniqueFd fd = follow(dir.file("api.sock"));
    // Between two answers it is not asked, once at least: it does not spin.
    const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
    bool rested = false;
    while (!rested && Clock::now() < deadline) {
        const std::uint64_t before = running.node().event_reads;
        ASSERT_TRUE(client.get("/livez") && client.get("/livez"));
        rested = running.node().event_reads == before;
    }
    EXPECT_TRUE(rested);
    add_event(running, "flows.resized");
    EXPECT_NE(receive_until(fd.get(), "}\n").find("\"event\":\"flows.resized\""),
              std::string::npos);
}

TEST(LiveStream, more_than_the_bound_are_refused_until_one_ends) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_live_streams = 3;
    const Running running(options);
    std::vector<UniqueFd> following;
    for (int i = 0; i < 3; ++i) following.push_back(follow(options.socket_path));
    const std::string refused = ask_raw(options.socket_path, kFollow);
    EXPECT_EQ(status_line(refused), "HTTP/1.1 507 Insufficient Storage");
    EXPECT_NE(refused.find("3 streams are being followed already"), std::string::npos);
    // What ends by itself is none of them.
    EXPECT_TRUE(Client(options.socket_path)
                    .stream("/api/v1/flows", [](std::string_view) -> Result<void> { return {}; })
                    .has_value());
    following.pop_back();
    EXPECT_TRUE(follows_in_time(options.socket_path));
    add_event(running, "flows.resized");
    for (const UniqueFd& fd : following)
        EXPECT_NE(receive_until(fd.get(), "}\n").find("flows.resized"), std::string::npos);
}

TEST(LiveStream, an_idle_one_is_not_taken_for_a_peer_that_lets_the_server_wait) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_connections = 3;
    options.patience = std::chrono::milliseconds(0);
    const Running running(options);
    const UniqueFd first = follow(options.socket_path);
    const UniqueFd second = follow(options.socket_path);
    const Client client(options.socket_path, std::chrono::milliseconds(kDeadlineMs));
    for (int i = 0; i < 20; ++i) {
        // Takes the last place, and says nothing: it is this one that goes.
        const UniqueFd silent = connect_to(options.socket_path);
        ASSERT_TRUE(client.get("/livez").has_value());
    }
    add_event(running, "flows.resized");
    for (const int fd : {first.get(), second.get()})
        EXPECT_NE(receive_until(fd, "}\n").find("flows.resized"), std::string::npos);
}

TEST(LiveStream, a_client_that_vanishes_from_an_idle_one_is_noticed) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_live_streams = 1;
    const Running running(options);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(follows_in_time(options.socket_path));
}

TEST(LiveStream, a_client_that_has_only_ended_its_own_half_still_follows) {
    const TempDir dir;
    const Running running(options_for(dir));
    const UniqueFd fd = follow(dir.file("api.sock"));
    ::shutdown(fd.get(), SHUT_WR);
    add_event(running, "flows.resized");
    EXPECT_NE(receive_until(fd.get(), "}\n").find("flows.resized"), std::string::npos);
}

TEST(LiveStream, who_does_not_read_loses_nothing_uncounted_and_disturbs_nobody) {
    const TempDir dir;
    const Running running(options_for(dir));
    const Client client(dir.file("api.sock"));
    const UniqueFd slow = follow(dir.file("api.sock"));
    const UniqueFd quick = follow(dir.file("api.sock"));
    constexpr int kRounds = 20;
    constexpr int kEach = 3000;
    for (int round = 0; round < kRounds; ++round) {
        add_event(running, "api.request", kEach);
        add_event(running, "round.over");
        EXPECT_NE(receive_until(quick.get(), "round.over"), "");
    }
    ASSERT_TRUE(client.get("/livez").has_value());
    add_event(running, "all.over");
    std::uint64_t told = 0;
    std::uint64_t missed = 0;
    std::uint64_t last = 0;
    LineReader reader([&](std::string_view line) -> Result<void> {
        const Json json = Json::parse(line);
        if (json.contains("missed")) {
            missed += json["missed"].get<std::uint64_t>();
            return {};
        }
        ++told;
        EXPECT_EQ(json["number"].get<std::uint64_t>(), told + missed);
        last = json["event"] == "all.over" ? told + missed : 0;
        return {};
    });
    ASSERT_TRUE(reader.take(receive_until(slow.get(), "all.over")).has_value());
    while (last == 0 && readable(slow.get(), kDeadlineMs)) {
        char buffer[4096];
        const ssize_t received = ::recv(slow.get(), buffer, sizeof buffer, 0);
        ASSERT_GT(received, 0);
        ASSERT_TRUE(reader.take({buffer, static_cast<std::size_t>(received)}).has_value());
    }
    EXPECT_EQ(last, kRounds * (kEach + 1u) + 1u);
    EXPECT_GT(missed, 0u);
}

TEST(LiveStream, one_that_has_nothing_to_say_says_so) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.keep_alive = std::chrono::milliseconds(20);
    const Running running(options);
    const UniqueFd lines = follow(options.socket_path);
    EXPECT_NE(receive_until(lines.get(), "1\r\n\n\r\n"), "");
    const UniqueFd events = connect_to(options.socket_path);
    send_bytes(events.get(),
               "GET /api/v1/events?follow=1&last=0 HTTP/1.1\r\nHost: x\r\n"
               "Accept: text/event-stream\r\n\r\n");
    const std::string head = receive_until(events.get(), ":\n\n");
    EXPECT_NE(head.find("\r\nContent-Type: text/event-stream\r\n"), std::string::npos) << head;
}

TEST(LiveStream, http_1_0_follows_without_chunks) {
    const TempDir dir;
    const Running running(options_for(dir));
    const UniqueFd fd = connect_to(dir.file("api.sock"));
    send_bytes(fd.get(), "GET /api/v1/events?follow=1&last=0 HTTP/1.0\r\n\r\n");
    EXPECT_EQ(receive_until(fd.get(), "\r\n\r\n").find("chunked"), std::string::npos);
    add_event(running, "flows.resized");
    const std::string line = receive_until(fd.get(), "\n");
    EXPECT_TRUE(line.starts_with("{\"schema_version\":1,\"number\":1,")) << line;
    EXPECT_TRUE(line.ends_with("}\n")) << line;
}

}  // namespace
}  // namespace sluice::api
