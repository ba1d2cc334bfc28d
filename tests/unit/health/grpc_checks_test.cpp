// SPDX-License-Identifier: Apache-2.0
//
// grpc against gRPC's own server, plain and TLS, and against servers that do what each row says.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdlib>

#include "tests/unit/health/scripted_server.h"
#include "tests/unit/health/server_process.h"
#include "tests/unit/health/watcher.h"

namespace sluice::health {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using config::CheckType;

class grpc_checks : public testing::Test {
 protected:
    std::unique_ptr<ServerProcess> grpc_server(std::vector<std::string> more = {}) {
        port_ = free_port();
        std::vector<std::string> command{"/usr/bin/python3", "tests/unit/health/grpc_server.py",
                                         std::to_string(port_)};
        command.insert(command.end(), more.begin(), more.end());
        auto out = std::make_unique<ServerProcess>(command, folder_.path("grpc.log"));
        out->wait_for(port_);
        return out;
    }

    std::string result(const config::Check& check) {
        return text_of(watcher_.check(target_of(check, port_)));
    }

    TestFolder folder_;
    Watcher watcher_;
    std::uint16_t port_ = 0;
};

config::Check grpc_check(std::string service) {
    config::Check check = check_of(CheckType::grpc);
    check.grpc_service = std::move(service);
    return check;
}

TEST_F(grpc_checks, a_server_process_says_how_its_services_are) {
    const auto server = grpc_server();
    EXPECT_EQ(result(grpc_check("")), "passed: SERVING");
    EXPECT_EQ(result(grpc_check("up")), "passed: SERVING");
    EXPECT_EQ(result(grpc_check("down")), "not_serving: NOT_SERVING");
    EXPECT_EQ(result(grpc_check("none")), "status: gRPC status 5 NOT_FOUND: no service none");
    config::Check slow = grpc_check("slow");
    slow.timeout = 300ms;
    EXPECT_TRUE(result(slow).starts_with("timeout: after 300 ms: ")) << result(slow);
    EXPECT_EQ(result(grpc_check("up")), "passed: SERVING");
}

TEST_F(grpc_checks, a_server_process_without_the_health_service_fails) {
    ::setenv("GRPC_EMPTY", "1", 1);
    const auto server = grpc_server();
    ::unsetenv("GRPC_EMPTY");
    const std::string text = result(grpc_check(""));
    EXPECT_TRUE(text.starts_with("status: gRPC status 12 UNIMPLEMENTED")) << text;
}

TEST_F(grpc_checks, over_tls_certificates_are_checked) {
    const Authority ca(folder_, "ca");
    const Authority other(folder_, "other");
    const auto files = ca.issue("server", "DNS:grpc.test", 30);
    const auto server = grpc_server({files.certificate, files.key});
    config::Check check = grpc_check("up");
    check.tls.enabled = true;
    check.tls.ca_file = ca.ca_file();
    check.tls.server_name = "grpc.test";
    EXPECT_EQ(result(check), "passed: SERVING");
    check.tls.server_name = "www.test";
    EXPECT_EQ(result(check), "certificate: hostname mismatch");
    check.tls.server_name = "grpc.test";
    check.tls.ca_file = other.ca_file();
    EXPECT_EQ(result(check), "certificate: unable to get local issuer certificate");
    // Plain to a port that wants TLS: it closes.
    const std::string text = result(grpc_check("up"));
    EXPECT_TRUE(text.starts_with("closed") || text.starts_with("reset")) << text;
}

TEST_F(grpc_checks, a_client_certificate_is_shown) {
    const Authority ca(folder_, "ca");
    const auto files = ca.issue("server", "DNS:grpc.test", 30);
    const auto client = ca.issue("client", "DNS:client.test", 30);
    const auto server = grpc_server({files.certificate, files.key, ca.ca_file()});
    config::Check check = grpc_check("up");
    check.tls.enabled = true;
    check.tls.ca_file = ca.ca_file();
    check.tls.server_name = "grpc.test";
    const std::string without = result(check);
    // An alert, or none, as that server sees fit.
    EXPECT_TRUE(without.starts_with("tls") || without.starts_with("closed") ||
                without.starts_with("reset"))
        << without;
    check.tls.certificate_file = client.certificate;
    check.tls.key_file = client.key;
    EXPECT_EQ(result(check), "passed: SERVING");
}

TEST_F(grpc_checks, a_tls_server_without_http2_fails) {
    const Authority ca(folder_, "ca");
    const auto files = ca.issue("server", "DNS:grpc.test", 30);
    port_ = free_port();
    ServerProcess server(
        {"/usr/bin/openssl", "s_server", "-accept", "127.0.0.1:" + std::to_string(port_), "-cert",
         files.certificate, "-key", files.key, "-www"},
        folder_.path("s_server.log"));
    server.wait_for(port_);
    config::Check check = grpc_check("up");
    check.tls.enabled = true;
    check.tls.verify = false;
    EXPECT_EQ(result(check), "tls: the server does not offer HTTP/2 (ALPN h2)");
}

/// A frame of HTTP/2.
std::string frame(unsigned type, unsigned flags, unsigned stream, const std::string& payload) {
    std::string out{static_cast<char>(payload.size() >> 16),
                    static_cast<char>(payload.size() >> 8),
                    static_cast<char>(payload.size()),
                    static_cast<char>(type),
                    static_cast<char>(flags),
                    '\0',
                    '\0',
                    '\0',
                    static_cast<char>(stream)};
    return out + payload;
}

struct Case {
    const char* name;
    std::string answer;
    std::string wanted;
    bool hangs = true;
};

TEST_F(grpc_checks, by_what_the_server_does) {
    const std::string settings = frame(4, 0, 0, "");
    const std::string ok_head = "\x88";  // :status 200, from the static table.
    const auto literal = [](const std::string& name, const std::string& value) {
        return "\x00"s + static_cast<char>(name.size()) + name + static_cast<char>(value.size()) +
               value;
    };
    for (const Case& each : {
             Case{"SERVING",
                  settings + frame(1, 4, 1, ok_head) + frame(0, 0, 1, "\0\0\0\0\x02\x08\x01"s) +
                      frame(1, 5, 1, literal("grpc-status", "0")),
                  "passed: SERVING"},
             {"no status of gRPC",
              settings + frame(1, 4, 1, ok_head) + frame(0, 1, 1, "\0\0\0\0\x02\x08\x01"s),
              "protocol: no gRPC status"},
             {"half a message",
              settings + frame(1, 4, 1, ok_head) + frame(0, 0, 1, "\0\0\0\0\x02\x08"s) +
                  frame(1, 5, 1, literal("grpc-status", "0")),
              "protocol: no whole gRPC message"},
             {"another HTTP status", settings + frame(1, 5, 1, "\x8d"),  // 404
              "status: HTTP status 404"},
             {"the stream is reset", settings + frame(3, 0, 1, "\0\0\0\x07"s),
              "reset: HTTP/2: REFUSED_STREAM"},
             {"the session is ended", settings + frame(7, 0, 0, std::string(8, '\0')),
              "reset: HTTP/2: REFUSED_STREAM"},
             {"HTTP/1.1", "HTTP/1.1 400 Bad Request\r\n\r\n",
              "protocol: no HTTP/2: HTTP/1.1 400 Bad Req"},
             {"garbage", std::string(100, 'x'), "protocol: no HTTP/2: xxxxxxxxxxxxxxxxxxxx"},
             {"closed at once", "", "closed: connected, no answer", false},
             {"closed after its settings", settings, "closed: 9 bytes received", false},
             {"accepts and hangs", "", "timeout: after 100 ms: connected, no answer"},
             {"settings and no more", settings, "timeout: after 100 ms: 9 bytes received"},
         }) {
        SCOPED_TRACE(each.name);
        const ScriptedServer server([&](Peer& peer) {
            // The preface, settings, the request's headers, which end this service's name.
            peer.read_until("some.Service");
            peer.send(each.answer);
            if (each.hangs) return peer.hang();
            // Their acknowledgement: an end with bytes unread would be a reset.
            if (!each.answer.empty()) peer.read_bytes(9);
        });
        config::Check check = grpc_check("some.Service");
        if (each.wanted.starts_with("timeout")) check.timeout = 100ms;
        const std::string text = text_of(watcher_.check(target_of(check, server.port())));
        EXPECT_EQ(text.substr(0, each.wanted.size()), each.wanted) << text;
    }
}

TEST_F(grpc_checks, endless_answers_are_bounded) {
    const ScriptedServer server([&](Peer& peer) {
        peer.read_until("some.Service");
        std::string pings = frame(4, 0, 0, "");
        for (int i = 0; i < 30'000; ++i) pings += frame(6, 1, 0, std::string(8, 'x'));
        peer.send(pings);
        peer.hang();
    });
    EXPECT_EQ(text_of(watcher_.check(target_of(grpc_check("some.Service"), server.port()))),
              "protocol: more than 262144 bytes");
}

TEST_F(grpc_checks, a_shut_port_refuses) {
    const ShutPort shut(SOCK_STREAM);
    EXPECT_EQ(text_of(watcher_.check(target_of(grpc_check(""), shut.port()))),
              "refused: Connection refused");
}

}  // namespace
}  // namespace sluice::health
