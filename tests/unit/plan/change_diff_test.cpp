// SPDX-License-Identifier: Apache-2.0
#include "plan/change_diff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "change_plan_rig.h"

namespace sluice::plan {
namespace {

struct FieldCase {
    const char* name;
    Edit edit;
    std::vector<std::string> changes;
};

const FieldCase kFields[] = {
    {"nothing", [](config::Config&) {}, {}},
    {"weight",
     [](config::Config& c) { c.groups[0].backends[1].weight = 3; },
     {"entry backend shop/10.0.0.6 weight: 1 -> 3"}},
    {"state",
     [](config::Config& c) { c.groups[1].backends[0].state = config::BackendState::drain; },
     {"entry backend dns/10.0.1.5 state: ready -> drain"}},
    {"deadline",
     [](config::Config& c) { c.groups[0].deadline = std::chrono::seconds(0); },
     {"entry group shop deadline: 1h -> none"}},
    {"on_down",
     [](config::Config& c) { c.groups[1].on_down = config::OnDown::keep; },
     {"entry service dns on_down: replace -> keep"}},
    {"what a group without anybody does",
     [](config::Config& c) { c.groups[0].health.when_none = config::WhenNone::withdraw; },
     {"entry group shop health.when_none: keep -> withdraw"}},
    {"rejecting when there is nobody",
     [](config::Config& c) { c.groups[1].health.when_none = config::WhenNone::reject; },
     {"program service dns health.when_none: keep -> reject"}},
    {"another group that stands in",
     [](config::Config& c) {
         c.groups[1].health.when_none = config::WhenNone::fallback;
         c.groups[1].health.fallback = "shop";
     },
     {"program service dns health.when_none: keep -> fallback on shop"}},
    {"checks",
     [](config::Config& c) {
         c.groups[0].health.checks.emplace_back();
         c.groups[0].health.min_healthy = 30;
         c.groups[0].health.slow_start = std::chrono::seconds(90);
         c.groups[0].health.flap_limit = 0;
     },
     {"none group shop health.checks: none -> tcp every 2s",
      "entry group shop health.min_healthy: 0% -> 30%",
      "entry group shop health.slow_start: 0s -> 90s",
      "entry group shop health.flapping: 5 in 5m, held for 2m -> never held"}},
    {"announcements",
     [](config::Config& c) {
         c.announce.emplace().kernel.emplace();
         c.services[0].announce = false;
     },
     {"none added announce: addresses of lo", "none service web announce: true -> false"}},
    {"share and ceiling",
     [](config::Config& c) { c.groups[0].flows = {10, 70}; },
     {"entry group shop flows.share: 0% -> 10%", "entry group shop flows.ceiling: 50% -> 70%"}},
    {"backend added",
     [](config::Config& c) { c.groups[0].backends.push_back(backend("10.0.0.8")); },
     {"map added backend shop/10.0.0.8: weight 1"}},
    {"backend removed",
     [](config::Config& c) { c.groups[0].backends.pop_back(); },
     {"map removed backend shop/10.0.0.7: weight 1"}},
    {"backends in another order",
     [](config::Config& c) { std::swap(c.groups[0].backends[0], c.groups[0].backends[1]); },
     {"none group shop order of backends:  -> another"}},
    {"weight that makes the ring grow",
     [](config::Config& c) { c.groups[0].backends[1].weight = 1000; },
     {"map backend shop/10.0.0.6 weight: 1 -> 1000"}},
    {"port",
     [](config::Config& c) { c.services[0].ports = {81, 81, false}; },
     {"program service web port: 80 -> 81"}},
    {"unmatched",
     [](config::Config& c) { c.services[0].unmatched = config::Unmatched::pass; },
     {"program service web unmatched: drop -> pass"}},
    {"affinity",
     [](config::Config& c) { c.services[0].affinity = config::Affinity::source; },
     {"program service web affinity: 5-tuple -> source"}},
    {"balance",
     [](config::Config& c) { c.services[0].balance = config::Balance::rendezvous; },
     {"program service web balance: maglev -> rendezvous"}},
    {"default of balance",
     [](config::Config& c) { c.groups[0].balance = config::Balance::rendezvous; },
     {"none group shop balance: maglev -> rendezvous"}},
    {"dscp",
     [](config::Config& c) { c.services[0].dscp_copy = true; },
     {"program service web dscp: 0 -> copy"}},
    {"customer",
     [](config::Config& c) { c.services[0].customer = "acme"; },
     {"program service web customer:  -> acme"}},
    {"lifetimes of fewer ticks",
     [](config::Config& c) { c.services[0].lifetimes.closing = std::chrono::seconds(30); },
     {"program service web lifetimes: embryonic 75s, established 15m, closing 2m, udp 1m -> "
      "embryonic 75s, established 15m, closing 30s, udp 1m"}},
    {"lifetimes of the same ticks",
     [](config::Config& c) { c.services[0].lifetimes.established = std::chrono::seconds(901); },
     {"none service web lifetimes: embryonic 75s, established 15m, closing 2m, udp 1m -> embryonic "
      "75s, established 15m1s, closing 2m, udp 1m"}},
    {"service on another group",
     [](config::Config& c) { c.services[1].group = 0; },
     {"program service dns group: its own -> shop"}},
    {"service added",
     [](config::Config& c) {
         c.services.push_back(c.services[0]);
         c.services[2].name = "tls";
         c.services[2].ports = {443, 443, false};
     },
     {"program added service tls: 192.0.2.10 tcp 443, ipip, group shop"}},
    {"service with its own backends removed",
     [](config::Config& c) {
         c.services.pop_back();
         c.groups.pop_back();
     },
     {"program removed service dns: 192.0.2.53 udp 53, ipip, 2 backends"}},
    {"group renamed",
     [](config::Config& c) { c.groups[0].name = "servers"; },
     {"program added group servers: maglev, 3 backends",
      "program service web group: shop -> servers",
      "program removed group shop: maglev, 3 backends"}},
    {"services in another order",
     [](config::Config& c) { std::swap(c.services[0], c.services[1]); },
     {"program services order:  -> another"}},
    {"protected prefix",
     [](config::Config& c) { c.protected_prefixes[0].policy = "strict"; },
     {"program protected 198.51.100.0/24 policy:  -> strict"}},
    {"interfaces",
     [](config::Config& c) { c.node.interfaces = {"eth1"}; },
     {"program added interface eth1", "program removed interface eth0"}},
    {"constants",
     [](config::Config& c) {
         c.node.icmp_rate = 7;
         c.node.gue_port = 6081;
         c.node.sample_one_in = 0;
         c.node.xdp_mode = config::XdpMode::generic;
         c.node.decap = config::Decap{{*IpPrefix::parse("10.9.0.0/16")}, {}};
     },
     {"program node xdp_mode: auto -> generic", "program node icmp_rate: 1000 -> 7",
      "program node gue_port: 6080 -> 6081", "program node sampling: 1024 -> 0",
      "program node decap:  -> from 10.9.0.0/16"}},
    {"what leads elsewhere",
     [](config::Config& c) {
         c.node.tunnel_source4 = *IpPrefix::parse("10.255.0.0/24");
         c.node.tunnel_source6 = *IpPrefix::parse("fd00::/64");
         c.node.ring_secret_file = "secret";
         c.node.next = "/sys/fs/bpf/next";
     },
     {"program node tunnel_source.ipv4:  -> 10.255.0.0/24",
      "program node tunnel_source.ipv6:  -> fd00::/64", "none node ring_secret_file:  -> secret",
      "program node next:  -> /sys/fs/bpf/next"}},
    {"server id",
     [](config::Config& c) { c.groups[1].backends[0].server_id = config::ServerId{1, {7}}; },
     {"map backend dns/10.0.1.5 server_id: none -> 7"}},
    {"routing",
     [](config::Config& c) { c.services[1].routing = {config::RouteBy::quic_lb, 1, 2}; },
     {"program service dns route_by: ring -> quic-lb, rotation 1, server_id_length 2"}},
    {"tracking and forwarding",
     [](config::Config& c) {
         c.services[0].tracking = config::Tracking::always;
         c.services[0].forward = config::Forward::gue;
         c.services[0].policy = "strict";
     },
     {"program service web forward: ipip -> gue",
      "program service web tracking: transitions -> always",
      "program service web policy:  -> strict"}},
    {"own list written as a group",
     [](config::Config& c) { c.groups[1].anonymous = false; },
     {"none group dns backends: its own list -> a group",
      "program service dns group: its own -> dns"}},
    {"secret, which is not told",
     [](config::Config& c) {
         c.node.ring_secret = {1, 2};
         c.node.has_ring_secret = true;
     },
     {"program node ring_secret: none -> another secret"}},
    {"what packets never see",
     [](config::Config& c) {
         c.node.keep_generations = 0;
         c.proof.max_moved = 0.055;
         c.tests[0].packets[0].expect.reason = "not_ours";
     },
     {"none node keep_generations: 3 -> 0", "none proof max_moved: any -> 5.5%",
      "none test one packets: 1 packet -> 1 packet, others or expected otherwise"}},
    {"tests added and removed",
     [](config::Config& c) { c.tests[0].name = "two"; },
     {"none added test two: 1 packet", "none removed test one: 1 packet"}},
};

TEST(ChangePlan, every_field_takes_the_cheapest_road_that_its_table_allows) {
    const Compiled before = compiled(parsed(kBefore));
    for (const FieldCase& each : kFields) {
        SCOPED_TRACE(each.name);
        config::Config next = before.config;
        each.edit(next);
        const ChangePlan plan = plan_of(before, next);
        EXPECT_EQ(texts_of(plan.changes), each.changes);
        Road road = Road::none;
        for (const Change& change : plan.changes) road = std::max(road, change.road);
        EXPECT_EQ(plan.road, road);
        EXPECT_EQ(plan.empty(), each.changes.empty());
    }
}

TEST(ChangePlan, no_field_of_a_configuration_is_overlooked) {
    const Compiled before = compiled(parsed(kBefore));
    for (const FieldCase& each : kFields) {
        config::Config next = before.config;
        each.edit(next);
        EXPECT_EQ(next == before.config, plan_of(before, next).empty()) << each.name;
    }
}

TEST(ChangePlan, services_that_number_nothing_anew_may_change_places) {
    const Compiled before = compiled(parsed(R"(
version: 2
groups: {shop: {backends: [10.0.0.5]}}
services:
  - {name: web, vip: 192.0.2.10, port: 80, group: shop}
  - {name: tls, vip: 192.0.2.10, port: 443, group: shop}
  - {name: alt, vip: 192.0.2.11, port: 443, group: shop}
)"));
    config::Config next = before.config;
    std::swap(next.services[0], next.services[1]);
    EXPECT_EQ(texts_of(plan_of(before, next).changes),
              (std::vector<std::string>{"none services order:  -> another"}));
    std::swap(next.services[0], next.services[2]);
    EXPECT_EQ(texts_of(plan_of(before, next).changes),
              (std::vector<std::string>{"program services order:  -> another"}));
}

TEST(Drift, overrides_show_as_drift_that_a_file_does_not_end) {
    const config::Config config = parsed(kBefore);
    config::Config file = config;
    file.groups[0].backends[1].weight = 7;
    const Overrides overrides = {
        {"shop/10.0.0.5", {config::BackendState::maint, {}}},  // Both say ready.
        {"shop/10.0.0.6", {{}, 9}},                            // Was 1, is to be 7.
        {"shop/10.0.0.7", {{}, 1}},                            // No other than configured.
    };
    EXPECT_EQ(texts_of(make_drift(config, overrides, file)),
              (std::vector<std::string>{
                  "none backend shop/10.0.0.5 state: maint (override, ready in the file) -> ready",
                  "entry backend shop/10.0.0.6 weight: 9 (override, 7 in the file) -> 7",
              }));
    EXPECT_TRUE(make_drift(config, {}, config).empty());
}

TEST(Drift, roads_are_those_of_applying_the_file) {
    const config::Config config = parsed(kBefore);
    config::Config file = config;
    file.groups[0].backends.push_back(backend("10.0.0.8"));
    file.services[0].dscp = 46;
    EXPECT_EQ(texts_of(make_drift(config, {}, file)),
              (std::vector<std::string>{"map added backend shop/10.0.0.8: weight 1",
                                        "program service web dscp: 0 -> 46"}));
}

TEST(ChangeDiff, a_change_that_its_text_does_not_tell_is_told) {
    config::Config before, after;
    for (config::Config* config : {&before, &after}) {
        config->groups.emplace_back().name = "web";
        config->groups[0].health.checks.emplace_back();
        config->announce.emplace().bgp.emplace().as = 65001;
        config->announce->bird.emplace();
    }
    after.groups[0].health.checks[0].port = 81;
    after.announce->bgp->med = 7;
    after.announce->bird.reset();
    after.announce->drain = std::chrono::seconds(10);
    std::vector<std::string> got;
    for (const Change& change : diff_configs(before, after, {}))
        got.push_back(std::string(name_of(change.road)) + " " + change.what + " " + change.field +
                      ": " + change.before + " -> " + change.after);
    const std::vector<std::string> want = {
        "none announce bird: /run/sluice/bird.conf -> none",
        "none announce bgp: AS 65001 to  -> AS 65001 to , otherwise",
        "none announce drain: 30s -> 10s",
        "none group web health.checks: tcp every 2s -> tcp every 2s, otherwise"};
    EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace sluice::plan
