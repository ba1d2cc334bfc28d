// SPDX-License-Identifier: Apache-2.0

/// The server and the client over a real socket: a server thread serves a fixed node, the test is
/// the peer. Every wait has a deadline.

#include "api/server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "api/client.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "tests/unit/api/server_fixture.h"

namespace sluice::api {
namespace {

namespace fs = std::filesystem;
using namespace sluice::test;

TEST(Server, a_client_gets_documents_and_errors) {
    const TempDir dir;
    const Running running(options_for(dir));
    const Client client(dir.file("api.sock"));
    const auto status = client.get("/api/v1/status");
    ASSERT_TRUE(status.has_value()) << status.error().what;
    EXPECT_EQ(nlohmann::json::parse(*status)["node"], "edge-1");
    const auto missing = client.get("/api/v1/services/wob");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, Errc::not_found);
    EXPECT_EQ(missing.error().what, "no service 'wob'");
    EXPECT_EQ(missing.error().hint, "sluice service list shows them all");
}

TEST(Server, reload_without_waiting_is_carried_out_after_the_answer) {
    const TempDir dir;
    Running running(options_for(dir));
    const Client client(dir.file("api.sock"));
    ASSERT_TRUE(client.post("/api/v1/reload").has_value());
    // It was posted before the answer was written, so a later request comes after it.
    const auto status = client.get("/api/v1/status");
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(nlohmann::json::parse(*status)["generation"], 4);
}

TEST(Server, the_socket_is_for_owner_and_group_and_goes_with_the_server) {
    const TempDir dir;
    {
        const Running running(options_for(dir));
        struct stat info{};
        ASSERT_EQ(::stat(dir.file("api.sock").c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 07777, 0660u);
    }
    EXPECT_FALSE(fs::exists(dir.file("api.sock")));
    EXPECT_TRUE(fs::is_empty(fs::path(dir.file("api.sock")).parent_path()));
}

TEST(Server, a_missing_directory_is_made_for_owner_and_group) {
    const TempDir dir;
    ServerOptions options;
    options.socket_path = dir.file("run/api.sock");
    const Running running(options);
    struct stat info{};
    ASSERT_EQ(::stat(dir.file("run").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0027, 0u);
    EXPECT_EQ(info.st_mode & 0700, 0700u);
}

TEST(Server, a_socket_nobody_listens_on_is_replaced) {
    const TempDir dir;
    {
        const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, dir.file("api.sock").c_str(), sizeof address.sun_path - 1);
        ASSERT_EQ(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
                  0);
    }
    ASSERT_TRUE(fs::exists(dir.file("api.sock")));
    const Running running(options_for(dir));
    EXPECT_TRUE(Client(dir.file("api.sock")).get("/livez").has_value());
}

/// Why a server cannot be opened on `path`.
Error refusal(const std::string& path) {
    const auto loop = std::move(Loop::open()).value();
    FakeNode node(Scene::healthy);
    ServerOptions options;
    options.socket_path = path;
    const auto server = Server::open(*loop, options, node);
    EXPECT_FALSE(server.has_value());
    return server ? Error{} : server.error();
}

TEST(Server, a_socket_somebody_listens_on_is_a_conflict_and_stays) {
    const TempDir dir;
    const Running running(options_for(dir));
    const Error error = refusal(dir.file("api.sock"));
    EXPECT_EQ(error.code, Errc::conflict);
    EXPECT_EQ(error.what, "start the API: listen on " + dir.file("api.sock") +
                              ": another process listens there");
    EXPECT_EQ(error.hint, "stop it, or use --socket for a second instance");
    EXPECT_TRUE(Client(dir.file("api.sock")).get("/livez").has_value());
}

TEST(Server, a_file_that_is_no_socket_is_a_conflict_and_stays) {
    const TempDir dir;
    std::ofstream(dir.file("api.sock")) << "precious";
    const Error error = refusal(dir.file("api.sock"));
    EXPECT_EQ(error.code, Errc::conflict);
    EXPECT_EQ(error.what,
              "start the API: listen on " + dir.file("api.sock") + ": exists and is no socket");
    EXPECT_EQ(fs::file_size(dir.file("api.sock")), 8u);
}

TEST(Server, a_path_longer_than_a_socket_address_is_refused) {
    const Error error = refusal("/tmp/" + std::string(200, 'x'));
    EXPECT_EQ(error.code, Errc::invalid);
    EXPECT_EQ(error.hint, "1 to 107 bytes");
}

TEST(Server, one_connection_carries_many_requests) {
    const TempDir dir;
    const Running running(options_for(dir));
    const std::string answer =
        ask_raw(dir.file("api.sock"),
                "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/nothing HTTP/1.1\r\nHost: "
                "x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_line(answer), "HTTP/1.1 200 OK");
    EXPECT_NE(answer.find("HTTP/1.1 404 Not Found"), std::string::npos);
    EXPECT_NE(answer.rfind("HTTP/1.1 200 OK"), answer.find("HTTP/1.1 200 OK"));
}

TEST(Server, what_is_too_long_or_no_http_is_refused_by_name) {
    const TempDir dir;
    const Running running(options_for(dir));
    struct Case {
        const char* name;
        std::string request;
        const char* status;
        const char* message;
    };
    const Case cases[] = {
        {"headers", "GET /livez HTTP/1.1\r\nHost: " + std::string(9000, 'x') + "\r\n\r\n",
         "HTTP/1.1 431 Request Header Fields Too Large", "the request's headers are too long"},
        {"declared_body", "POST /api/v1/reload HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
         "HTTP/1.1 413 Payload Too Large", "the request's body is too long"},
        {"chunked_body",
         "POST /api/v1/reload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" +
             std::string(0x20000, 'x') + "\r\n0\r\n\r\n",
         "HTTP/1.1 413 Payload Too Large", "the request's body is too long"},
        {"not_http", "EHLO example.com\r\n\r\n", "HTTP/1.1 400 Bad Request",
         "the request is not HTTP/1.1: bad "},
        {"two_lengths", "POST /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
         "HTTP/1.1 400 Bad Request", "the request is not HTTP/1.1: multiple Content-Length"},
    };
    for (const Case& test : cases) {
        const std::string answer = ask_raw(dir.file("api.sock"), test.request);
        EXPECT_EQ(status_line(answer), test.status) << test.name;
        EXPECT_NE(answer.find(test.message), std::string::npos) << test.name << "\n" << answer;
    }
}

/// A plan's body of some length.
std::string plan_body(std::size_t len) {
    return R"({"text": ")" + std::string(len, 'x') + R"("})";
}

TEST(Server, a_configuration_of_many_backends_is_taken_and_leaves_its_room) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_large_bodies = 12'000'000;
    const Running running(options);
    const Client client(options.socket_path);
    const std::string body = plan_body(10'000'000);
    for (int round = 0; round < 3; ++round) {
        const auto answer = client.post("/api/v1/config/plan", body);
        ASSERT_TRUE(answer.has_value()) << answer.error().what;
        EXPECT_EQ(nlohmann::json::parse(*answer)["base"], 3);
    }
}

TEST(Server, a_body_beyond_its_bound_is_refused_by_the_bound) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_large_bodies = 1'000'000;
    const Running running(options);
    const Client client(options.socket_path);
    struct Case {
        const char* name;
        const char* target;
        std::size_t len;
        Errc code;
        const char* message;
    };
    const Case cases[] = {
        {"what_carries_no_configuration", "/api/v1/reload", 2'000'000, Errc::invalid,
         "the request's body is too long: more than 65536 bytes"},
        {"what_carries_no_configuration_either", "/api/v1/config/rollback", 100'000, Errc::invalid,
         "the request's body is too long: more than 65536 bytes"},
        {"a_configuration", "/api/v1/config/apply", std::size_t{65} << 20, Errc::invalid,
         "the request's body is too long: more than 67108864 bytes"},
        {"a_configuration_without_room", "/api/v1/config/apply", 2'000'000, Errc::limit,
         "other large requests are being answered"},
    };
    for (const Case& test : cases) {
        const auto answer = client.post(test.target, plan_body(test.len));
        ASSERT_FALSE(answer.has_value()) << test.name;
        EXPECT_EQ(answer.error().code, test.code) << test.name;
        EXPECT_EQ(answer.error().what, test.message) << test.name;
    }
    EXPECT_TRUE(client.post("/api/v1/config/plan", plan_body(900'000)).has_value());
}

TEST(Server, a_peer_that_leaves_in_the_middle_of_a_large_body_leaves_its_room) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_large_bodies = 1'000'000;
    const Running running(options);
    const Client client(options.socket_path);
    const std::string head = "POST /api/v1/config/plan HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" +
                             std::string(1000, ' ');
    {
        const UniqueFd peer = connect_to(options.socket_path);
        send_bytes(peer.get(), head);
        // Until its room is taken; it may not be at once.
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (client.post("/api/v1/config/plan", plan_body(900'000)).has_value())
            ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!client.post("/api/v1/config/plan", plan_body(900'000)).has_value())
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

TEST(Server, a_wrong_method_is_answered_with_the_right_one) {
    const TempDir dir;
    const Running running(options_for(dir));
    const std::string answer = ask_raw(
        dir.file("api.sock"), "DELETE /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_line(answer), "HTTP/1.1 405 Method Not Allowed");
    EXPECT_NE(answer.find("Allow: GET\r\n"), std::string::npos);
}

TEST(Server, a_peer_that_stalls_is_closed_after_the_timeout) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.read_timeout = std::chrono::milliseconds(50);
    const Running running(options);
    const UniqueFd fd = connect_to(options.socket_path);
    send_bytes(fd.get(), "GET /livez HTT");
    EXPECT_EQ(receive_all(fd.get()), "");
}

TEST(Server, connections_beyond_the_bound_wait_and_are_served_in_turn) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.max_connections = 2;
    options.patience = std::chrono::minutes(10);  // Nobody is closed for being slow.
    const Running running(options);
    constexpr std::string_view kKeep = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    UniqueFd first = connect_to(options.socket_path);
    const UniqueFd second = connect_to(options.socket_path);
    for (const int fd : {first.get(), second.get()}) {
        send_bytes(fd, kKeep);
        ASSERT_TRUE(readable(fd, kDeadlineMs));
    }
    const UniqueFd third = connect_to(options.socket_path);
    send_bytes(third.get(), kKeep);
    // Nothing tells that it waits but that nothing comes, while the second is still served.
    char drain[4096];
    ASSERT_GT(::recv(second.get(), drain, sizeof drain, 0), 0);
    send_bytes(second.get(), kKeep);
    ASSERT_TRUE(readable(second.get(), kDeadlineMs));
    EXPECT_FALSE(readable(third.get(), 0));
    first.reset();
    EXPECT_TRUE(readable(third.get(), kDeadlineMs));
}

TEST(Server, mutated_requests_never_stop_it) {
    const TempDir dir;
    ServerOptions options = options_for(dir);
    options.read_timeout = std::chrono::milliseconds(200);
    const Running running(options);
    const std::string seeds[] = {
        "GET /api/v1/services/web HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "POST /api/v1/reload?wait=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /api/v1/reload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        "POST /api/v1/config/plan HTTP/1.1\r\nContent-Length: 13\r\n\r\n{\"text\": \"x\"}",
    };
    std::mt19937 random(20260101);
    for (int round = 0; round < 2000; ++round) {
        std::string request = seeds[random() % std::size(seeds)];
        for (unsigned edits = 1 + random() % 8; edits > 0; --edits) {
            const std::size_t at = random() % request.size();
            switch (random() % 4) {
                case 0:
                    request[at] = static_cast<char>(random());
                    break;
                case 1:
                    request.insert(at, 1 + random() % 16, static_cast<char>(random()));
                    break;
                case 2:
                    request.insert(at, request.substr(random() % request.size(), 40));
                    break;
                default:
                    request.erase(at, 1 + random() % 16);
                    if (request.empty()) request = "x";
            }
        }
        const std::string answer = ask_raw(options.socket_path, request);
        ASSERT_TRUE(answer.empty() || answer.starts_with("HTTP/1."))
            << request << "\nwas answered with\n"
            << answer;
    }
    EXPECT_TRUE(Client(options.socket_path).get("/livez").has_value());
}

TEST(Server, the_peer_of_a_change_is_logged) {
    const TempDir dir;
    Running running(options_for(dir));
    std::vector<std::string> lines;
    log_to([&lines](LogLevel level, std::string_view event, std::span<const LogField> fields) {
        if (level < LogLevel::info) return;
        lines.push_back(format_logfmt({}, level, event, fields));
    });
    ASSERT_TRUE(Client(dir.file("api.sock")).get("/livez").has_value());
    // Questions, which are POSTs because they are long.
    for (const char* target : {"/api/v1/explain", "/api/v1/config/plan", "/api/v1/config/drift"})
        (void)Client(dir.file("api.sock")).post(target).has_value();
    ASSERT_TRUE(Client(dir.file("api.sock")).post("/api/v1/reload?wait=1").has_value());
    log_to([](LogLevel, std::string_view, std::span<const LogField>) {});
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0],
              "ts=1970-01-01T00:00:00.000Z level=info event=api.request method=POST "
              "target=\"/api/v1/reload?wait=1\" status=200 pid=" +
                  std::to_string(::getpid()) + " uid=" + std::to_string(::getuid()) +
                  " gid=" + std::to_string(::getgid()));
}

TEST(Client, says_what_to_do_when_nobody_answers) {
    const TempDir dir;
    const auto missing = Client(dir.file("none.sock")).get("/livez");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, Errc::unreachable);
    EXPECT_EQ(missing.error().what, dir.file("none.sock") + ": connect: No such file or directory");
    EXPECT_EQ(missing.error().hint,
              "is sluiced running? systemctl status sluiced; --socket names another one");
    EXPECT_EQ(Client("").get("/livez").error().code, Errc::unreachable);
}

TEST(Client, does_not_wait_longer_than_its_timeout) {
    const TempDir dir;
    const UniqueFd silent(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, dir.file("s").c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(silent.get(), 1), 0);
    const auto answer = Client(dir.file("s"), std::chrono::milliseconds(30)).get("/livez");
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, Errc::unreachable);
    EXPECT_EQ(answer.error().what, dir.file("s") + ": receive: the daemon does not answer in time");
}

TEST(Client, reads_whole_answers_and_nothing_else) {
    struct Case {
        const char* name;
        const char* bytes;
        const char* body;  ///< Null: an error.
        const char* error;
    };
    const Case cases[] = {
        {"whole", "HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\n\r\n{}", "{}", ""},
        {"accepted", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "", ""},
        {"refused",
         "HTTP/1.1 404 Not Found\r\nContent-Length: 34\r\n\r\n{\"code\":\"not_found\","
         "\"message\":\"x\"}",
         nullptr, "x"},
        {"empty", "", nullptr, "what answers is not sluiced: no HTTP"},
        {"other_protocol", "220 mail ready\r\n\r\n", nullptr,
         "what answers is not sluiced: no HTTP"},
        {"no_status", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", nullptr,
         "what answers is not sluiced: no status"},
        {"no_length", "HTTP/1.1 200 OK\r\n\r\n{}", nullptr,
         "what answers is not sluiced: the answer was cut short"},
        {"cut_short", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", nullptr,
         "what answers is not sluiced: the answer was cut short"},
        {"odd_length", "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\n{}", nullptr,
         "what answers is not sluiced: the answer was cut short"},
    };
    for (const Case& test : cases) {
        const auto answer = read_answer(test.bytes);
        EXPECT_EQ(answer.has_value(), test.body != nullptr) << test.name;
        if (answer)
            EXPECT_EQ(*answer, test.body) << test.name;
        else
            EXPECT_EQ(answer.error().what, test.error) << test.name;
    }
}

}  // namespace
}  // namespace sluice::api
