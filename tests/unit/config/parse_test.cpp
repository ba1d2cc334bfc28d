// SPDX-License-Identifier: Apache-2.0
#include "config/parse.h"

#include <ctime>

#include "config/rules.h"
#include "sluice/limits.h"
#include "tests/unit/config/findings.h"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;

IpPrefix prefix(std::string_view text) {
    return IpPrefix::parse(text).value_or(IpPrefix{});
}

TEST(Parse, reads_every_key_of_the_node) {
    const auto outcome = parse(
        "version: 1\n"
        "node:\n"
        "  name: edge-1\n"
        "  interfaces: [eth0, bond0.7]\n"
        "  xdp_mode: native\n"
        "  tunnel_source: {ipv4: 10.255.0.0/24, ipv6: \"fd00:ff::/64\"}\n"
        "  ring_secret: 000102030405060708090A0b0c0d0e0f\n"
        "  icmp_rate: 5\n"
        "  gue_port: 6081\n"
        "  flows: {entries: 5000}\n"
        "  next: /sys/fs/bpf/other/prog\n"
        "  decap: {from: [10.255.0.0/24], addresses: [10.0.0.1, \"2001:db8::1\"]}\n",
        "t.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    const Node& node = outcome.config.node;
    EXPECT_EQ(node.name, "edge-1");
    EXPECT_EQ(node.interfaces, (std::vector<std::string>{"eth0", "bond0.7"}));
    EXPECT_EQ(node.xdp_mode, XdpMode::native);
    EXPECT_EQ(node.tunnel_source4, prefix("10.255.0.0/24"));
    EXPECT_EQ(node.tunnel_source6, prefix("fd00:ff::/64"));
    EXPECT_TRUE(node.has_ring_secret);
    EXPECT_EQ(node.ring_secret[0], 0x0001020304050607u);
    EXPECT_EQ(node.ring_secret[1], 0x08090a0b0c0d0e0fu);
    EXPECT_EQ(node.icmp_rate, 5u);
    EXPECT_EQ(node.gue_port, 6081);
    EXPECT_EQ(node.flow_entries, 8192u);
    EXPECT_EQ(node.next, "/sys/fs/bpf/other/prog");
    ASSERT_TRUE(node.decap.has_value());
    EXPECT_EQ(node.decap->from, std::vector{prefix("10.255.0.0/24")});
    EXPECT_EQ(node.decap->addresses,
              (std::vector{*IpAddress::parse("10.0.0.1"), *IpAddress::parse("2001:db8::1")}));
    EXPECT_EQ(node.mark.line, 3u);
    EXPECT_EQ(node.mark.column, 3u);
}

TEST(Parse, has_the_documented_defaults) {
    const auto outcome = parse(
        "version: 1\n"
        "services:\n"
        "  - {name: web, vip: 192.0.2.10, port: 80, backends: [10.0.0.5, {address: 10.0.0.6}]}\n",
        "t.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    const Config& config = outcome.config;
    EXPECT_EQ(config.node.name, "default");
    EXPECT_EQ(config.node.xdp_mode, XdpMode::automatic);
    EXPECT_EQ(config.node.icmp_rate, 1000u);
    EXPECT_EQ(config.node.gue_port, 6080);
    EXPECT_EQ(config.node.flow_entries, 1'048'576u);
    EXPECT_FALSE(config.node.has_ring_secret);
    EXPECT_FALSE(config.node.decap.has_value());
    ASSERT_EQ(config.services.size(), 1u);
    const Service& web = config.services[0];
    EXPECT_EQ(web.vip, prefix("192.0.2.10/32"));
    EXPECT_EQ(web.protocol, Protocol::tcp);
    EXPECT_EQ(web.ports, (Ports{80, 80, false}));
    EXPECT_EQ(web.forward, Forward::ipip);
    EXPECT_EQ(web.balance, Balance::maglev);
    EXPECT_EQ(web.affinity, Affinity::five_tuple);
    EXPECT_FALSE(web.dscp_copy);
    EXPECT_EQ(web.dscp, 0);
    EXPECT_EQ(web.unmatched, Unmatched::drop);
    EXPECT_EQ(web.tracking, Tracking::transitions);
    EXPECT_EQ(web.lifetimes.embryonic, 75s);
    EXPECT_EQ(web.lifetimes.established, 15min);
    EXPECT_EQ(web.lifetimes.closing, 2min);
    EXPECT_EQ(web.lifetimes.udp, 60s);
    EXPECT_EQ(web.routing.by, RouteBy::ring);
    ASSERT_EQ(config.groups.size(), 1u);
    EXPECT_EQ(config.groups[0].on_down, OnDown::replace);
    EXPECT_EQ(config.groups[0].deadline, 0s);
    EXPECT_EQ(config.groups[0].flows.share, 0u);
    EXPECT_EQ(config.groups[0].flows.ceiling, 50u);
    EXPECT_FALSE(config.groups[0].backends[0].server_id.has_value());
    EXPECT_TRUE(config.groups[0].anonymous);
    EXPECT_EQ(config.groups[0].name, "web");
    ASSERT_EQ(config.groups[0].backends.size(), 2u);
    EXPECT_EQ(config.groups[0].backends[1].weight, 1u);
    EXPECT_EQ(config.groups[0].backends[1].state, BackendState::ready);
    EXPECT_EQ(config.groups[0].backends[1].mark.line, 3u);
}

TEST(Parse, reads_every_key_of_groups_services_and_protected) {
    const auto outcome = parse(content_of("examples/sluice.yaml"), "sluice.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    const Config& config = outcome.config;
    ASSERT_EQ(config.groups.size(), 3u);  // Two by name, and that of the service games.
    EXPECT_EQ(config.groups[0].name, "web");
    EXPECT_EQ(config.groups[0].backends[1].weight, 2u);
    EXPECT_EQ(config.groups[0].backends[2].state, BackendState::drain);
    EXPECT_EQ(config.groups[1].balance, Balance::rendezvous);
    EXPECT_TRUE(config.groups[2].anonymous);
    ASSERT_EQ(config.services.size(), 6u);
    const Service& web = config.services[0];
    EXPECT_TRUE(web.dscp_copy);
    EXPECT_EQ(web.customer, "acme");
    EXPECT_EQ(web.policy, "edge");
    EXPECT_EQ(web.balance, Balance::maglev);
    EXPECT_EQ(config.services[1].balance, Balance::rendezvous);
    EXPECT_EQ(config.services[1].group, 0u);
    EXPECT_EQ(config.services[2].ports, (Ports{30000, 30099, false}));
    EXPECT_EQ(config.services[2].affinity, Affinity::source);
    EXPECT_EQ(config.services[2].forward, Forward::gue);
    EXPECT_EQ(config.services[3].protocol, Protocol::both);
    EXPECT_EQ(config.services[3].balance, Balance::rendezvous);
    EXPECT_EQ(config.services[3].unmatched, Unmatched::pass);
    EXPECT_EQ(config.services[4].vip, prefix("203.0.113.0/28"));
    EXPECT_TRUE(config.services[4].ports.any);
    EXPECT_EQ(config.services[5].forward, Forward::local);
    ASSERT_EQ(config.protected_prefixes.size(), 1u);
    EXPECT_EQ(config.protected_prefixes[0].prefix, prefix("198.51.100.0/24"));
}

TEST(Parse, reads_how_backends_are_watched) {
    const auto outcome = parse(content_of("examples/watched.yaml"), "watched.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    EXPECT_EQ(text_of(outcome.warnings), "");
    const auto& groups = outcome.config.groups;
    const Health& web = groups[0].health;
    ASSERT_EQ(web.checks.size(), 2u);
    Check plain;
    plain.type = CheckType::http;
    plain.service = "http";
    plain.interval = std::chrono::seconds(1);
    plain.timeout = std::chrono::milliseconds(500);
    plain.http.path = "/healthz";
    plain.http.status = {{200, 299}, {301, 301}};
    plain.http.body = "ok";
    EXPECT_TRUE(web.checks[0] == plain);
    EXPECT_TRUE(web.checks[1].tls.enabled);
    EXPECT_EQ(web.checks[1].tls.ca_file, "/etc/sluice/ca.pem");
    EXPECT_TRUE((web.checks[1].load == CheckLoad{"X-Load", "", 0.5, 1.5}));
    EXPECT_EQ(web.min_healthy, 30u);
    EXPECT_EQ(web.when_none, WhenNone::fallback);
    EXPECT_EQ(web.fallback, "sorry");
    EXPECT_EQ(web.slow_start, std::chrono::seconds(60));
    EXPECT_EQ(groups[1].health.checks.size(), 1u);
    EXPECT_EQ(groups[2].health.checks[0].dns.type, 28u);
    EXPECT_EQ(groups[2].health.checks[2].type, CheckType::icmp);
    EXPECT_EQ(groups[3].health.checks[0].grpc_service, "shop.v1.Cart");
    EXPECT_EQ(groups[4].health.checks[0].udp.payload, "\xff\xff\xff\xff\x01");
    EXPECT_EQ(groups[4].health.checks[0].port, 30000u);
    EXPECT_EQ(groups[5].health.checks[0].via, CheckVia::direct);
    EXPECT_EQ(groups[5].health.checks[0].command.size(), 2u);
}

TEST(Parse, a_timeout_that_nobody_wrote_is_at_most_the_interval) {
    const auto outcome = parse(
        "version: 2\n"
        "health: {interval: 5s, timeout: 2s}\n"
        "services:\n"
        "  - {name: a, vip: 192.0.2.1, port: 80, backends: [10.0.0.1],\n"
        "     health: {checks: [tcp, {type: tcp, interval: 500ms}, {type: tcp, interval: 9s}]}}\n",
        "t.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    const auto& checks = outcome.config.groups[0].health.checks;
    EXPECT_EQ(checks[0].timeout, std::chrono::milliseconds(2000));
    EXPECT_EQ(checks[1].timeout, std::chrono::milliseconds(500));
    EXPECT_EQ(checks[2].timeout, std::chrono::milliseconds(2000));
}

TEST(Parse, reads_how_vips_are_announced) {
    const auto outcome = parse(content_of("examples/watched.yaml"), "watched.yaml");
    ASSERT_TRUE(outcome.config.announce.has_value());
    const Announce& announce = *outcome.config.announce;
    EXPECT_FALSE(announce.bird.has_value());
    EXPECT_FALSE(announce.kernel.has_value());
    ASSERT_TRUE(announce.bgp.has_value());
    EXPECT_EQ(announce.bgp->as, 65001u);
    EXPECT_EQ(announce.bgp->router_id, 0x0a000001u);
    ASSERT_EQ(announce.bgp->communities.size(), 3u);
    EXPECT_TRUE((announce.bgp->communities[1] == BgpCommunity{{65001, 1, 2}, true}));
    EXPECT_TRUE((announce.bgp->communities[2] == BgpCommunity{{65535, 65281, 0}, false}));
    EXPECT_EQ(announce.bgp->med, 10u);
    EXPECT_FALSE(announce.bgp->local_preference.has_value());
    ASSERT_EQ(announce.bgp->peers.size(), 2u);
    EXPECT_EQ(announce.bgp->peers[0].password_file, "/etc/sluice/bgp-password");
    EXPECT_TRUE(announce.bgp->peers[1].ttl_security);
    EXPECT_EQ(announce.bgp->peers[1].next_hop4, IpAddress::parse("10.0.0.1"));
    EXPECT_FALSE(outcome.config.services.back().announce);
}

TEST(Parse, reads_what_a_configuration_says_of_itself) {
    const auto outcome = parse(content_of("examples/tested.yaml"), "tested.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    const Config& config = outcome.config;
    EXPECT_EQ(config.node.sample_one_in, 1024u);
    EXPECT_EQ(config.node.keep_generations, 3u);
    EXPECT_EQ(config.proof.max_moved, 0.025);
    ASSERT_EQ(config.tests.size(), 5u);
    const config::Test& web = config.tests[0];
    EXPECT_EQ(web.name, "web is answered");
    ASSERT_EQ(web.packets.size(), 1u);
    EXPECT_EQ(web.packets[0].packet, "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn");
    EXPECT_EQ(web.packets[0].expect.verdict, Expectation::Verdict::forward);
    EXPECT_EQ(web.packets[0].expect.reason, "forwarded");
    EXPECT_EQ(web.packets[0].expect.service, "web");
    EXPECT_EQ(web.packets[0].expect.encapsulation, Forward::ipip);
    const config::Test& stays = config.tests[1];
    ASSERT_EQ(stays.packets.size(), 2u);
    EXPECT_EQ(stays.packets[0].after, 0ms);
    EXPECT_EQ(stays.packets[1].after, 5s);
    EXPECT_TRUE(stays.packets[1].expect.same_backend);
    EXPECT_EQ(stays.packets[1].expect.verdict, Expectation::Verdict::any);
    EXPECT_EQ(config.tests[2].packets[0].expect.backend, IpAddress::parse("10.0.2.5"));
    EXPECT_EQ(config.tests[3].packets[0].expect.verdict, Expectation::Verdict::drop);
}

TEST(Parse, keeps_where_each_packet_of_a_test_stands) {
    const auto outcome = parse(
        "version: 2\n"
        "node: {sampling: 0}\n"
        "proof:\n"
        "  max_moved: 5\n"
        "tests:\n"
        "  - name: a\n"
        "    pcap: a.pcap\n"
        "    frame: 3\n"
        "    expect: {verdict: pass}\n"
        "  - name: b\n"
        "    sequence:\n"
        "      - {pcap: b.pcap, expect: {verdict: pass}}\n"
        "      - after: 250ms\n"
        "        pcap: c.pcap\n"
        "        expect:\n"
        "          reason: not_ours\n",
        "t.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    const auto place = [](Mark mark) { return std::pair(mark.line, mark.column); };
    const auto& tests = outcome.config.tests;
    EXPECT_EQ(outcome.config.node.sample_one_in, 0u);
    EXPECT_EQ(outcome.config.proof.max_moved, 0.05);
    EXPECT_EQ(place(outcome.config.proof.mark), std::pair(4u, 14u));
    EXPECT_EQ(tests[0].packets[0].frame, 3u);
    EXPECT_EQ(place(tests[0].mark), std::pair(6u, 5u));
    EXPECT_EQ(place(tests[0].packets[0].mark), std::pair(7u, 11u));
    EXPECT_EQ(place(tests[0].packets[0].expect.mark), std::pair(9u, 13u));
    EXPECT_EQ(place(tests[1].packets[0].mark), std::pair(12u, 16u));
    EXPECT_EQ(tests[1].packets[1].after, 250ms);
    EXPECT_EQ(place(tests[1].packets[1].mark), std::pair(14u, 15u));
    EXPECT_EQ(place(tests[1].packets[1].expect.mark), std::pair(16u, 11u));
}

TEST(Parse, takes_fractions_of_a_percent) {
    const auto fraction = [](const std::string& text) {
        const auto outcome = parse("version: 2\nproof: {max_moved: " + text + "}\n", "t.yaml");
        EXPECT_EQ(text_of(outcome.errors), "");
        return outcome.config.proof.max_moved;
    };
    EXPECT_EQ(fraction("0"), 0.0);
    EXPECT_EQ(fraction("100%"), 1.0);
    EXPECT_EQ(fraction("100.0000%"), 1.0);
    EXPECT_EQ(fraction("\"0.0001%\""), 1e-6);
    EXPECT_EQ(fraction("33.3"), 0.333);
    EXPECT_EQ(fraction("0.05%"), 0.0005);
}

TEST(Parse, reads_files_of_version_1_as_before) {
    const auto outcome = parse(content_of("examples/minimal.yaml"), "minimal.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    EXPECT_EQ(outcome.config.node.sample_one_in, 1024u);
    EXPECT_EQ(outcome.config.node.keep_generations, 3u);
    EXPECT_EQ(outcome.config.proof.max_moved, std::nullopt);
    EXPECT_TRUE(outcome.config.tests.empty());
}

TEST(Parse, reads_what_is_remembered_of_flows) {
    const auto outcome = parse(content_of("examples/planned-changes.yaml"), "planned-changes.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    const Config& config = outcome.config;
    EXPECT_EQ(config.node.flow_entries, 4'194'304u);
    ASSERT_EQ(config.groups.size(), 4u);
    const Group& shop = config.groups[0];
    EXPECT_EQ(shop.on_down, OnDown::replace);
    EXPECT_EQ(shop.deadline, 1h);
    EXPECT_EQ(shop.flows, (FlowShare{20, 60}));
    EXPECT_EQ(config.groups[1].on_down, OnDown::keep);
    EXPECT_EQ(config.groups[1].deadline, 0s);
    const Group& games = config.groups[3];
    EXPECT_TRUE(games.anonymous);
    EXPECT_EQ(games.deadline, 6h);
    EXPECT_EQ(games.flows, (FlowShare{0, 30}));
    ASSERT_EQ(config.services.size(), 5u);
    EXPECT_EQ(config.services[2].lifetimes, (Lifetimes{75s, 30min, 2min, 60s}));
    EXPECT_EQ(config.services[3].tracking, Tracking::never);
    EXPECT_EQ(config.services[4].tracking, Tracking::always);
    EXPECT_EQ(config.services[4].lifetimes, (Lifetimes{75s, 15min, 2min, 3min}));
}

TEST(Parse, reads_how_packets_name_their_backend) {
    const auto outcome = parse(content_of("examples/server-ids.yaml"), "server-ids.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    const Config& config = outcome.config;
    ASSERT_EQ(config.services.size(), 5u);
    EXPECT_EQ(config.services[0].routing, (Routing{RouteBy::quic_lb, 0, 2}));
    EXPECT_EQ(config.services[1].routing, (Routing{RouteBy::quic_lb, 1, 3}));
    EXPECT_EQ(config.services[1].group, config.services[0].group);
    EXPECT_EQ(config.services[2].routing, (Routing{RouteBy::quic_lb, 0, 6}));
    EXPECT_EQ(config.services[3].routing, (Routing{RouteBy::katran, 0, 0}));
    EXPECT_EQ(config.services[4].routing, (Routing{RouteBy::tcp_server_id, 0, 0}));
    EXPECT_EQ(config.groups[0].backends[2].server_id, (ServerId{1, {0x1f}}));
    EXPECT_EQ(config.groups[1].backends[0].server_id,
              (ServerId{6, {0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x01}}));
    EXPECT_EQ(config.groups[2].backends[0].server_id, (ServerId{3, {1, 0, 5}}));
}

TEST(Parse, a_server_id_is_its_significant_bytes) {
    const struct {
        const char* written;
        const char* same;
        ServerId id;
    } cases[] = {
        {"0", "0", {1, {0}}},
        {"0x00", "0", {1, {0}}},
        {"7", "7", {1, {7}}},
        {"0x0007", "7", {1, {7}}},
        {"256", "256", {2, {1, 0}}},
        {"0x100", "256", {2, {1, 0}}},
        {"4294967295", "4294967295", {4, {255, 255, 255, 255}}},
        {"0x0100000000", "0x0100000000", {5, {1, 0, 0, 0, 0}}},
        {"0xABCDEF0123456789abcdef01234567",
         "0xabcdef0123456789abcdef01234567",
         {15,
          {0xab, 0xcd, 0xef, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 0x23, 0x45, 0x67}}},
    };
    for (const auto& item : cases) {
        const auto id = parse_server_id(item.written);
        ASSERT_TRUE(id.has_value()) << item.written;
        EXPECT_EQ(*id, item.id) << item.written;
        EXPECT_EQ(text_of(*id), item.same);
        EXPECT_EQ(parse_server_id(item.same), id);
    }
    for (const char* text : {"", "0x", "x1", "-1", "1.5", "4294967296", "0xg", "0x1 ", " 1", "01",
                             "0x0000000000000000000000000000001", "0X1", "ff", "0x0x1", "0x-1"})
        EXPECT_FALSE(parse_server_id(text).has_value()) << text;
}

TEST(Parse, sizes_of_the_flow_table_are_rounded_up_to_powers_of_two) {
    const auto entries_of = [](const std::string& entries) {
        const auto outcome =
            parse("version: 1\nnode: {flows: {entries: " + entries + "}}\n", "t.yaml");
        EXPECT_EQ(text_of(outcome.errors), "");
        return outcome.config.node.flow_entries;
    };
    EXPECT_EQ(entries_of("512"), 512u);
    EXPECT_EQ(entries_of("513"), 1024u);
    EXPECT_EQ(entries_of("10000000"), 16'777'216u);
    EXPECT_EQ(entries_of("67108864"), 67'108'864u);
}

TEST(Parse, a_ceiling_is_never_below_its_share) {
    const auto flows_of = [](const std::string& flows) {
        const auto outcome = parse(
            "version: 1\ngroups: {g: {flows: " + flows + ", backends: [10.0.0.5]}}\n", "t.yaml");
        EXPECT_EQ(text_of(outcome.errors), "");
        return outcome.config.groups.at(0).flows;
    };
    EXPECT_EQ(flows_of("{}"), (FlowShare{0, 50}));
    EXPECT_EQ(flows_of("{share: 60}"), (FlowShare{60, 60}));
    EXPECT_EQ(flows_of("{share: \"100%\"}"), (FlowShare{100, 100}));
    EXPECT_EQ(flows_of("{ceiling: 1%}"), (FlowShare{0, 1}));
    EXPECT_EQ(flows_of("{ceiling: 70%, share: 70}"), (FlowShare{70, 70}));
}

TEST(Parse, one_group_serves_quic_of_several_lengths_and_tcp) {
    EXPECT_EQ(errors_of("version: 1\n"
                        "groups: {g: {backends: [{address: 10.0.0.5, server_id: 200}]}}\n"
                        "services:\n"
                        "  - {name: a, vip: 192.0.2.1, port: 1, protocol: udp, group: g,\n"
                        "     route_by: {quic-lb: {rotation: 6, server_id_length: 1}}}\n"
                        "  - {name: b, vip: 192.0.2.1, port: 2, protocol: both, group: g,\n"
                        "     route_by: {quic-lb: {rotation: 6, server_id_length: 15}}}\n"
                        "  - {name: c, vip: 192.0.2.1, port: 3, protocol: both, group: g,\n"
                        "     route_by: tcp-server-id}\n"
                        "  - {name: d, vip: 192.0.2.1, port: 4, group: g, route_by: ring}\n"),
              "");
}

TEST(Parse, examples_have_neither_errors_nor_surprising_warnings) {
    for (const char* name :
         {"sluice", "dual-stack", "shared-groups", "colocated", "planned-changes", "server-ids"}) {
        const auto outcome = parse(content_of(std::string("examples/") + name + ".yaml"), name);
        EXPECT_EQ(text_of(outcome.errors), "");
        EXPECT_EQ(text_of(outcome.warnings), "");
    }
    const auto minimal = parse(content_of("examples/minimal.yaml"), "minimal.yaml");
    EXPECT_EQ(text_of(minimal.errors), "");
    EXPECT_EQ(text_of(minimal.warnings),
              "minimal.yaml:6:3: node.ring_secret: none: anybody can compute which backend a "
              "connection takes\n"
              "    interfaces: [eth0]\n"
              "    ^\n");
}

TEST(Parse, json_is_read_by_the_same_parser) {
    const auto json = parse(
        "{\"version\": 1,\n\t\"services\": [{\"name\":\"a\",\"vip\":\"192.0.2.1\",\"port\":80,"
        "\"forward\":\"local\"}]}",
        "t.json");
    ASSERT_EQ(text_of(json.errors), "");
    EXPECT_EQ(json.config.services[0].forward, Forward::local);
}

TEST(Parse, windows_line_ends_and_a_byte_order_mark_do_no_harm) {
    const auto outcome = parse("\xef\xbb\xbfversion: 1\r\nnode:\r\n  icmp_rate: x\r\n", "t.yaml");
    EXPECT_EQ(text_of(outcome.errors),
              "t.yaml:3:14: node.icmp_rate: x is not a number of answers per second (1..1000000)\n"
              "    icmp_rate: x\n"
              "               ^\n");
}

TEST(Parse, unmatched_of_one_service_holds_for_its_whole_vip) {
    const auto outcome = parse(
        "version: 1\n"
        "services:\n"
        "  - {name: a, vip: 192.0.2.1, port: 80, forward: local}\n"
        "  - {name: b, vip: 192.0.2.1, port: 81, forward: local, unmatched: pass}\n"
        "  - {name: c, vip: 192.0.2.2, port: 81, forward: local}\n",
        "t.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    EXPECT_EQ(outcome.config.services[0].unmatched, Unmatched::pass);
    EXPECT_EQ(outcome.config.services[1].unmatched, Unmatched::pass);
    EXPECT_EQ(outcome.config.services[2].unmatched, Unmatched::drop);
}

TEST(Parse, what_is_more_specific_is_no_overlap) {
    EXPECT_EQ(
        errors_of("version: 1\n"
                  "services:\n"
                  "  - {name: a, vip: 192.0.2.0/24, port: any, protocol: both, forward: local}\n"
                  "  - {name: b, vip: 192.0.2.0/28, port: any, forward: local}\n"
                  "  - {name: c, vip: 192.0.2.1, port: any, forward: local}\n"
                  "  - {name: d, vip: 192.0.2.1, port: 80, forward: local}\n"
                  "  - {name: e, vip: 192.0.2.1, port: 81-90, forward: local}\n"
                  "  - {name: f, vip: 192.0.2.1, port: 80, protocol: udp, forward: local}\n"),
        "");
}

TEST(Parse, every_forwarding_mode_carries_every_mix_of_families) {
    for (const char* forward : {"ipip", "gre", "gue", "l2"})
        for (const char* vip : {"192.0.2.1", "\"2001:db8::1\""})
            for (const char* backend : {"10.0.0.5", "\"2001:db8:1::5\""})
                for (const char* source : {"",
                                           "node: {tunnel_source: {ipv4: 10.255.0.0/24, "
                                           "ipv6: \"fd00::/64\"}}\n"})
                    EXPECT_EQ(errors_of(std::string("version: 1\n") + source +
                                        "services: [{name: a, vip: " + vip +
                                        ", port: 80, forward: " + forward + ", backends: [" +
                                        backend + "]}]\n"),
                              "");
}

std::string backends_of(std::size_t count) {
    std::string text = "version: 1\ngroups:\n  g:\n    backends:\n";
    for (std::size_t i = 1; i <= count; ++i)
        text += "      - {address: 10." + std::to_string(i >> 16) + "." +
                std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255) + ", weight: 2}\n";
    return text + "services: [{name: a, vip: 192.0.2.1, port: 80, group: g}]\n";
}

/// CPU time, so that other work on the machine does not count.
double seconds_for(const std::string& text, std::size_t errors) {
    const std::clock_t start = std::clock();
    const auto outcome = parse(text, "t.yaml");
    const std::clock_t took = std::clock() - start;
    EXPECT_EQ(outcome.errors.size(), errors);
    return static_cast<double>(took) / CLOCKS_PER_SEC;
}

TEST(Parse, time_grows_with_the_length_of_the_text_and_no_faster) {
    const double small = seconds_for(backends_of(12'500), 0);
    const double large = seconds_for(backends_of(100'000), 0);
    // Eight times the text; the square would be sixty-four times.
    EXPECT_LT(large, small * 24 + 0.5);
}

TEST(Parse, many_overlapping_services_are_found_in_one_sweep) {
    std::string text = "version: 1\nservices:\n";
    for (int i = 0; i < 20'000; ++i)
        text += "  - {name: s" + std::to_string(i) +
                ", vip: 192.0.2.1, port: 1-65535, protocol: both, forward: local}\n";
    // Every pair would be 200 million findings. Of the rest only the count is told.
    EXPECT_LT(seconds_for(text, 1000), 20.0);
}

TEST(Parse, only_so_many_findings_are_listed_and_the_last_counts_the_others) {
    std::string text = "version: 1\n";
    for (int i = 0; i < 1500; ++i) text += "key" + std::to_string(i) + ": 1\n";
    const auto outcome = parse(text, "t.yaml");
    ASSERT_EQ(outcome.errors.size(), 1000u);
    EXPECT_EQ(outcome.errors.back().text(),
              "t.yaml:1001:1: and 501 more from here on\n"
              "    key999: 1\n"
              "    ^");
}

TEST(Parse, limits_of_the_tables_are_errors) {
    std::string services = "version: 1\nservices:\n";
    for (int i = 1; i <= SLC_MAX_SERVICES; ++i)
        services += "- {name: s" + std::to_string(i) + ", vip: 192.0." + std::to_string(i >> 15) +
                    ".1, port: " + std::to_string((i & 0x7fff) + 1) + ", forward: local}\n";
    const auto outcome = parse(services, "t.yaml");
    ASSERT_EQ(outcome.errors.size(), 1u);
    EXPECT_EQ(outcome.errors[0].text(),
              "t.yaml:3:1: services: 65536 services, at most 65535 are possible\n"
              "    - {name: s1, vip: 192.0.0.1, port: 2, forward: local}\n"
              "    ^");

    std::string ranges = "version: 1\nservices:\n";
    for (int i = 0; i < SLC_MAX_RANGES_PER_VIP + 1; ++i)
        ranges += "- {name: s" + std::to_string(i) +
                  ", vip: 192.0.2.1, port: " + std::to_string(1000 + 10 * i) + "-" +
                  std::to_string(1005 + 10 * i) + ", forward: local}\n";
    EXPECT_EQ(errors_of(ranges),
              "t.yaml:3:36: services[0].port: 192.0.2.1/32 has 65 port ranges for tcp, at most 64 "
              "are possible\n"
              "    - {name: s0, vip: 192.0.2.1, port: 1000-1005, forward: local}\n"
              "                                       ^\n");
}

}  // namespace
}  // namespace sluice::config
