// SPDX-License-Identifier: Apache-2.0

/// What takes many steps, over a real socket: lists that go out as they are taken, counts and
/// purges that leave the loop to others; and peers that let the server wait.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "api/client.h"
#include "tests/unit/api/server_fixture.h"

namespace sluice::api {
namespace {

using namespace sluice::test;
using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kEndless = std::uint64_t{1} << 60;
constexpr std::string_view kList =
    "GET /api/v1/flows HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
constexpr std::string_view kCount = "GET /api/v1/flows/count HTTP/1.1\r\nHost: x\r\n\r\n";

/// True when no step is taken while this client is served twice, within the deadline.
bool stands_still(const Running& running, const Client& client) {
    const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
    while (Clock::now() < deadline) {
        const std::uint64_t before = running.node().steps;
        if (!client.get("/livez") || !client.get("/livez")) return false;
        if (running.node().steps == before) return true;
    }
    return false;
}

/// True when somebody has begun to step, within the deadline.
bool has_begun(const Running& running) {
    const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
    while (Clock::now() < deadline)
        if (running.node().steps > 0) return true;
    return false;
}

TEST(Stream, every_flow_comes_once_and_in_order) {
    const TempDir dir;
    constexpr std::uint64_t kFlows = 20'000;
    const Running running(options_for(dir), Scene::healthy, {.count = kFlows, .step_len = 700});
    std::uint64_t seen = 0;
    const auto listed = Client(dir.file("api.sock"))
                            .stream("/api/v1/flows", [&](std::string_view line) -> Result<void> {
                                EXPECT_EQ(Json::parse(line)["age_ms"], seen * 1500);
                                ++seen;
                                return {};
                            });
    ASSERT_TRUE(listed.has_value()) << listed.error().what;
    EXPECT_EQ(seen, kFlows);
}

TEST(Stream, nothing_found_is_an_empty_stream) {
    const TempDir dir;
    const Running running(options_for(dir), Scene::healthy, {.count = 5'000, .step_len = 10});
    const auto listed =
        Client(dir.file("api.sock"))
            .stream("/api/v1/flows?min_age_s=300000000", [](std::string_view) -> Result<void> {
                return fail(Errc::internal, "a line");
            });
    EXPECT_TRUE(listed.has_value()) << listed.error().what;
    EXPECT_EQ(running.node().steps, 500u);
}

TEST(Stream, a_client_that_does_not_read_stops_the_steps_and_nobody_else) {
    const TempDir dir;
    const Running running(options_for(dir), Scene::healthy, {.count = kEndless, .step_len = 100});
    const Client client(dir.file("api.sock"));
    UniqueFd slow = connect_to(dir.file("api.sock"));
    send_bytes(slow.get(), kList);
    ASSERT_TRUE(readable(slow.get(), kDeadlineMs));
    ASSERT_TRUE(stands_still(running, client));
    // What the socket holds, and one step more: some 16 kB each.
    EXPECT_LT(running.node().steps, 200u);
    const std::uint64_t before = running.node().steps;
    // It goes on as soon as the client does.
    std::vector<char> buffer(1 << 20);
    const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
    while (running.node().steps == before && Clock::now() < deadline)
        (void)::recv(slow.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    EXPECT_GT(running.node().steps, before);
    slow.reset();
    EXPECT_TRUE(stands_still(running, client));
}

TEST(Stream, a_client_that_leaves_ends_a_count_and_a_purge) {
    const TempDir dir;
    const Running running(options_for(dir), Scene::healthy, {.count = kEndless, .step_len = 10});
    const Client client(dir.file("api.sock"));
    for (const std::string_view request :
         {kCount, std::string_view("POST /api/v1/flows/purge HTTP/1.1\r\nHost: x\r\n\r\n")}) {
        const std::uint64_t before = running.node().steps;
        UniqueFd fd = connect_to(dir.file("api.sock"));
        send_bytes(fd.get(), request);
        const auto deadline = Clock::now() + std::chrono::milliseconds(kDeadlineMs);
        while (running.node().steps == before && Clock::now() < deadline) {
        }
        EXPECT_GT(running.node().steps, before);
        fd.reset();
        EXPECT_TRUE(stands_still(running, client));
    }
}

TEST(Stream, many_counts_at_once_take_one_step_a_turn) {
    const TempDir dir;
    // A step of 20,000 flows takes some milliseconds here.
    const Running running(options_for(dir), Scene::healthy,
                          {.count = kEndless, .step_len = 20'000});
    std::vector<UniqueFd> counting;
    for (int i = 0; i < 40; ++i) {
        counting.push_back(connect_to(dir.file("api.sock")));
        send_bytes(counting.back().get(), kCount);
    }
    ASSERT_TRUE(has_begun(running));
    const Client client(dir.file("api.sock"));
    ASSERT_TRUE(client.get("/livez").has_value());
    const std::uint64_t before = running.node().steps;
    ASSERT_TRUE(client.get("/livez").has_value());
    // Turns of an answer: taken on, read, written, closed. Not one for each of the forty.
    EXPECT_LT(running.node().steps - before, 20u);
}

TEST(Stream, a_pass_that_errs_at_once_is_an_ordinary_error) {
    const TempDir dir;
    const Running running(options_for(dir));
    const auto listed =
        Client(dir.file("api.sock"))
            .stream("/api/v1/flows?group=wob", [](std::string_view) -> Result<void> { return {}; });
    ASSERT_FALSE(listed.has_value());
    EXPECT_EQ(listed.error().code, Errc::not_found);
    EXPECT_EQ(listed.error().what, "no group or service 'wob'");
    EXPECT_EQ(listed.error().hint, "sluice service list shows them all");
    const std::string answer = ask_raw(
        dir.file("api.sock"), "GET /api/v1/flows/count?group=wob HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(status_line(answer), "HTTP/1.1 404 Not Found");
}

TEST(Stream, a_pass_that_errs_later_ends_with_the_error_and_without_an_end) {
    const TempDir dir;
    const Running running(options_for(dir), Scene::healthy,
                          {.count = 100, .step_len = 10, .fails_at = 50});
    int lines = 0;
    const auto listed =
        Client(dir.file("api.sock")).stream("/api/v1/flows", [&](std::string_view) -> Result<void> {
            ++lines;
            return {};
        });
    ASSERT_FALSE(listed.has_value());
    EXPECT_EQ(listed.error().code, Errc::system);
    EXPECT_EQ(listed.error().what, "the table was lost");
    EXPECT_EQ(lines, 50);
    const std::string raw = ask_raw(dir.file("api.sock"), kList);
    EXPECT_FALSE(raw.ends_with("0\r\n\r\n"));
    EXPECT_NE(raw.find("the table was lost"), std::string::npos);
}

TEST(Stream, http_1_0_gets_lines_without_chunks) {
    const TempDir dir;
    const Running running(options_for(dir));
    const std::string answer = ask_raw(dir.file("api.sock"), "GET /api/v1/flows HTTP/1.0\r\n\r\n");
    EXPECT_EQ(status_line(answer), "HTTP/1.1 200 OK");
    EXPECT_EQ(answer.find("chunked"), std::string::npos);
    EXPECT_EQ(answer.find("\r\n\r\n{\"schema_version\""), answer.find("\r\n\r\n"));
    EXPECT_TRUE(answer.ends_with("}\n"));
}

TEST(Stream, a_client_stops_where_its_own_handler_errs) {
    const TempDir dir;
    const Running running(options_for(dir), Scene::healthy, {.count = kEndless, .step_len = 10});
    int lines = 0;
    const Client client(dir.file("api.sock"));
    const auto listed = client.stream("/api/v1/flows", [&](std::string_view) -> Result<void> {
        if (++lines == 25) return fail(Errc::limit, "enough");
        return {};
    });
    ASSERT_FALSE(listed.has_value());
    EXPECT_EQ(listed.error().what, "enough");
    EXPECT_EQ(lines, 25);
    EXPECT_TRUE(stands_still(running, client));
}

TEST(Stream, a_purge_is_logged_with_how_many_it_took) {
    const TempDir dir;
    Running running(options_for(dir), Scene::healthy, {.count = 100, .step_len = 7});
    std::vector<std::string> lines;
    log_to([&lines](LogLevel level, std::string_view event, std::span<const LogField> fields) {
        if (level >= LogLevel::info)
            lines.push_back(format_logfmt({}, level, event, fields.first(3)) + " " +
                            std::string(fields.back().key) + "=" + fields.back().value);
    });
    ASSERT_TRUE(Client(dir.file("api.sock")).post("/api/v1/flows/purge?group=web").has_value());
    ASSERT_TRUE(Client(dir.file("api.sock"))
                    .patch("/api/v1/backends/web/10.0.0.5", R"({"state":"drain","weight":3})")
                    .has_value());
    log_to([](LogLevel, std::string_view, std::span<const LogField>) {});
    const std::string head = "ts=1970-01-01T00:00:00.000Z level=info event=api.request method=";
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0],
              head + "POST target=\"/api/v1/flows/purge?group=web\" status=200 purged=100");
    EXPECT_EQ(lines[1], head +
                            "PATCH target=/api/v1/backends/web/10.0.0.5 status=200 "
                            "order=state=drain weight=3");
}

TEST(Stream, an_order_longer_than_the_bound_is_refused_unread) {
    const TempDir dir;
    const Running running(options_for(dir));
    const std::string answer = ask_raw(dir.file("api.sock"),
                                       "PATCH /api/v1/backends/web/10.0.0.5 HTTP/1.1\r\n"
                                       "Host: x\r\nContent-Length: 70000\r\n\r\n{");
    EXPECT_EQ(status_line(answer), "HTTP/1.1 413 Payload Too Large");
    EXPECT_NE(answer.find("the request's body is too long"), std::string::npos);
}

TEST(Patience, half_sent_requests_do_not_keep_others_out) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_connections = 8;
    options.read_timeout = std::chrono::minutes(10);
    options.patience = std::chrono::milliseconds(30);
    const Running running(options);
    std::vector<UniqueFd> half;
    for (int i = 0; i < 20; ++i) {
        half.push_back(connect_to(options.socket_path));
        send_bytes(half.back().get(), i % 2 == 0 ? "GET /livez HTT" : "");
    }
    const Client client(options.socket_path, std::chrono::milliseconds(kDeadlineMs));
    EXPECT_TRUE(client.get("/api/v1/status").has_value());
    // The oldest went first; what came after the last place was free is still there.
    EXPECT_EQ(receive_all(half.front().get()), "");
    send_bytes(half.back().get(), "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_line(receive_all(half.back().get())), "HTTP/1.1 200 OK");
}

TEST(Patience, who_does_not_take_the_answer_makes_room_too) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_connections = 2;
    options.patience = std::chrono::milliseconds(30);
    const Running running(options, Scene::healthy, {.count = kEndless, .step_len = 100});
    std::vector<UniqueFd> slow;
    for (int i = 0; i < 2; ++i) {
        slow.push_back(connect_to(options.socket_path));
        send_bytes(slow.back().get(), kList);
        ASSERT_TRUE(readable(slow.back().get(), kDeadlineMs));
    }
    const Client client(options.socket_path, std::chrono::milliseconds(kDeadlineMs));
    EXPECT_TRUE(client.get("/livez").has_value());
}

TEST(Patience, nobody_is_closed_while_there_is_room) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_connections = 2;
    options.patience = std::chrono::milliseconds(0);
    const Running running(options);
    const UniqueFd idle = connect_to(options.socket_path);
    const Client client(options.socket_path);
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(client.get("/livez").has_value());
    send_bytes(idle.get(), "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_line(receive_all(idle.get())), "HTTP/1.1 200 OK");
}

/// The lines of a chunked body that comes in pieces of at most `most` bytes.
Result<std::vector<std::string>> lines_of(std::string_view body, std::size_t most, bool& whole) {
    std::vector<std::string> out;
    LineReader reader([&out](std::string_view line) -> Result<void> {
        out.emplace_back(line);
        return {};
    });
    std::mt19937 random(static_cast<unsigned>(most));
    while (!body.empty()) {
        const std::size_t len = std::min(body.size(), 1 + random() % most);
        SLC_CHECK(reader.take(body.substr(0, len)), "take");
        body.remove_prefix(len);
    }
    whole = reader.is_whole();
    return out;
}

TEST(LineReader, reads_the_same_however_the_bytes_come) {
    const std::string body =
        "6\r\none\ntw\r\n2\r\no\n\r\nb\r\n\nfour\nfive!\r\n1\r\n\n\r\n0\r\n\r\n";
    const std::vector<std::string> want = {"one", "two", "", "four", "five!"};
    for (std::size_t most = 1; most <= body.size(); ++most) {
        bool whole = false;
        const auto lines = lines_of(body, most, whole);
        ASSERT_TRUE(lines.has_value()) << lines.error().what;
        EXPECT_EQ(*lines, want) << most;
        EXPECT_TRUE(whole);
    }
}

TEST(LineReader, refuses_what_is_no_chunk) {
    struct Case {
        const char* name;
        std::string body;
        const char* error;  ///< Empty: no error, but not whole.
    };
    const Case cases[] = {
        {"nothing", "", ""},
        {"no_end", "3\r\nab\n\r\n", ""},
        {"cut_in_a_chunk", "9\r\nab", ""},
        {"no_number", "x\r\nab\n\r\n0\r\n\r\n", "take: what answers is not sluiced: no chunk"},
        {"no_cr", "3\nab\n\r\n", "take: what answers is not sluiced: no chunk"},
        {"negative", "-3\r\nab\n\r\n", "take: what answers is not sluiced: no chunk"},
        {"overflow", "fffffffffffffffff\r\n", "take: what answers is not sluiced: no chunk"},
        {"too_long", "3\r\nab\nx\r\n", "take: what answers is not sluiced: no end of a chunk"},
        {"endless_head", std::string(100, '0'), "take: what answers is not sluiced: no chunk"},
        {"endless_line", "20000\r\n" + std::string(0x20000, 'x'),
         "take: what answers is not sluiced: a line is too long"},
    };
    for (const Case& test : cases) {
        for (const std::size_t most : {1u, 7u, 1u << 20}) {
            bool whole = false;
            const auto lines = lines_of(test.body, most, whole);
            EXPECT_FALSE(whole) << test.name;
            EXPECT_EQ(lines ? "" : lines.error().what, test.error) << test.name;
        }
    }
}

}  // namespace
}  // namespace sluice::api
