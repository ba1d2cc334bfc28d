// SPDX-License-Identifier: Apache-2.0
//
// Network against this machine's kernel, in namespaces of its own:
//
//   balancer: up0 10.1.0.1/24 fd01::1/64 ---- peer0 10.1.0.2/24 fd01::2/64 :world
//             up1 10.2.0.1/24 fd02::1/64 ---- peer1 10.2.0.2/24 fd02::2/64
#include "kernel/network.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "tests/unit/kernel/namespaces.h"

namespace sluice::kernel {
namespace {

using plan::HopState;
using plan::NextHop;
using test::Namespace;
using Clock = std::chrono::steady_clock;

IpAddress address(const std::string& text) {
    return *IpAddress::parse(text);
}

class NetworkTest : public testing::Test {
 protected:
    void SetUp() override {
        for (const std::string number : {"0", "1"}) {
            const std::string up = "up" + number;
            const std::string peer = "peer" + number;
            const std::string net = std::to_string(std::stoi(number) + 1);
            balancer.run("ip link add " + up + " address 02:00:00:00:0" + number +
                         ":01 type veth peer name " + peer + " address 02:00:00:00:0" + number +
                         ":02");
            balancer.run("ip link set " + peer + " netns " + world.path());
            balancer.run("ip addr add 10." + net + ".0.1/24 dev " + up + " && ip addr add fd0" +
                         net + "::1/64 dev " + up + " nodad && ip link set " + up + " up");
            world.run("ip addr add 10." + net + ".0.2/24 dev " + peer + " && ip addr add fd0" +
                      net + "::2/64 dev " + peer + " nodad && ip link set " + peer + " up");
            // A neighbour that is not there is given up after half a second, not after three.
            for (const char* family : {"ipv4", "ipv6"})
                balancer.sysctl(std::string(family) + ".neigh." + up + ".retrans_time_ms", "150");
        }
        open();
    }

    void open(NetworkOptions options = {}) {
        balancer.enter();
        auto opened = Network::open(options);
        ASSERT_TRUE(opened) << opened.error().what;
        network = *std::move(opened);
    }

    /// Follows the network until `done` holds; returns whether it did before the deadline.
    bool wait_until(const std::function<bool()>& done) {
        const auto deadline = Clock::now() + std::chrono::seconds(20);
        while (!done()) {
            if (Clock::now() > deadline) return false;
            pollfd event{network->fd(), POLLIN, 0};
            if (::poll(&event, 1, 200) == 0) network->tick();
            const auto changed = network->process();
            if (!changed) {
                ADD_FAILURE() << changed.error().what;
                return false;
            }
            reported.insert(changed->begin(), changed->end());
            for (const auto& one : *changed) hops[one] = network->resolve(one);
        }
        return true;
    }

    void watch(const std::set<IpAddress>& addresses) {
        network->watch(addresses);
        hops.clear();
        for (const auto& one : addresses) hops[one] = network->resolve(one);
    }

    bool wait_state(const std::string& text, HopState state) {
        const bool reached = wait_until([&] { return hops[address(text)].state == state; });
        if (!reached)
            ADD_FAILURE() << text << " is " << plan::name_of(hops[address(text)].state) << ": "
                          << hops[address(text)].why;
        return reached;
    }

    NextHop& hop(const std::string& text) { return hops[address(text)]; }

    /// Reads what is waiting, so that the next report has its own cause.
    void settle() {
        for (int quiet = 0; quiet < 3;) {
            pollfd event{network->fd(), POLLIN, 0};
            quiet = ::poll(&event, 1, 50) == 0 ? quiet + 1 : 0;
            const auto changed = network->process();
            ASSERT_TRUE(changed);
            for (const auto& one : *changed) hops[one] = network->resolve(one);
        }
        reported.clear();
    }

