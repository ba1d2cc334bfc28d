// SPDX-License-Identifier: Apache-2.0
//
// tcp and http against servers that do what each row says.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/unit/health/scripted_server.h"
#include "tests/unit/health/watcher.h"

namespace sluice::health {
namespace {

using namespace std::chrono_literals;
using config::CheckType;

constexpr auto kShort = 100ms;  ///< The timeout of checks that are to run into it.

struct Case {
    const char* name;
    ScriptedServer::Script server;
    config::CheckHttp http;
    std::string wanted;  ///< Word and text.
    bool is_timeout = false;
};

ScriptedServer::Script answer(std::string text) {
    return [text = std::move(text)](Peer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(text);
    };
}

ScriptedServer::Script answer_and_hang(std::string text) {
    return [text = std::move(text)](Peer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(text);
        peer.hang();
    };
}

config::CheckHttp with_body(std::string body) {
    config::CheckHttp out;
    out.body = std::move(body);
    return out;
}

config::CheckHttp with_status(std::vector<config::StatusRange> status) {
    config::CheckHttp out;
    out.status = std::move(status);
    return out;
}

config::CheckHttp with_request(std::string method, std::string path, std::string host) {
    config::CheckHttp out;
    out.method = std::move(method);
    out.path = std::move(path);
    out.host = std::move(host);
    return out;
}

std::vector<Case> http_cases() {
    const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const config::CheckHttp hello = with_body("hello");
    return {
        {"an_answer_passes", answer(ok), {}, "passed: 200"},
        {"an_answer_passes_though_the_server_keeps_the_connection",
         answer_and_hang(ok),
         {},
         "passed: 200"},
        {"headers_are_enough_when_no_body_is_asked_for",
         answer_and_hang("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"),
         {},
         "passed: 204"},
        {"an_answer_byte_by_byte_passes",
         [ok](Peer& peer) {
             peer.read_until("\r\n\r\n");
             peer.drip(ok, 1ms);
         },
         hello, "passed: 200"},
        {"a_body_that_contains_the_text_passes", answer(ok), hello, "passed: 200"},
        {"a_body_without_the_text_fails", answer(ok), with_body("goodbye"),
         "content: not in 5 bytes of body"},
        {"a_text_found_early_does_not_wait_for_the_rest",
         answer_and_hang("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello"), hello,
         "passed: 200"},
        {"a_text_across_two_chunks_is_found",
         answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                "chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
         hello, "passed: 200"},
        {"a_text_behind_64_KiB_is_not_looked_for",
         answer("HTTP/1.1 200 OK\r\n\r\n" + std::string(65536, '.') + "hello"), hello,
         "content: not in 65536 bytes of body"},
        {"a_status_outside_the_ranges_fails",
         answer("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
         {},
         "status: 503 Service Unavailable"},
        {"a_status_of_any_range_passes", answer("HTTP/1.1 404 Not Found\r\n\r\n"),
         with_status({{200, 200}, {404, 410}}), "passed: 404"},
    };
}

std::vector<Case> broken_http_cases() {
    const config::CheckHttp hello = with_body("hello");
    return {
        {"an_end_before_the_answer_fails",
         [](Peer& peer) { peer.read_until("\r\n\r\n"); },
         {},
         "closed: before the end of the headers"},
        {"an_end_within_the_headers_fails",
         answer("HTTP/1.1 200 OK\r\nContent-Le"),
         {},
         "closed: before the end of the headers"},
        {"an_end_within_the_body_fails",
         answer("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhell"), hello,
         "closed: after 4 bytes of body"},
        {"a_reset_fails",
         [](Peer& peer) {
             peer.read_until("\r\n\r\n");
             peer.reset();
         },
         {},
         "reset: Connection reset by peer"},
        {"garbage_fails_at_its_first_byte",
         answer_and_hang("SSH-2.0-OpenSSH_9.2\r\n"),
         {},
         "protocol: no HTTP: SSH-2.0-OpenSSH_9.2."},
        {"endless_headers_fail",
         answer("HTTP/1.1 200 OK\r\n" + std::string(70000, 'x')),
         {},
         "protocol: more than 16384 bytes of headers"},
        {"accepting_and_hanging_is_a_timeout",
         [](Peer& peer) { peer.hang(); },
         {},
         "timeout: after 100 ms: connected, no answer",
         true},
        {"a_drip_that_never_ends_is_a_timeout",
         [](Peer& peer) {
             peer.send("HTTP/1.1 200 OK\r\nX: ");
             peer.drip(std::string(10000, 'x'), 30ms);
         },
         {},
         "timeout: after 100 ms: ",
         true},
    };
}

TEST(plain_checks, http_by_what_the_server_does) {
    Watcher watcher;
    std::vector<Case> cases = http_cases();
    for (Case& each : broken_http_cases()) cases.push_back(std::move(each));
    for (const Case& each : cases) {
        SCOPED_TRACE(each.name);
        const ScriptedServer server(each.server);
        config::Check check = check_of(CheckType::http);
        check.http = each.http;
        if (each.is_timeout) check.timeout = kShort;
        const Outcome outcome = watcher.check(target_of(check, server.port()));
        EXPECT_EQ(text_of(outcome).substr(0, each.is_timeout ? each.wanted.size() : 500),
                  each.wanted);
        EXPECT_EQ(outcome.ok, outcome.why == Why::passed);
    }
}

TEST(plain_checks, a_shut_port_refuses) {
    Watcher watcher;
    const ShutPort shut(SOCK_STREAM);
    for (const CheckType type : {CheckType::tcp, CheckType::http}) {
        const Outcome outcome = watcher.check(target_of(check_of(type), shut.port()));
        EXPECT_EQ(text_of(outcome), "refused: Connection refused");
        EXPECT_LT(outcome.duration, 5s);
    }
}

TEST(plain_checks, tcp_passes_with_a_connection_alone_over_both_families) {
    Watcher watcher;
    for (const char* address : {"127.0.0.1", "::1"}) {
        const ScriptedServer server([](Peer& peer) { peer.hang(); }, *IpAddress::parse(address));
        Target target = target_of(check_of(CheckType::tcp), server.port());
        target.address = server.address();
        EXPECT_EQ(text_of(watcher.check(target)), "passed");
    }
}

TEST(plain_checks, a_full_backlog_is_a_timeout) {
    Watcher watcher;
    // A listener that never accepts, with a backlog that two connections fill.
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t len = sizeof(at);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&at), len), 0);
    ASSERT_EQ(::listen(listener.get(), 0), 0);
    ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &len), 0);
    std::vector<UniqueFd> fillers;
    for (int i = 0; i < 4; ++i) {
        fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        ::connect(fillers.back().get(), reinterpret_cast<sockaddr*>(&at), len);
    }
    config::Check check = check_of(CheckType::tcp);
    check.timeout = kShort;
    EXPECT_EQ(text_of(watcher.check(target_of(check, ntohs(at.sin_port)))),
              "timeout: after 100 ms: not connected");
}

