// SPDX-License-Identifier: Apache-2.0
//
// udp and dns, against servers that do what each row says and against real DNS servers.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "health/dns_message.h"
#include "tests/unit/health/scripted_server.h"
#include "tests/unit/health/server_process.h"
#include "tests/unit/health/watcher.h"

namespace sluice::health {
namespace {

using namespace std::chrono_literals;
using config::CheckType;

config::Check udp_check(std::string payload, std::string reply) {
    config::Check check = check_of(CheckType::udp);
    check.udp.payload = std::move(payload);
    check.udp.reply = std::move(reply);
    return check;
}

config::Check dns_check(bool over_tcp, std::string name = "www.example.test") {
    config::Check check = check_of(CheckType::dns);
    check.dns.name = std::move(name);
    check.dns.over_tcp = over_tcp;
    return check;
}

TEST(datagram_checks, udp_by_what_the_server_answers) {
    struct Case {
        const char* name;
        std::string answer;
        config::Check check;
        std::string wanted;
    };
    Watcher watcher;
    for (Case& each : std::vector<Case>{
             {"any answer", "x", udp_check("ping", ""), "passed"},
             {"the reply within the answer", "+pong\r\n", udp_check("ping", "pong"), "passed"},
             {"bytes that are no text", std::string("\0\xff\0", 3),
              udp_check(std::string("\0p", 2), std::string("\xff\0", 2)), "passed"},
             {"another answer", "no\n", udp_check("ping", "pong"), "content: not in 3 bytes: no."},
             {"no answer", "", udp_check("ping", ""), "timeout: after 100 ms: no answer"},
         }) {
        SCOPED_TRACE(each.name);
        std::string asked;
        const DatagramServer server([&](std::string_view datagram) {
            asked = datagram;
            return each.answer;
        });
        if (each.answer.empty()) each.check.timeout = 100ms;
        EXPECT_EQ(text_of(watcher.check(target_of(each.check, server.port()))), each.wanted);
        EXPECT_EQ(asked, each.check.udp.payload);
    }
}

TEST(datagram_checks, a_shut_port_is_said_by_icmp) {
    Watcher watcher;
    const ShutPort shut(SOCK_DGRAM);
    for (const config::Check& check : {udp_check("ping", ""), dns_check(false)}) {
        const Outcome outcome = watcher.check(target_of(check, shut.port()));
        EXPECT_EQ(text_of(outcome), "refused: Connection refused");
        EXPECT_LT(outcome.duration, 5s);
    }
    const ShutPort shut_stream(SOCK_STREAM);
    EXPECT_EQ(text_of(watcher.check(target_of(dns_check(true), shut_stream.port()))),
              "refused: Connection refused");
}

/// The answer NOERROR to a query.
std::string answered(std::string_view query) {
    std::string out(query);
    if (out.size() > 2) out[2] = static_cast<char>(out[2] | 0x80);
    return out;
}

TEST(datagram_checks, dns_over_udp_by_what_the_server_answers) {
    struct Case {
        const char* name;
        DatagramServer::Answer answer;
        std::string wanted;
    };
    Watcher watcher;
    for (const Case& each : {
             Case{"an answer", answered, "passed"},
             {"garbage", [](std::string_view) { return std::string("garbage"); },
              "protocol: 7 bytes are no DNS message"},
             {"the query back", [](std::string_view query) { return std::string(query); },
              "protocol: a query, not an answer"},
             {"answers to another query alone",
              [](std::string_view query) {
                  std::string out = answered(query);
                  out[0] = static_cast<char>(out[0] + 1);
                  return out;
              },
              "timeout: after 100 ms: no answer but 1 to other queries"},
             {"silence", [](std::string_view) { return std::string(); },
              "timeout: after 100 ms: no answer"},
         }) {
        SCOPED_TRACE(each.name);
        const DatagramServer server(each.answer);
        config::Check check = dns_check(false);
        if (each.wanted.starts_with("timeout")) check.timeout = 100ms;
        EXPECT_EQ(text_of(watcher.check(target_of(check, server.port()))), each.wanted);
    }
}

std::string framed(const std::string& message) {
    return std::string{static_cast<char>(message.size() >> 8), static_cast<char>(message.size())} +
           message;
}

TEST(datagram_checks, dns_over_tcp_by_what_the_server_answers) {
    struct Case {
        const char* name;
        ScriptedServer::Script server;
        std::string wanted;
    };
    const std::size_t query_len = 2 + dns_query(dns_check(true).dns, 0).size();
    const auto reply = [query_len](Peer& peer) {
        return framed(answered(peer.read_bytes(query_len).substr(2)));
    };
    Watcher watcher;
    for (const Case& each : {
             Case{"an answer", [&](Peer& peer) { peer.send(reply(peer)); }, "passed"},
             {"an answer byte by byte", [&](Peer& peer) { peer.drip(reply(peer), 1ms); }, "passed"},
             {"half an answer", [&](Peer& peer) { peer.send(reply(peer).substr(0, 9)); },
              "closed: after 9 bytes of an answer"},
             {"an empty answer",
              [&](Peer& peer) {
                  reply(peer);
                  peer.send(std::string(2, '\0'));
              },
              "protocol: 0 bytes are no DNS message"},
             {"garbage",
              [&](Peer& peer) {
                  reply(peer);
                  peer.send("\0\x10SSH-2.0-OpenSSH_9.2\r\n");
                  peer.hang();
              },
              "timeout: after 100 ms: connected, no answer"},
             {"accepts and hangs", [](Peer& peer) { peer.hang(); },
              "timeout: after 100 ms: connected, no answer"},
             {"drips for ever",
              [&](Peer& peer) {
                  reply(peer);
                  peer.drip(std::string(10000, '\x7f'), 20ms);
              },
              "timeout: after 100 ms: "},
         }) {
        SCOPED_TRACE(each.name);
        const ScriptedServer server(each.server);
        config::Check check = dns_check(true);
        if (each.wanted.starts_with("timeout")) check.timeout = 100ms;
        const std::string text = text_of(watcher.check(target_of(check, server.port())));
        EXPECT_EQ(text.substr(0, each.wanted.size()), each.wanted);
    }
}

/// A name that is there, one that is not, over both transports.
void try_dns_server(std::uint16_t port) {
    Watcher watcher;
    for (const bool over_tcp : {false, true}) {
        SCOPED_TRACE(over_tcp ? "tcp" : "udp");
        const auto result = [&](const config::Check& check) {
            return text_of(watcher.check(target_of(check, port)));
        };
        EXPECT_EQ(result(dns_check(over_tcp)), "passed");
        config::Check check = dns_check(over_tcp);
        check.dns.type = 28;  // AAAA: no record, which is no error.
        EXPECT_EQ(result(check), "passed");
        check = dns_check(over_tcp, "none.example.test");
        EXPECT_EQ(result(check), "rcode: NXDOMAIN, wanted NOERROR");
        check.dns.rcode = 3;
        EXPECT_EQ(result(check), "passed");
    }
}

TEST(datagram_checks, dnsmasq_answers) {
    const TestFolder folder;
    const std::uint16_t port = free_port();
    ServerProcess server(
        {"/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
         "--no-hosts", "--user=", "--pid-file=", "--listen-address=127.0.0.1", "--bind-interfaces",
         "--local=/test/", "--host-record=www.example.test,192.0.2.1",
         "--port=" + std::to_string(port)},
        folder.path("dnsmasq.log"));
    server.wait_for(port);
    try_dns_server(port);
}

TEST(datagram_checks, unbound_answers) {
    const TestFolder folder;
    const std::uint16_t port = free_port();
    const std::string config = folder.write(
        "unbound.conf",
        "server:\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n use-syslog: no\n"
        " pidfile: \"\"\n logfile: \"\"\n module-config: \"iterator\"\n interface: 127.0.0.1\n"
        " port: " +
            std::to_string(port) +
            "\n local-zone: \"example.test.\" static\n"
            " local-data: \"www.example.test. A 192.0.2.1\"\n"
            " local-zone: \"refused.test.\" refuse\nremote-control:\n control-enable: no\n");
    ServerProcess server({"/usr/sbin/unbound", "-d", "-c", config}, folder.path("unbound.log"));
    server.wait_for(port);
    try_dns_server(port);
    Watcher watcher;
    EXPECT_EQ(text_of(watcher.check(target_of(dns_check(false, "a.refused.test"), port))),
              "rcode: REFUSED, wanted NOERROR");
}

}  // namespace
}  // namespace sluice::health
