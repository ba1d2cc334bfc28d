// SPDX-License-Identifier: Apache-2.0
#include "control/health_targets.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config/parse.h"

namespace sluice::control {
namespace {

config::Config parsed(const std::string& rest) {
    auto outcome = config::parse(
        "version: 2\nnode: {interfaces: [eth0], ring_secret: 000102030405060708090a0b0c0d0e0f}\n" +
            rest,
        "t.yaml");
    EXPECT_TRUE(outcome.ok()) << (outcome.errors.empty() ? "" : outcome.errors.front().text());
    return outcome.config;
}

/// Every member has one but 10.0.0.9; that of 10.0.0.8 is 0, because it is this node.
std::optional<ProbeMark> mark_of(const std::string& member, config::Forward forward,
                                 const IpAddress& vip) {
    if (member.ends_with("/10.0.0.9")) return std::nullopt;
    if (member.ends_with("/10.0.0.8")) return ProbeMark{};
    ProbeMark out{.mark = 0x100u * (static_cast<std::uint32_t>(forward) + 1) + 4};
    if (!vip.is_ip6) return out;
    out.mark += 2;
    out.source = IpAddress::parse("2001:db8:1::1").value();
    return out;
}

std::vector<std::string> targets_of(const config::Config& config) {
    std::vector<std::string> out;
    for (const GroupChecks& checks : checks_of(config)) {
        const config::Group& group = config.groups[checks.group];
        std::vector<health::Target> targets;
        for (const config::Backend& backend : group.backends)
            add_targets(group, checks, backend, mark_of, targets);
        for (const health::Target& each : targets) {
            EXPECT_EQ(each.group, group.name);
            EXPECT_EQ(each.backend, each.backend_address.text());
            out.push_back(fmt::format("{} {} {} {} mark {:x} of {}", each.key,
                                      config::name_of(each.check->type), each.address.text(),
                                      each.port, each.mark, each.service));
            if (each.source) out.back() += " from " + each.source->text();
        }
    }
    return out;
}

struct Case {
    const char* name;
    const char* config;
    std::vector<std::string> want;  ///< "key type address port mark of service from source".
};

const Case kCases[] = {
    {"through_the_tunnel_by_default",
     "groups:\n"
     "  web: {backends: [10.0.0.5, 10.0.0.6], health: {checks: [{type: tcp}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
     {"web/10.0.0.5#0 tcp 192.0.2.1 80 mark 104 of web",
      "web/10.0.0.6#0 tcp 192.0.2.1 80 mark 104 of web"}},
    {"direct_goes_to_the_backend_itself_and_bears_no_mark",
     "groups:\n"
     "  web: {backends: [10.0.0.5], health: {checks: [{type: http, via: direct, port: 8080}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
     {"web/10.0.0.5#0 http 10.0.0.5 8080 mark 0 of web"}},
    {"each_check_of_each_backend",
     "groups:\n"
     "  web: {backends: [10.0.0.5, 10.0.0.6],\n"
     "        health: {checks: [{type: tcp}, {type: tcp, via: direct, port: 22}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
     {"web/10.0.0.5#0 tcp 192.0.2.1 80 mark 104 of web",
      "web/10.0.0.5#1 tcp 10.0.0.5 22 mark 0 of web",
      "web/10.0.0.6#0 tcp 192.0.2.1 80 mark 104 of web",
      "web/10.0.0.6#1 tcp 10.0.0.6 22 mark 0 of web"}},
    {"a_member_without_a_mark_is_left_out_but_for_what_is_direct",
     "groups:\n"
     "  web: {backends: [10.0.0.5, 10.0.0.9],\n"
     "        health: {checks: [{type: tcp}, {type: tcp, via: direct, port: 22}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
     {"web/10.0.0.5#0 tcp 192.0.2.1 80 mark 104 of web",
      "web/10.0.0.5#1 tcp 10.0.0.5 22 mark 0 of web",
      "web/10.0.0.9#1 tcp 10.0.0.9 22 mark 0 of web"}},
    {"a_backend_that_is_this_node_is_probed_without_a_mark",
     "groups:\n"
     "  web: {backends: [10.0.0.8], health: {checks: [{type: tcp}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
     {"web/10.0.0.8#0 tcp 192.0.2.1 80 mark 0 of web"}},
    {"of_a_prefix_its_second_address",
     "groups:\n"
     "  web: {backends: [10.0.0.5], health: {checks: [{type: tcp}]}}\n"
     "services:\n"
     "  - {name: web, vip: 203.0.113.16/28, port: 80, forward: ipip, group: web}\n",
     {"web/10.0.0.5#0 tcp 203.0.113.17 80 mark 104 of web"}},
    {"an_ip6_vip_with_ip4_backends_by_another_way_of_forwarding",
     "groups:\n"
     "  web: {backends: [10.0.0.5, \"2001:db8:1::7\"], health: {checks: [{type: tcp}]}}\n"
     "services:\n"
     "  - {name: web, vip: \"2001:db8::10\", port: 80, forward: gue, group: web}\n",
     {"web/10.0.0.5#0 tcp 2001:db8::10 80 mark 306 of web from 2001:db8:1::1",
      "web/2001:db8:1::7#0 tcp 2001:db8::10 80 mark 306 of web from 2001:db8:1::1"}},
    {"icmp_has_no_port",
     "groups:\n"
     "  web: {backends: [10.0.0.5], health: {checks: [{type: icmp, via: direct}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
     {"web/10.0.0.5#0 icmp 10.0.0.5 0 mark 0 of web"}},
    {"a_command_is_told_the_backend_and_the_services_port_and_bears_no_mark",
     "groups:\n"
     "  web: {backends: [10.0.0.5, 10.0.0.9],\n"
     "        health: {checks: [{type: command, command: [/usr/lib/checks/deep]}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
     {"web/10.0.0.5#0 command 10.0.0.5 80 mark 0 of web",
      "web/10.0.0.9#0 command 10.0.0.9 80 mark 0 of web"}},
    {"the_service_that_the_check_names",
     "groups:\n"
     "  web: {backends: [10.0.0.5], health: {checks: [{type: tcp, service: tls}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n"
     "  - {name: tls, vip: 192.0.2.2, port: 443, forward: ipip, group: web}\n",
     {"web/10.0.0.5#0 tcp 192.0.2.2 443 mark 104 of tls"}},
    {"a_group_that_no_service_uses_is_not_watched",
     "groups:\n"
     "  web: {backends: [10.0.0.5]}\n"
     "  idle: {backends: [10.0.0.6], health: {checks: [{type: tcp, via: direct, port: 80}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
     {}},
    {"a_group_that_others_fall_back_on_is_watched_by_their_services",
     "groups:\n"
     "  web: {backends: [10.0.0.5],\n"
     "        health: {checks: [{type: tcp}], when_none: fallback, fallback: spare}}\n"
     "  spare: {backends: [10.0.0.6], health: {checks: [{type: tcp}]}}\n"
     "services:\n"
     "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n",
     {"web/10.0.0.5#0 tcp 192.0.2.1 80 mark 104 of web",
      "spare/10.0.0.6#0 tcp 192.0.2.1 80 mark 104 of web"}},
};

TEST(HealthTargets, every_check_has_its_address_port_and_mark) {
    for (const Case& test : kCases)
        EXPECT_EQ(targets_of(parsed(test.config)), test.want) << test.name;
}

TEST(HealthTargets, marks_are_wanted_for_the_vips_of_checks_through_tunnels_alone) {
    const config::Config config = parsed(
        "groups:\n"
        "  web: {backends: [10.0.0.5],\n"
        "        health: {checks: [{type: tcp}, {type: tcp, service: tls, via: direct}]}}\n"
        "  run: {backends: [10.0.0.6],\n"
        "        health: {checks: [{type: command, command: [/usr/lib/checks/deep]}]}}\n"
        "services:\n"
        "  - {name: web, vip: 192.0.2.1, port: 80, forward: ipip, group: web}\n"
        "  - {name: tls, vip: 192.0.2.2, port: 443, forward: ipip, group: web}\n"
        "  - {name: run, vip: 192.0.2.3, port: 80, forward: ipip, group: run}\n");
    EXPECT_EQ(marked_vips(checks_of(config)),
              (std::set<IpAddress>{*IpAddress::parse("192.0.2.1")}));
}

struct KeyCase {
    const char* name;
    const char* key;
    const char* member;
    std::size_t check;
};

const KeyCase kKeys[] = {
    {"as_written", "web/10.0.0.5#0", "web/10.0.0.5", 0},
    {"a_group_with_the_mark_in_its_name", "a#1/10.0.0.5#12", "a#1/10.0.0.5", 12},
    {"no_number", "web/10.0.0.5#", "", 0},
    {"not_a_number", "web/10.0.0.5#x", "", 0},
    {"more_than_a_number", "web/10.0.0.5#1x", "", 1},
    {"no_mark", "web/10.0.0.5", "", 0},
};

TEST(HealthTargets, keys_are_read_back) {
    for (const KeyCase& test : kKeys) {
        const TargetKey got = parse_target_key(test.key);
        EXPECT_EQ(got.member, test.member) << test.name;
        EXPECT_EQ(got.check, test.check) << test.name;
        if (got.member.empty()) continue;
        EXPECT_EQ(target_key(got.member, got.check), test.key) << test.name;
    }
}

}  // namespace
}  // namespace sluice::control
