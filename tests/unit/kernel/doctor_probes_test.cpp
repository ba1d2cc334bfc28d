// SPDX-License-Identifier: Apache-2.0
//
// Judgements on the way of probes in nodes that are described here; and what is read of one.
#include "kernel/doctor_probes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <cstdio>

#include "tests/unit/kernel/namespaces.h"

namespace sluice::kernel {
namespace {

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

/// Two VIPs by way of eth0, from where the answers come, too.
ProbePathFacts good() {
    ProbePathFacts out;
    out.routes = {{.vip = ip("192.0.2.10"), .source = ip("10.0.0.1"), .interfaces = {"eth0"}},
                  {.vip = ip("2001:db8::10"), .source = ip("fd00::1"), .interfaces = {"eth0"}}};
    out.interfaces = {{.interface = "eth0"}};
    return out;
}

DoctorCheck find(const ProbePathFacts& facts, const std::string& id) {
    for (const DoctorCheck& each : judge_probe_path(facts))
        if (each.id == id) return each;
    ADD_FAILURE() << "no check " << id;
    return {};
}

using Status = CheckStatus;

TEST(ProbeDoctor, a_good_node_is_well_and_reported_in_order) {
    const std::vector<DoctorCheck> want = {
        {"probes.route", "192.0.2.10", Status::ok, "probes to it start at eth0", ""},
        {"probes.source", "192.0.2.10", Status::ok, "probes come from 10.0.0.1", ""},
        {"probes.route", "2001:db8::10", Status::ok, "probes to it start at eth0", ""},
        {"probes.source", "2001:db8::10", Status::ok, "probes come from fd00::1", ""},
        {"probes.rp_filter", "eth0", Status::ok, "rp_filter lets answers of VIPs in", ""},
        {"probes.mark", "rules", Status::ok, "no rule of somebody else is about marks of probes",
         ""}};
    EXPECT_EQ(judge_probe_path(good()), want);
}

TEST(ProbeDoctor, a_vip_without_a_route_cannot_be_probed) {
    ProbePathFacts facts = good();
    facts.routes = {
        {.vip = ip("192.0.2.10"), .refused = "no route to 192.0.2.10: Network is down"}};
    EXPECT_EQ(find(facts, "probes.route"),
              (DoctorCheck{"probes.route", "192.0.2.10", Status::fail,
                           "no route to 192.0.2.10: Network is down: probes to it cannot leave",
                           "ip route add default via GATEWAY, or any other route to it: packets "
                           "are taken from it before they leave"}));
}

TEST(ProbeDoctor, backends_must_have_somebody_to_answer_to) {
    ProbePathFacts facts = good();
    facts.routes[0].source = {};
    EXPECT_EQ(find(facts, "probes.source"),
              (DoctorCheck{"probes.source", "192.0.2.10", Status::fail,
                           "this node has no IPv4 address that backends could answer to",
                           "give the interface towards the backends an IPv4 address, or check them "
                           "with via: direct"}));
}

TEST(ProbeDoctor, strict_filters_matter_where_the_route_is_by_another_interface) {
    ProbePathFacts facts = good();
    facts.interfaces = {{.interface = "eth0", .rp_filter = 1}};
    EXPECT_EQ(find(facts, "probes.rp_filter").status, Status::ok) << "the route is by it";
    facts.interfaces = {{.interface = "eth1.7", .rp_filter = 1}};
    EXPECT_EQ(find(facts, "probes.rp_filter"),
              (DoctorCheck{"probes.rp_filter", "eth1.7", Status::warn,
                           "rp_filter is strict: answers from 192.0.2.10 that come by it are "
                           "dropped, because the route to that VIP is not by it",
                           "sysctl -w net.ipv4.conf.eth1/7.rp_filter=2"}));
    for (const int loose : {0, 2}) {
        facts.interfaces[0].rp_filter = loose;
        EXPECT_EQ(find(facts, "probes.rp_filter").status, Status::ok) << loose;
    }
    facts.interfaces[0].rp_filter = 1;
    facts.routes.erase(facts.routes.begin());
    EXPECT_EQ(find(facts, "probes.rp_filter").status, Status::ok) << "IPv6 has no such filter";
}

TEST(ProbeDoctor, a_vip_of_this_node_needs_accept_local_and_loose_filters) {
    ProbePathFacts facts = good();
    facts.routes[0].is_local = true;
    facts.routes[0].interfaces = {"lo"};
    facts.interfaces[0].rp_filter = 1;
    EXPECT_EQ(find(facts, "probes.rp_filter").status, Status::warn);
    EXPECT_EQ(find(facts, "probes.accept_local"),
              (DoctorCheck{"probes.accept_local", "eth0", Status::warn,
                           "answers from 192.0.2.10 that come by it are dropped: the VIP is an "
                           "address of this node, too",
                           "sysctl -w net.ipv4.conf.eth0.accept_local=1"}));
    facts.interfaces[0].accept_local = true;
    EXPECT_EQ(find(facts, "probes.accept_local").status, Status::ok);
}

TEST(ProbeDoctor, rules_that_some_mark_of_ours_meets_are_told) {
    struct Row {
        std::uint32_t value;
        std::uint32_t mask;
        Status want;
    };
    static constexpr Row kRows[] = {
        {0x51000000, 0xfff00000, Status::ok},    // Made for probes.
        {0x51000000, 0xff000000, Status::warn},  // Wider.
        {0x51000007, 0xffffffff, Status::warn},  // One of them.
        {0x00000001, 0x000000ff, Status::warn},  // The last bits of some.
        {0x01000000, 0x0f000000, Status::warn},  // Some of the first bits.
        {0x51100000, 0xfff00000, Status::ok},   {0x00000001, 0xffffffff, Status::ok},
        {0x52000000, 0xff000000, Status::ok},   {0x00000000, 0xff000000, Status::ok},
    };
    for (const Row& row : kRows) {
        ProbePathFacts facts = good();
        facts.rules = {{.priority = 99, .value = row.value, .mask = row.mask}};
        EXPECT_EQ(find(facts, "probes.mark").status, row.want)
            << std::hex << row.value << "/" << row.mask;
    }
    ProbePathFacts facts = good();
    facts.rules = {{.priority = 99, .value = 1, .mask = 0xff, .is_ip6 = true}};
    EXPECT_EQ(find(facts, "probes.mark"),
              (DoctorCheck{"probes.mark", "rules", Status::warn,
                           "rule 99 of IPv6 is about mark 0x1/0xff, which some probes bear, too "
                           "(0x51000000/0xfff00000)",
                           "give that rule a mask that covers 0xfff00000, or another mark"}));
}

TEST(ProbeDoctor, facts_are_those_of_the_namespace) {
    const test::Namespace here = test::Namespace::create();
    const UniqueFd back(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    here.run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
    here.run("ip addr add 10.8.0.1/24 dev v0 && ip addr add 192.0.2.10/32 dev lo");
    here.run(
        "ip rule add pref 90 fwmark 0x5/0xf lookup 77 && ip -6 rule add pref 91 fwmark 6 lookup "
        "77");
    here.run(
        "ip rule add pref 92 not fwmark 7 lookup 77 && ip rule add pref 93 from 10.0.0.0/8 lookup "
        "77");
    here.sysctl("ipv4.conf.all.rp_filter", "1");
    here.sysctl("ipv4.conf.v0.rp_filter", "2");
    here.sysctl("ipv4.conf.v1.rp_filter", "0");
    here.sysctl("ipv4.conf.v1.accept_local", "1");
    here.enter();
    const auto facts =
        read_probe_path({.vips = {ip("192.0.2.10"), ip("10.8.0.9")}, .interfaces = {"v0", "v1"}});
    const auto later =
        read_probe_path({.vips = {ip("203.0.113.1")}, .interfaces = {"v0"}, .become_local = true});
    ::setns(back.get(), CLONE_NEWNET);
    ASSERT_TRUE(later) << later.error().what;
    EXPECT_TRUE(later->routes[0].is_local) << "once it is announced";
    EXPECT_EQ(later->routes[0].refused, "");
    EXPECT_EQ(later->routes[0].source, ip("10.8.0.1"));
    ASSERT_TRUE(facts) << facts.error().what;
    ASSERT_EQ(facts->routes.size(), 2u);
    EXPECT_TRUE(facts->routes[0].is_local);
    EXPECT_EQ(facts->routes[0].source, ip("10.8.0.1"));
    EXPECT_EQ(facts->routes[1].interfaces, std::set<std::string>{"v0"});
    EXPECT_EQ(facts->interfaces, (std::vector<AnswerFacts>{{"v0", 2, false}, {"v1", 1, true}}));
    EXPECT_EQ(facts->rules,
              (std::vector<MarkRule>{{90, 5, 0xf, false}, {91, 6, 0xffffffff, true}}));
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string refused = sluice::test::namespaces_refused();
    if (!refused.empty()) {
        std::fprintf(stderr, "skipped: %s\n", refused.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