TEST(plain_checks, a_source_address_that_is_not_here_says_nothing_of_the_backend) {
    Watcher watcher;
    const ScriptedServer server([](Peer& peer) { peer.hang(); });
    Target target = target_of(check_of(CheckType::tcp), server.port());
    target.source = IpAddress::parse("192.0.2.1");
    EXPECT_EQ(text_of(watcher.check(target)),
              "local: bind to the source address: Cannot assign requested address");
}

TEST(plain_checks, a_source_address_is_what_the_server_sees) {
    Watcher watcher;
    std::string seen;
    const ScriptedServer server([&](Peer& peer) {
        peer.read_until("\r\n\r\n");
        sockaddr_in from{};
        socklen_t len = sizeof(from);
        ::getpeername(peer.fd(), reinterpret_cast<sockaddr*>(&from), &len);
        seen = IpAddress::from_ip4(from.sin_addr.s_addr).text();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
    });
    Target target = target_of(check_of(CheckType::http), server.port());
    target.source = IpAddress::parse("127.0.0.77");
    EXPECT_EQ(text_of(watcher.check(target)), "passed: 200");
    EXPECT_EQ(seen, "127.0.0.77");
}

struct RequestCase {
    const char* name;
    config::CheckHttp http;
    std::string first_line;
    std::string host;
};

TEST(plain_checks, the_request_says_what_the_check_asks_for) {
    Watcher watcher;
    for (const RequestCase& each :
         {RequestCase{"plain", {}, "GET / HTTP/1.1", "127.0.0.1:PORT"},
          RequestCase{"all", with_request("HEAD", "/a?b=c", "www.example.com"),
                      "HEAD /a?b=c HTTP/1.1", "www.example.com"}}) {
        SCOPED_TRACE(each.name);
        std::string request;
        const ScriptedServer server([&](Peer& peer) {
            request = peer.read_until("\r\n\r\n");
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        });
        config::Check check = check_of(CheckType::http);
        check.http = each.http;
        EXPECT_EQ(text_of(watcher.check(target_of(check, server.port()))), "passed: 200");
        std::string host = each.host;
        if (const auto at = host.find("PORT"); at != std::string::npos)
            host.replace(at, 4, std::to_string(server.port()));
        EXPECT_EQ(request,
                  each.first_line + "\r\nHost: " + host +
                      "\r\nUser-Agent: sluice\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    }
}

struct LoadCase {
    const char* name;
    config::CheckLoad load;
    std::string answer;
    std::optional<double> wanted;
};

TEST(plain_checks, the_load_that_a_backend_reports_comes_with_the_outcome) {
    const config::CheckLoad header{.header = "X-Load", .field = {}};
    const config::CheckLoad field{.header = {}, .field = "load"};
    Watcher watcher;
    for (const LoadCase& each :
         {LoadCase{"header", header, "HTTP/1.1 200 OK\r\nx-load: 37.5\r\n\r\n", 37.5},
          LoadCase{"header missing", header, "HTTP/1.1 200 OK\r\n\r\n", {}},
          LoadCase{"header out of range", header, "HTTP/1.1 200 OK\r\nX-Load: 101\r\n\r\n", {}},
          LoadCase{"field", field, "HTTP/1.1 200 OK\r\n\r\n{\"a\":{\"load\":3},\"load\":42}", 42.0},
          LoadCase{"field of a body cut short", field,
                   "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"load\": 42}", 42.0},
          LoadCase{"field, no JSON", field, "HTTP/1.1 200 OK\r\n\r\nload 42", {}}}) {
        SCOPED_TRACE(each.name);
        const ScriptedServer server(answer(each.answer));
        config::Check check = check_of(CheckType::http);
        check.load = each.load;
        const Outcome outcome = watcher.check(target_of(check, server.port()));
        EXPECT_EQ(text_of(outcome), "passed: 200");
        EXPECT_EQ(outcome.load, each.wanted);
    }
}

}  // namespace
}  // namespace sluice::health
