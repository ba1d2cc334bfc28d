// SPDX-License-Identifier: Apache-2.0

/// Every mistake by its whole text: this is the interface that an operator meets first.

#include "tests/unit/config/cases.h"
#include "tests/unit/config/findings.h"

namespace sluice::config {
namespace {

class Errors : public testing::TestWithParam<const char*> {};

TEST_P(Errors, are_told_whole) {
    const auto cases = cases_of(std::string("tests/unit/config/errors/") + GetParam() + ".cases");
    ASSERT_FALSE(cases.empty());
    for (const ErrorCase& item : cases) EXPECT_EQ(errors_of(item.text), item.told) << item.name;
}

INSTANTIATE_TEST_SUITE_P(Config, Errors,
                         testing::Values("text", "version", "keys", "types", "node", "groups",
                                         "services", "flows", "whole", "tests", "health",
                                         "announce"),
                         [](const auto& suite) { return std::string(suite.param); });

TEST(Text, control_characters_are_refused_before_yaml_sees_them) {
    using namespace std::string_literals;
    // Byte 4 would be the end of the text to yaml-cpp: the rest of the file would vanish.
    EXPECT_EQ(errors_of("version: 1\nnode: {name: a\x04}\n"),
              "t.yaml:2:15: byte 4 is a control character: this is not a text file\n"
              "    node: {name: a?}\n"
              "                  ^\n");
    EXPECT_EQ(errors_of("version: 1\0\n"s),
              "t.yaml:1:11: byte 0 is a control character: this is not a text file\n"
              "    version: 1?\n"
              "              ^\n");
    EXPECT_EQ(errors_of("version: 1\rnode: {}\n"),
              "t.yaml:1:11: byte 13 is a control character: this is not a text file\n"
              "    version: 1?node: {}\n"
              "              ^\n");
    EXPECT_EQ(errors_of("\x7f"
                        "ELF"),
              "t.yaml:1:1: byte 127 is a control character: this is not a text file\n"
              "    ?ELF\n"
              "    ^\n");
}

TEST(Text, what_is_not_utf8_is_refused) {
    for (const char* bytes : {"\xff", "\xc0\xaf", "\xc3", "\xc3(", "\xe0\x80\x80", "\xed\xa0\x80",
                              "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80"}) {
        const auto outcome = parse("version: 1 # " + std::string(bytes) + "\n", "t.yaml");
        ASSERT_EQ(outcome.errors.size(), 1u) << bytes;
        EXPECT_EQ(outcome.errors[0].line, 1u);
        EXPECT_EQ(outcome.errors[0].column, 14u);
        EXPECT_NE(outcome.errors[0].message.find(" is not UTF-8"), std::string::npos);
    }
    EXPECT_EQ(errors_of("version: 1 # \xc3\xbc \xe2\x82\xac \xf0\x9f\x9a\xb0\n"), "");
}

TEST(Text, nesting_is_bounded) {
    const std::string open(2000, '[');
    const auto deep = parse("version: 1\nnode: " + open, "t.yaml");
    ASSERT_EQ(deep.errors.size(), 1u);
    EXPECT_EQ(deep.errors[0].message, "nested more than 64 levels deep");
    const std::string hundred = std::string(100, '[') + std::string(100, ']');
    const auto closed = parse("version: 1\nnode: " + hundred, "t.yaml");
    ASSERT_EQ(closed.errors.size(), 2u);
    EXPECT_EQ(closed.errors[1].message, "nested more than 64 levels deep");
    const auto second = parse("version: 1\n---\n" + open, "t.yaml");
    ASSERT_EQ(second.errors.size(), 1u);
    EXPECT_EQ(second.errors[0].message, "nested more than 64 levels deep");
}

TEST(Text, aliases_do_not_multiply) {
    std::string text = "version: 1\na0: &a0 [x, x]\n";
    for (int i = 1; i < 100; ++i) {
        const std::string before = "*a" + std::to_string(i - 1);
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + ", " +
                before + "]\n";
    }
    // One for each unknown key and one for each alias; expanded they would be 2^100.
    EXPECT_EQ(parse(text, "t.yaml").errors.size(), 100u + 198u);
}

TEST(Text, long_lines_are_cut_around_the_place) {
    const std::string text = "{\"version\": 1, \"node\": {\"name\": \"" + std::string(60, 'a') +
                             "\", \"icmp_rate\": 0, \"interfaces\": [\"" + std::string(200, 'b') +
                             "\"]}}\n";
    EXPECT_EQ(errors_of(text),
              "t.yaml:1:110: node.icmp_rate: 0 is not a number of answers per second (1..1000000)\n"
              "    ...aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"icmp_rate\": 0, \"interfaces\": "
              "[\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...\n"
              "                                                         ^\n"
              "t.yaml:1:128: node.interfaces[0]: "
              "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb... is not the name "
              "of an interface: 1 to 15 characters, no space, \"/\" or \":\"\n"
              "    ...aaaaaaaaaaaaaaaa\", \"icmp_rate\": 0, \"interfaces\": "
              "[\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...\n"
              "                                                         ^\n");
}

std::string warnings_of(const std::string& text) {
    const auto outcome = parse(text, "t.yaml");
    EXPECT_EQ(text_of(outcome.errors), "");
    return text_of(outcome.warnings);
}

/// What every document of these tests has, so that each shows its own warning only.
const std::string kQuiet = "version: 1\nnode: {interfaces: [eth0], ring_secret_file: secret}\n";

TEST(Warnings, an_empty_configuration_does_nothing) {
    EXPECT_EQ(warnings_of("version: 1\n"),
              "t.yaml:1:1: node.interfaces: none: Sluice will see no packet\n"
              "    version: 1\n"
              "    ^\n"
              "t.yaml:1:1: node.ring_secret: none: anybody can compute which backend a connection "
              "takes\n"
              "    version: 1\n"
              "    ^\n"
              "t.yaml:1:1: services: none: nothing is balanced\n"
              "    version: 1\n"
              "    ^\n");
}

TEST(Warnings, groups_that_cannot_serve) {
    EXPECT_EQ(
        warnings_of(
            kQuiet +
            "groups:\n"
            "  unused: {backends: [10.0.0.1, 10.0.0.2]}\n"
            "  empty: {backends: []}\n"
            "  gone:\n"
            "    backends: [{address: 10.0.0.1, weight: 0}, {address: 10.0.0.2, state: drain}]\n"
            "  single: {backends: [10.0.0.1]}\n"
            "services:\n"
            "  - {name: a, vip: 192.0.2.1, port: 1, group: empty}\n"
            "  - {name: b, vip: 192.0.2.1, port: 2, group: gone}\n"
            "  - {name: c, vip: 192.0.2.1, port: 3, group: single}\n"),
        "t.yaml:4:3: groups.unused: no service uses this group\n"
        "    unused: {backends: [10.0.0.1, 10.0.0.2]}\n"
        "    ^\n"
        "t.yaml:5:3: groups.empty.backends: no backends: every packet of its services is dropped\n"
        "    empty: {backends: []}\n"
        "    ^\n"
        "t.yaml:6:3: groups.gone.backends: no backend is ready with a weight above 0: every packet "
        "of its services is dropped\n"
        "    gone:\n"
        "    ^\n"
        "t.yaml:8:3: groups.single.backends: only one backend: nothing takes over when it fails\n"
        "    single: {backends: [10.0.0.1]}\n"
        "    ^\n");
}

TEST(Warnings, keys_without_effect) {
    EXPECT_EQ(
        warnings_of(kQuiet +
                    "services:\n"
                    "  - {name: a, vip: 192.0.2.1, port: 1, forward: local, affinity: source}\n"
                    "  - {name: b, vip: 192.0.2.1, port: 2, forward: l2, dscp: 4,\n"
                    "     backends: [10.0.0.1, 10.0.0.2]}\n"),
        "t.yaml:4:66: services[0].affinity: has no effect with forward: local\n"
        "    - {name: a, vip: 192.0.2.1, port: 1, forward: local, affinity: source}\n"
        "                                                                   ^\n"
        "t.yaml:5:59: services[1].dscp: has no effect with forward: l2\n"
        "    - {name: b, vip: 192.0.2.1, port: 2, forward: l2, dscp: 4,\n"
        "                                                            ^\n");
}

TEST(Warnings, lifetimes_that_are_too_short_or_of_another_protocol) {
    EXPECT_EQ(
        warnings_of(kQuiet +
                    "services:\n"
                    "  - {name: a, vip: 192.0.2.1, port: 1, backends: [10.0.0.1, 10.0.0.2],\n"
                    "     lifetimes: {embryonic: 63s, udp: 2m}}\n"
                    "  - {name: b, vip: 192.0.2.1, port: 2, protocol: udp,\n"
                    "     backends: [10.0.0.1, 10.0.0.2],\n"
                    "     lifetimes: {embryonic: 10s, established: 1h, udp: 2m}}\n"
                    "  - {name: c, vip: 192.0.2.1, port: 3, protocol: both,\n"
                    "     backends: [10.0.0.1, 10.0.0.2],\n"
                    "     lifetimes: {embryonic: 64s, established: 1s, closing: 1s, udp: 1s}}\n"),
        "t.yaml:5:29: services[0].lifetimes.embryonic: 63s is too short for slow handshakes: "
        "servers "
        "repeat their SYN-ACK for 63s\n"
        "    lifetimes: {embryonic: 63s, udp: 2m}}\n"
        "                           ^\n"
        "t.yaml:5:39: services[0].lifetimes.udp: has no effect with protocol: tcp\n"
        "    lifetimes: {embryonic: 63s, udp: 2m}}\n"
        "                                     ^\n"
        "t.yaml:8:29: services[1].lifetimes.embryonic: has no effect with protocol: udp\n"
        "    lifetimes: {embryonic: 10s, established: 1h, udp: 2m}}\n"
        "                           ^\n"
        "t.yaml:8:47: services[1].lifetimes.established: has no effect with protocol: udp\n"
        "    lifetimes: {embryonic: 10s, established: 1h, udp: 2m}}\n"
        "                                             ^\n");
}

TEST(Warnings, server_ids_of_some_backends_or_for_no_service) {
    EXPECT_EQ(
        warnings_of(
            kQuiet +
            "groups:\n"
            "  idle: {backends: [10.0.0.1, {address: 10.0.0.2, server_id: 2}]}\n"
            "  partly: {backends: [{address: 10.0.0.1, server_id: 1}, 10.0.0.2, 10.0.0.3]}\n"
            "services:\n"
            "  - {name: a, vip: 192.0.2.1, port: 1, group: idle}\n"
            "  - {name: b, vip: 192.0.2.1, port: 2, group: partly, route_by: tcp-server-id}\n"),
        "t.yaml:4:62: groups.idle.backends: server_id has no effect: no service of this group has "
        "route_by\n"
        "    idle: {backends: [10.0.0.1, {address: 10.0.0.2, server_id: 2}]}\n"
        "                                                               ^\n"
        "t.yaml:5:58: groups.partly.backends: backend 10.0.0.2 has no server_id: no packet of "
        "service b (line 8) can name it\n"
        "    partly: {backends: [{address: 10.0.0.1, server_id: 1}, 10.0.0.2, 10.0.0.3]}\n"
        "                                                           ^\n");
}

TEST(Warnings, backends_within_a_vip_prefix) {
    EXPECT_EQ(
        warnings_of(kQuiet +
                    "services:\n"
                    "  - {name: a, vip: 192.0.2.0/24, port: 1, backends: [10.0.0.1, 192.0.2.9]}\n"),
        "t.yaml:4:64: services[0].backends: backend 192.0.2.9 lies within the VIP of service "
        "a (line 4): what reaches this node for it is balanced\n"
        "    - {name: a, vip: 192.0.2.0/24, port: 1, backends: [10.0.0.1, 192.0.2.9]}\n"
        "                                                                 ^\n");
}

const std::string kTwo = "version: 2\nnode: {interfaces: [eth0], ring_secret_file: secret}\n";

TEST(Warnings, health_that_does_nothing_or_too_much) {
    EXPECT_EQ(
        warnings_of(kTwo + "health: {interval: 5s}\n"
                           "groups:\n"
                           "  none: {backends: [10.0.0.1, 10.0.0.2], health: {slow_start: 1m}}\n"
                           "services:\n"
                           "  - {name: a, vip: 192.0.2.1, port: 1, group: none}\n"),
        "t.yaml:3:9: health: has no effect: no group has checks\n"
        "    health: {interval: 5s}\n"
        "            ^\n"
        "t.yaml:5:50: groups.none.health: no checks: backends fail only when somebody says so "
        "(sluice backend set OWNER/ADDR --state down)\n"
        "    none: {backends: [10.0.0.1, 10.0.0.2], health: {slow_start: 1m}}\n"
        "                                                   ^\n");
    EXPECT_EQ(
        warnings_of(kTwo + "services:\n"
                           "  - name: a\n"
                           "    vip: 192.0.2.1\n"
                           "    port: 1\n"
                           "    backends: [10.0.0.1, 10.0.0.2]\n"
                           "    health:\n"
                           "      checks:\n"
                           "        - {type: command, command: [/a], interval: 500ms}\n"
                           "        - {type: https, host: a}\n"
                           "        - {type: https, tls: {}}\n"
                           "        - {type: grpc, tls: {verify: false}}\n"
                           "      min_healthy: 100%\n"
                           "      when_none: withdraw\n"),
        "t.yaml:10:52: services[0].health.checks[0].interval: starts a program for each of 2 "
        "backends every 500ms\n"
        "    - {type: command, command: [/a], interval: 500ms}\n"
        "                                               ^\n"
        "t.yaml:12:30: services[0].health.checks[2]: the certificate has to be for the VIP itself: "
        "give host or tls.server_name if it is for a name\n"
        "    - {type: https, tls: {}}\n"
        "                         ^\n"
        "t.yaml:14:20: services[0].health.min_healthy: 100%: a backend that fails always stays "
        "in, checks have no effect\n"
        "    min_healthy: 100%\n"
        "                 ^\n"
        "t.yaml:15:18: services[0].health.when_none: withdraw: this node announces no VIP of this "
        "group, so that packets come and are dropped\n"
        "    when_none: withdraw\n"
        "               ^\n");
}

TEST(Warnings, timeouts_near_the_interval_with_many_backends) {
    const auto text = [](int backends, const char* check) {
        std::string out = kTwo + "services:\n  - name: a\n    vip: 192.0.2.1\n    port: 1\n";
        out += "    health: {checks: " + std::string(check) + "}\n    backends:\n";
        for (int i = 1; i <= backends; ++i) out += "      - 10.0.0." + std::to_string(i) + "\n";
        return out;
    };
    EXPECT_EQ(
        warnings_of(text(100, "{type: tcp, interval: 1s, timeout: 751ms}")),
        "t.yaml:7:57: services[0].health.checks.timeout: 751ms is near the interval of 1s: if "
        "they hang, 100 backends keep as many checks open at nearly all times\n"
        "    health: {checks: {type: tcp, interval: 1s, timeout: 751ms}}\n"
        "                                                        ^\n");
    EXPECT_EQ(warnings_of(text(100, "{type: tcp, interval: 1s, timeout: 750ms}")), "");
    EXPECT_EQ(warnings_of(text(99, "{type: tcp, interval: 1s, timeout: 1s}")), "");
    EXPECT_EQ(warnings_of(text(20, "{type: command, command: [/a], interval: 1s}")), "");
}

TEST(Warnings, groups_that_others_fall_back_on_are_used) {
    EXPECT_EQ(
        warnings_of(kTwo + "groups:\n"
                           "  web: {backends: [10.0.0.1, 10.0.0.2],\n"
                           "        health: {checks: tcp, when_none: fallback, fallback: sorry}}\n"
                           "  sorry: {backends: [10.0.0.3, 10.0.0.4]}\n"
                           "services:\n"
                           "  - {name: a, vip: 192.0.2.1, port: 1, group: web}\n"),
        "");
}

TEST(Warnings, announcements_that_are_hardly_meant) {
    EXPECT_EQ(
        warnings_of(kTwo +
                    "services:\n"
                    "  - {name: a, vip: 192.0.2.1, port: 1, forward: local, announce: false}\n"),
        "t.yaml:4:66: services[0].announce: has no effect: this node announces nothing\n"
        "    - {name: a, vip: 192.0.2.1, port: 1, forward: local, announce: false}\n"
        "                                                                   ^\n");
    EXPECT_EQ(
        warnings_of(kTwo +
                    "services:\n"
                    "  - {name: a, vip: 192.0.2.1, port: 1, forward: local, announce: false}\n"
                    "  - {name: b, vip: 192.0.2.1, port: 2, forward: local}\n"
                    "announce:\n"
                    "  bgp:\n"
                    "    as: 65001\n"
                    "    communities: [graceful-shutdown, blackhole]\n"
                    "    local_preference: 7\n"
                    "    peers:\n"
                    "      - {address: 127.0.0.1, as: 65000}\n"
                    "      - {address: 10.0.0.1, as: 65000, hold_time: 0s}\n"),
        "t.yaml:4:66: services[0].announce: the VIP is announced all the same, for service b (line "
        "5)\n"
        "    - {name: a, vip: 192.0.2.1, port: 1, forward: local, announce: false}\n"
        "                                                                   ^\n"
        "t.yaml:9:19: announce.bgp.communities[0]: graceful-shutdown: routers take this node only "
        "if there is no other, always (sluice node drain sets it while it is needed)\n"
        "    communities: [graceful-shutdown, blackhole]\n"
        "                  ^\n"
        "t.yaml:9:38: announce.bgp.communities[1]: blackhole: routers may drop what is sent to the "
        "VIPs\n"
        "    communities: [graceful-shutdown, blackhole]\n"
        "                                     ^\n"
        "t.yaml:10:23: announce.bgp.local_preference: has no effect: no peer is of this AS\n"
        "    local_preference: 7\n"
        "                      ^\n"
        "t.yaml:12:9: announce.bgp.peers[0]: announces a loopback address as the next hop: give "
        "next_hop, or have the peer set it\n"
        "    - {address: 127.0.0.1, as: 65000}\n"
        "      ^\n"
        "t.yaml:13:51: announce.bgp.peers[1].hold_time: 0s: neither end notices that the other is "
        "gone\n"
        "    - {address: 10.0.0.1, as: 65000, hold_time: 0s}\n"
        "                                                ^\n");
    EXPECT_EQ(warnings_of(
                  kTwo + "services:\n"
                         "  - {name: a, vip: 192.0.2.1, port: 1, forward: local,\n"
                         "     announce: false}\n"
                         "announce: {bgp: {as: 1, prepend: 2, peers: [{address: 10.0.0.1, as: 1}]}}"
                         "\n"),
              "t.yaml:6:11: announce: no service is announced\n"
              "    announce: {bgp: {as: 1, prepend: 2, peers: [{address: 10.0.0.1, as: 1}]}}\n"
              "              ^\n"
              "t.yaml:6:34: announce.bgp.prepend: has no effect: all peers are of this AS\n"
              "    announce: {bgp: {as: 1, prepend: 2, peers: [{address: 10.0.0.1, as: 1}]}}\n"
              "                                     ^\n");
}

}  // namespace
}  // namespace sluice::config
