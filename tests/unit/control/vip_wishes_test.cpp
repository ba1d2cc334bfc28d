// SPDX-License-Identifier: Apache-2.0
#include "control/vip_wishes.h"

#include <gtest/gtest.h>

#include "config/parse.h"

namespace sluice::control {
namespace {

using announce::Wish;

constexpr const char* kText = R"(
version: 2
node: {interfaces: [eth0], ring_secret: 000102030405060708090a0b0c0d0e0f}
announce:
  kernel: {interface: lo}
  while_healthy: RULE
groups:
  web: {backends: [10.0.0.5, 10.0.0.6], health: {checks: [{type: tcp}]}}
  dns: {backends: [10.0.0.7, 10.0.0.8], health: {checks: [{type: tcp, via: direct, port: 53}]}}
  plain: {backends: [10.0.0.9, 10.0.0.10]}
services:
  - {name: http, vip: 192.0.2.1, protocol: tcp, port: 80, forward: ipip, group: web}
  - {name: dns, vip: 192.0.2.1, protocol: udp, port: 53, forward: ipip, group: dns}
  - {name: echo, vip: 192.0.2.1, protocol: udp, port: 7, forward: ipip, group: plain}
  - {name: other, vip: 192.0.2.2, protocol: tcp, port: 80, forward: ipip, group: plain}
  - {name: silent, vip: 192.0.2.3, protocol: tcp, port: 80, forward: ipip, group: web, announce: false}
)";

config::Config make(const char* rule) {
    std::string text = kText;
    text.replace(text.find("RULE"), 4, rule);
    auto outcome = config::parse(text, "test");
    EXPECT_TRUE(outcome.ok()) << (outcome.errors.empty() ? "" : outcome.errors.front().text());
    return outcome.config;
}

struct Case {
    const char* name;
    const char* rule;
    bool http, dns;  ///< Served.
    bool is_attached;
    NodeState state;
    Wish first;  ///< 192.0.2.1
    const char* why;
    Wish second;  ///< 192.0.2.2
};

const Case kCases[] = {
    {"all_is_well", "any", true, true, true, NodeState::ready, Wish::announce, "", Wish::announce},
    {"one_of_two_watched_services_is_enough", "any", false, true, true, NodeState::ready,
     Wish::announce, "", Wish::announce},
    {"a_service_without_checks_does_not_count", "any", false, false, true, NodeState::ready,
     Wish::withdraw, "services http and 1 more have no healthy backend", Wish::announce},
    {"all_of_them_are_needed", "all", true, false, true, NodeState::ready, Wish::withdraw,
     "service dns has no healthy backend", Wish::announce},
    {"without_an_interface_nothing_is_announced", "any", true, true, false, NodeState::ready,
     Wish::withdraw, "the data plane is attached to no interface", Wish::withdraw},
    {"a_node_that_is_being_drained", "any", true, true, true, NodeState::draining, Wish::drain,
     "the node is being drained", Wish::drain},
    {"what_nobody_serves_is_not_even_drained", "all", false, true, true, NodeState::draining,
     Wish::withdraw, "service http has no healthy backend", Wish::drain},
    {"a_drained_node", "any", true, true, true, NodeState::drained, Wish::withdraw,
     "the node is drained", Wish::withdraw},
};

TEST(VipWishes, follow_services_interfaces_and_the_state_of_the_node) {
    for (const Case& each : kCases) {
        SCOPED_TRACE(each.name);
        const auto wishes =
            vip_wishes(make(each.rule), {each.http, each.dns, true, true, each.http},
                       each.is_attached, each.state);
        ASSERT_EQ(wishes.size(), 2u) << "192.0.2.3 is announced for nobody";
        const auto& [vip, first] = *wishes.begin();
        EXPECT_EQ(vip.text(), "192.0.2.1/32");
        EXPECT_EQ(first, (VipWish{each.first, each.why}));
        EXPECT_EQ(wishes.rbegin()->second.wish, each.second);
        EXPECT_EQ(plain(wishes).begin()->second, each.first);
    }
}

TEST(VipWishes, nothing_is_wished_where_nothing_announces) {
    config::Config config = make("any");
    config.announce.reset();
    EXPECT_TRUE(vip_wishes(config, std::vector<bool>(5, true), true, NodeState::ready).empty());
}

}  // namespace
}  // namespace sluice::control