    Namespace balancer = Namespace::create();
    Namespace world = Namespace::create();
    std::unique_ptr<Network> network;
    std::map<IpAddress, NextHop> hops;
    std::set<IpAddress> reported;
};

TEST_F(NetworkTest, backend_on_the_same_network_is_resolved) {
    watch({address("10.1.0.2")});
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    const NextHop& got = hop("10.1.0.2");
    EXPECT_EQ(got.interface, "up0");
    EXPECT_EQ(got.ifindex, network->link_info("up0")->ifindex);
    EXPECT_EQ(got.source.text(), "02:00:00:00:00:01");
    EXPECT_EQ(got.destination.text(), "02:00:00:00:00:02");
    EXPECT_EQ(got.mtu, 1500);
    EXPECT_EQ(got.preferred_source.text(), "10.1.0.1");
    EXPECT_FALSE(got.via_gateway);
    EXPECT_TRUE(got.vlans.empty());
    EXPECT_EQ(got.why, "");
}

TEST_F(NetworkTest, ip6_backend_is_resolved) {
    watch({address("fd02::2")});
    ASSERT_TRUE(wait_state("fd02::2", HopState::resolved));
    const NextHop& got = hop("fd02::2");
    EXPECT_EQ(got.interface, "up1");
    EXPECT_EQ(got.source.text(), "02:00:00:00:01:01");
    EXPECT_EQ(got.destination.text(), "02:00:00:00:01:02");
    EXPECT_EQ(got.preferred_source.text(), "fd02::1");
    EXPECT_FALSE(got.via_gateway);
}

TEST_F(NetworkTest, the_kernel_is_asked_to_keep_watched_neighbours_only) {
    watch({address("10.1.0.2")});
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    EXPECT_NE(balancer.output("ip neigh show 10.1.0.2").find("managed"), std::string::npos);

    NextHop other = network->resolve(address("10.2.0.2"));
    EXPECT_TRUE(wait_until([&] {
        other = network->resolve(address("10.2.0.2"));
        return other.state == HopState::resolved;
    })) << other.why;
    EXPECT_EQ(balancer.output("ip neigh show 10.2.0.2").find("managed"), std::string::npos);

    network->watch({});
    EXPECT_EQ(balancer.output("ip neigh show 10.1.0.2").find("managed"), std::string::npos);
}

TEST_F(NetworkTest, a_destroyed_network_leaves_neighbours_with_the_kernel) {
    watch({address("10.1.0.2")});
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    network.reset();
    EXPECT_NE(balancer.output("ip neigh show 10.1.0.2").find("managed"), std::string::npos);
}

TEST_F(NetworkTest, a_kernel_without_managed_neighbours_is_asked_by_tick) {
    open({.managed_neighbours = false});
    watch({address("10.1.0.2"), address("10.1.0.9")});
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    EXPECT_EQ(balancer.output("ip neigh show 10.1.0.2").find("managed"), std::string::npos);
    ASSERT_TRUE(wait_until([&] { return hop("10.1.0.9").why.ends_with("does not answer"); }));
    world.run("ip addr add 10.1.0.9/24 dev peer0");
    ASSERT_TRUE(wait_state("10.1.0.9", HopState::resolved));
}

TEST_F(NetworkTest, backend_behind_a_gateway) {
    balancer.run("ip route add 203.0.113.0/24 via 10.1.0.2");
    watch({address("203.0.113.5")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    EXPECT_TRUE(hop("203.0.113.5").via_gateway);
    EXPECT_EQ(hop("203.0.113.5").destination.text(), "02:00:00:00:00:02");
    EXPECT_EQ(hop("203.0.113.5").preferred_source.text(), "10.1.0.1");
}

TEST_F(NetworkTest, ip6_backend_behind_the_default_gateway) {
    balancer.run("ip -6 route add default via fd01::2");
    watch({address("2001:db8::5")});
    ASSERT_TRUE(wait_state("2001:db8::5", HopState::resolved));
    EXPECT_TRUE(hop("2001:db8::5").via_gateway);
    EXPECT_EQ(hop("2001:db8::5").interface, "up0");
    EXPECT_EQ(hop("2001:db8::5").preferred_source.text(), "fd01::1");
}

TEST_F(NetworkTest, ip4_backend_by_an_ip6_gateway) {
    balancer.run("ip route add 203.0.113.0/24 via inet6 fd02::2 dev up1");
    watch({address("203.0.113.5")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    EXPECT_TRUE(hop("203.0.113.5").via_gateway);
    EXPECT_EQ(hop("203.0.113.5").destination.text(), "02:00:00:00:01:02");
}

TEST_F(NetworkTest, multipath_takes_the_first_hop_that_answers) {
    balancer.run(
        "ip route add 203.0.113.0/24 nexthop via 10.1.0.77 dev up0 nexthop via 10.2.0.2 dev up1");
    balancer.run(
        "ip -6 route add 2001:db8::/32 nexthop via fd01::77 dev up0 nexthop via fd02::2 dev up1");
    watch({address("203.0.113.5"), address("2001:db8::5")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    EXPECT_EQ(hop("203.0.113.5").interface, "up1");
    ASSERT_TRUE(wait_state("2001:db8::5", HopState::resolved));
    EXPECT_EQ(hop("2001:db8::5").interface, "up1");

    world.run("ip addr add 10.1.0.77/24 dev peer0");
    EXPECT_TRUE(wait_until([&] { return hop("203.0.113.5").interface == "up0"; }));
    EXPECT_EQ(hop("203.0.113.5").destination.text(), "02:00:00:00:00:02");
}

TEST_F(NetworkTest, multipath_on_a_nexthop_group) {
    balancer.run("ip nexthop add id 1 via 10.1.0.77 dev up0");
    balancer.run("ip nexthop add id 2 via 10.2.0.2 dev up1");
    balancer.run("ip nexthop add id 9 group 1/2 && ip route add 203.0.113.0/24 nhid 9");
    watch({address("203.0.113.5")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    EXPECT_EQ(hop("203.0.113.5").interface, "up1");
    // Replacing the object notifies no route.
    balancer.run("ip nexthop replace id 1 via 10.1.0.2 dev up0");
    EXPECT_TRUE(wait_until([&] { return hop("203.0.113.5").interface == "up0"; }));
}

TEST_F(NetworkTest, a_changed_route_moves_the_backends_it_covers_and_no_others) {
    balancer.run("ip route add 203.0.113.0/24 via 10.1.0.2");
    watch({address("203.0.113.5"), address("10.1.0.2"), address("fd01::2")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    ASSERT_TRUE(wait_state("fd01::2", HopState::resolved));
    settle();
    const auto lookups = network->stats().route_lookups;
    balancer.run("ip route replace 203.0.113.0/24 via 10.2.0.2");
    ASSERT_TRUE(wait_until([&] {
        return hop("203.0.113.5").interface == "up1" &&
               hop("203.0.113.5").state == HopState::resolved;
    }));
    EXPECT_EQ(reported, std::set{address("203.0.113.5")});
    EXPECT_LE(network->stats().route_lookups - lookups, 4u);

    balancer.run("ip route del 203.0.113.0/24");
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::no_route));
    EXPECT_EQ(hop("203.0.113.5").why, "no route to 203.0.113.5");
    EXPECT_EQ(reported, std::set{address("203.0.113.5")});
}

TEST_F(NetworkTest, a_rule_may_change_every_route) {
    balancer.run("ip route add 203.0.113.0/24 via 10.1.0.2");
    balancer.run("ip route add 203.0.113.0/24 via 10.2.0.2 table 100");
    watch({address("203.0.113.5")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    EXPECT_EQ(hop("203.0.113.5").interface, "up0");
    balancer.run("ip rule add to 203.0.113.0/24 lookup 100");
    EXPECT_TRUE(wait_until([&] { return hop("203.0.113.5").interface == "up1"; }));
}

TEST_F(NetworkTest, refused_routes_say_why) {
    balancer.run("ip route add unreachable 203.0.113.1 && ip route add blackhole 203.0.113.2");
    balancer.run("ip route add prohibit 203.0.113.3 && ip -6 route add prohibit 2001:db8::3");
    const std::pair<const char*, const char*> cases[] = {
        {"203.0.113.1", "no route to 203.0.113.1"},
        {"203.0.113.2", "the route to 203.0.113.2 is a blackhole"},
        {"203.0.113.3", "the route to 203.0.113.3 is prohibited"},
        {"2001:db8::3", "the route to 2001:db8::3 is prohibited"},
        {"2001:db8::4", "no route to 2001:db8::4"},
        {"10.1.0.255", "10.1.0.255 is the address of many hosts, not of one"}};
    for (const auto& [text, why] : cases) {
        const NextHop got = network->resolve(address(text));
        EXPECT_EQ(got.state, HopState::no_route) << text;
        EXPECT_EQ(got.why, why);
    }
}

TEST_F(NetworkTest, mtu_is_the_least_of_route_and_link_and_follows_both) {
    balancer.run("ip route add 203.0.113.0/24 via 10.1.0.2 mtu 1400");
    watch({address("203.0.113.5"), address("10.1.0.2")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    EXPECT_EQ(hop("203.0.113.5").mtu, 1400);
    EXPECT_EQ(hop("10.1.0.2").mtu, 1500);
    balancer.run("ip link set up0 mtu 1600");
    EXPECT_TRUE(wait_until([&] { return hop("10.1.0.2").mtu == 1600; }));
    EXPECT_EQ(hop("203.0.113.5").mtu, 1400);
    balancer.run("ip link set up0 mtu 1300");
    EXPECT_TRUE(wait_until([&] { return hop("203.0.113.5").mtu == 1300; }));
    balancer.run("ip route replace 203.0.113.0/24 via 10.1.0.2 mtu 1200");
    EXPECT_TRUE(wait_until([&] { return hop("203.0.113.5").mtu == 1200; }));
}

TEST_F(NetworkTest, a_new_hardware_address_is_followed) {
    watch({address("10.1.0.2")});
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    // A real move: the other side gets another address and says so.
    world.run("ip link set peer0 address 02:00:00:00:00:99");
    world.sysctl("ipv4.conf.peer0.arp_notify", "1");
    world.run("ip link set peer0 down && ip link set peer0 up");
    EXPECT_TRUE(wait_until([&] {
        return hop("10.1.0.2").destination.text() == "02:00:00:00:00:99";
    })) << hop("10.1.0.2").why;
    // The own address of the interface as well.
    balancer.run("ip link set up0 address 02:00:00:00:00:88");
    EXPECT_TRUE(wait_until([&] { return hop("10.1.0.2").source.text() == "02:00:00:00:00:88"; }));
}

TEST_F(NetworkTest, an_operators_permanent_neighbour_is_used_and_left_alone) {
    balancer.run("ip neigh add 10.1.0.50 lladdr 02:00:00:00:00:50 dev up0 nud permanent");
    watch({address("10.1.0.50")});
    ASSERT_TRUE(wait_state("10.1.0.50", HopState::resolved));
    EXPECT_EQ(hop("10.1.0.50").destination.text(), "02:00:00:00:00:50");
    network->tick();
    network->watch({});
    EXPECT_NE(balancer.output("ip neigh show 10.1.0.50").find("PERMANENT"), std::string::npos);
}

TEST_F(NetworkTest, a_neighbour_that_was_kept_and_became_permanent_stays_so) {
    watch({address("10.1.0.2")});
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    balancer.run("ip neigh replace 10.1.0.2 lladdr 02:00:00:00:00:51 dev up0 nud permanent");
    ASSERT_TRUE(
        wait_until([&] { return hop("10.1.0.2").destination.text() == "02:00:00:00:00:51"; }));
    network->watch({});
    EXPECT_NE(balancer.output("ip neigh show 10.1.0.2").find("PERMANENT"), std::string::npos);
}

TEST_F(NetworkTest, a_dead_neighbour_is_unresolved_until_it_answers) {
    watch({address("10.1.0.77"), address("fd01::77")});
    EXPECT_EQ(hop("10.1.0.77").state, HopState::unresolved);
    EXPECT_EQ(hop("10.1.0.77").why, "neighbour 10.1.0.77 on up0 has not answered yet");
    ASSERT_TRUE(wait_until([&] {
        return hop("10.1.0.77").why == "neighbour 10.1.0.77 on up0 does not answer" &&
               hop("fd01::77").why == "neighbour fd01::77 on up0 does not answer";
    }));
    EXPECT_EQ(hop("10.1.0.77").state, HopState::unresolved);
    EXPECT_EQ(hop("10.1.0.77").interface, "up0");
    world.run("ip addr add 10.1.0.77/24 dev peer0 && ip addr add fd01::77/64 dev peer0 nodad");
    ASSERT_TRUE(wait_state("10.1.0.77", HopState::resolved));
    ASSERT_TRUE(wait_state("fd01::77", HopState::resolved));
}

TEST_F(NetworkTest, a_neighbour_that_dies_becomes_unresolved) {
    world.run("ip addr add 10.1.0.77/24 dev peer0");
    for (const char* name : {"base_reachable_time_ms", "delay_first_probe_time"})
        balancer.sysctl(std::string("ipv4.neigh.up0.") + name, "1");
    watch({address("10.1.0.77")});
    ASSERT_TRUE(wait_state("10.1.0.77", HopState::resolved));
    world.run("ip addr del 10.1.0.77/24 dev peer0");
    balancer.run("ip neigh change 10.1.0.77 dev up0 nud probe lladdr 02:00:00:00:00:02");
    ASSERT_TRUE(wait_state("10.1.0.77", HopState::unresolved));
}

TEST_F(NetworkTest, a_deleted_neighbour_is_asked_for_again) {
    watch({address("10.1.0.2")});
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    settle();
    balancer.run("ip neigh del 10.1.0.2 dev up0");
    ASSERT_TRUE(wait_until([&] { return reported.contains(address("10.1.0.2")); }));
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    EXPECT_NE(balancer.output("ip neigh show 10.1.0.2").find("managed"), std::string::npos);
}

TEST_F(NetworkTest, link_without_carrier_and_link_down) {
    watch({address("10.1.0.2"), address("fd01::2"), address("10.2.0.2")});
    for (const char* text : {"10.1.0.2", "fd01::2", "10.2.0.2"})
        ASSERT_TRUE(wait_state(text, HopState::resolved));
    settle();
    world.run("ip link set peer0 down");
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::link_down));
    EXPECT_EQ(hop("10.1.0.2").why, "interface up0 has no carrier");
    EXPECT_EQ(hop("10.2.0.2").state, HopState::resolved);
    EXPECT_FALSE(reported.contains(address("10.2.0.2")));
    world.run("ip link set peer0 up && ip addr replace fd01::2/64 dev peer0 nodad");
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    ASSERT_TRUE(wait_state("fd01::2", HopState::resolved));

    // Down by the administrator: the kernel drops the IPv4 routes and tells nobody.
    balancer.run("ip link set up0 down");
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::no_route));
    ASSERT_TRUE(wait_state("fd01::2", HopState::no_route));
    balancer.run("ip link set up0 up && ip addr replace fd01::1/64 dev up0 nodad");
    ASSERT_TRUE(wait_state("10.1.0.2", HopState::resolved));
    ASSERT_TRUE(wait_state("fd01::2", HopState::resolved));
}

TEST_F(NetworkTest, an_interface_that_disappears) {
    balancer.run("ip route add 203.0.113.0/24 via 10.2.0.2");
    watch({address("203.0.113.5")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    balancer.run("ip link del up1");
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::no_route));
    EXPECT_FALSE(network->link_info("up1"));
}

TEST_F(NetworkTest, a_route_that_prefers_a_lost_source_is_noticed) {
    balancer.run("ip addr add 10.9.9.9/32 dev lo");
    balancer.run("ip route add 203.0.113.0/24 via 10.1.0.2 src 10.9.9.9");
    watch({address("203.0.113.5")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    EXPECT_EQ(hop("203.0.113.5").preferred_source.text(), "10.9.9.9");
    balancer.run("ip addr del 10.9.9.9/32 dev lo");
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::no_route));
}

TEST_F(NetworkTest, a_backend_that_is_this_node) {
    watch({address("10.1.0.1"), address("fd01::1"), address("192.0.2.1")});
    EXPECT_EQ(hop("10.1.0.1").state, HopState::local);
    EXPECT_EQ(hop("10.1.0.1").why, "10.1.0.1 is an address of this node");
    EXPECT_EQ(hop("fd01::1").state, HopState::local);
    EXPECT_EQ(hop("192.0.2.1").state, HopState::no_route);
    const auto before = network->revision();
    balancer.run("ip addr add 192.0.2.1/32 dev lo");
    ASSERT_TRUE(wait_state("192.0.2.1", HopState::local));
    EXPECT_GT(network->revision().addresses, before.addresses);
    balancer.run("ip addr del 192.0.2.1/32 dev lo");
    ASSERT_TRUE(wait_state("192.0.2.1", HopState::no_route));
}

TEST_F(NetworkTest, links_and_addresses_are_told) {
    const auto link = network->link_info("up0");
    ASSERT_TRUE(link);
    EXPECT_EQ(link->kind, "veth");
    EXPECT_EQ(link->mac.text(), "02:00:00:00:00:01");
    EXPECT_EQ(link->mtu, 1500u);
    EXPECT_TRUE(link->up);
    EXPECT_TRUE(link->running);
    EXPECT_TRUE(link->ethernet);
    EXPECT_FALSE(network->link_info("lo")->ethernet);
    const auto missing = network->link_info("eth7");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::not_found);
    EXPECT_EQ(missing.error().what, "no interface eth7");

    const auto addresses = network->local_addresses();
    for (const char* text : {"127.0.0.1", "::1", "10.1.0.1", "10.2.0.1", "fd01::1", "fd02::1"})
        EXPECT_TRUE(std::binary_search(addresses.begin(), addresses.end(), address(text))) << text;

    const auto before = network->revision();
    balancer.run("ip link set up0 mtu 9000");
    EXPECT_TRUE(wait_until([&] { return network->revision().links > before.links; }));
    EXPECT_EQ(network->link_info("up0")->mtu, 9000u);
}

TEST_F(NetworkTest, an_interface_that_is_not_ethernet_carries_nothing) {
    balancer.run("ip tuntap add tun0 mode tun && ip addr add 10.7.0.1/24 dev tun0");
    balancer.run("ip link set tun0 up");
    ASSERT_TRUE(wait_until([&] { return network->link_info("tun0").has_value(); }));
    watch({address("10.7.0.2")});
    EXPECT_NE(hop("10.7.0.2").state, HopState::resolved);
    EXPECT_NE(hop("10.7.0.2").why, "");
}

TEST_F(NetworkTest, lost_notifications_lead_to_a_fresh_start) {
    open({.receive_buffer = 1});  // The kernel makes it its smallest, some 2 KiB.
    balancer.run("ip route add 203.0.113.0/24 via 10.1.0.2");
    watch({address("203.0.113.5"), address("10.1.0.2")});
    ASSERT_TRUE(wait_state("203.0.113.5", HopState::resolved));
    settle();
    const auto overruns = network->stats().overruns;
    std::string many =
        "for i in $(seq 1 200); do echo addr add 10.200.0.$i/32 dev lo; done | "
        "ip -batch - && ip route replace 203.0.113.0/24 via 10.2.0.2 && "
        "ip link set up0 mtu 1450";
    balancer.run(many);
    ASSERT_TRUE(wait_until([&] {
        return hop("203.0.113.5").interface == "up1" &&
               hop("203.0.113.5").state == HopState::resolved && hop("10.1.0.2").mtu == 1450;
    }));
    EXPECT_GT(network->stats().overruns, overruns);
    EXPECT_TRUE(reported.contains(address("10.1.0.2")));
    const auto addresses = network->local_addresses();
    EXPECT_TRUE(std::binary_search(addresses.begin(), addresses.end(), address("10.200.0.200")));
    EXPECT_EQ(network->link_info("up0")->mtu, 1450u);
}

TEST_F(NetworkTest, one_event_among_thousands_of_backends_costs_one) {
    constexpr int kBackends = 4000;
    balancer.run("ip addr add 10.50.0.1/16 dev up0");
    for (const char* name : {"gc_thresh1", "gc_thresh2", "gc_thresh3"})
        if (!balancer.sysctl(std::string("ipv4.neigh.default.") + name).empty())
            balancer.sysctl(std::string("ipv4.neigh.default.") + name, "16384");
    std::set<IpAddress> backends;
    for (int i = 0; i < kBackends; ++i)
        backends.insert(
            address("10.50." + std::to_string(1 + i / 250) + "." + std::to_string(1 + i % 250)));
    balancer.run(
        "for a in $(seq 1 16); do for b in $(seq 1 250); do "
        "echo neigh add 10.50.$a.$b lladdr 02:00:00:00:50:50 dev up0 nud permanent; done; done "
        "| ip -batch -");
    ASSERT_TRUE(wait_until([&] { return network->stats().notifications > kBackends; }));
    watch(backends);
    for (const auto& [backend, got] : hops) EXPECT_EQ(got.state, HopState::resolved) << got.why;
    settle();
    const auto before = network->stats();
    balancer.run("ip neigh replace 10.50.7.7 lladdr 02:00:00:00:77:77 dev up0 nud permanent");
    ASSERT_TRUE(wait_until([&] { return !reported.empty(); }));
    EXPECT_EQ(reported, std::set{address("10.50.7.7")});
    EXPECT_EQ(hop("10.50.7.7").destination.text(), "02:00:00:00:77:77");
    EXPECT_EQ(network->stats().route_lookups, before.route_lookups);
    EXPECT_EQ(network->stats().neighbour_requests, before.neighbour_requests);

    // An interface that no backend uses may come and go.
    reported.clear();
    balancer.run("ip link add other type veth peer name other2 && ip link set other up");
    balancer.run(
        "ip link set other2 up && ip addr add 10.66.0.1/24 dev other && ip link del other");
    settle();
    EXPECT_EQ(network->stats().route_lookups, before.route_lookups);
}

TEST_F(NetworkTest, vlan_devices_become_tags_on_the_device_below) {
    if (!balancer.try_run("ip link add link up0 name up0.5 type vlan id 5"))
        GTEST_SKIP() << "this kernel has no VLAN devices; ./dev test --kernel has";
    world.run("ip link add link peer0 name peer0.5 type vlan id 5");
    world.run("ip addr add 10.5.0.2/24 dev peer0.5 && ip link set peer0.5 up");
    balancer.run("ip addr add 10.5.0.1/24 dev up0.5 && ip link set up0.5 mtu 1400 up");
    watch({address("10.5.0.2")});
    ASSERT_TRUE(wait_state("10.5.0.2", HopState::resolved));
    EXPECT_EQ(hop("10.5.0.2").interface, "up0");
    EXPECT_EQ(hop("10.5.0.2").vlans, (std::vector<plan::VlanTag>{{5, 0x8100}}));
    EXPECT_EQ(hop("10.5.0.2").mtu, 1400);
    balancer.run("ip link set up0 mtu 1350");
    EXPECT_TRUE(wait_until([&] { return hop("10.5.0.2").mtu == 1350; }));
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string refused = sluice::test::namespaces_refused();
    if (!refused.empty()) {
        std::printf("skipped: unit_network: %s\n", refused.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
