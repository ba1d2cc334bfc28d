// SPDX-License-Identifier: Apache-2.0
//
// Messages of rtnetlink, as bytes. Those with VLAN devices were written by hand after the kernel's
// layout, because not every kernel has such devices; the real ones are met in the emulated machine.
#include "kernel/rtnetlink.h"

#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <string>
#include <vector>

namespace sluice::kernel {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes hex(std::string text) {
    std::erase(text, ' ');
    Bytes out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        out.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
    return out;
}

NetlinkMessage message(std::uint16_t type, const Bytes& payload) {
    return {type, 0, payload};
}

IpAddress address(const char* text) {
    return *IpAddress::parse(text);
}

/// ifinfomsg: family 0, type Ethernet (1), index 9, flags UP|BROADCAST|RUNNING|MULTICAST|LOWER_UP.
const std::string kLinkHeader = "00 00 0100 09000000 43100100 00000000 ";
const std::string kNameUp5 = "0a00 0300 7570302e3500 0000 ";  // IFLA_IFNAME "up0.5"
const std::string kMac = "0a00 0100 020000000009 0000 ";      // IFLA_ADDRESS
const std::string kMtu1500 = "0800 0400 dc050000 ";           // IFLA_MTU
const std::string kLink3 = "0800 0500 03000000 ";             // IFLA_LINK 3
/// IFLA_LINKINFO { KIND "vlan", DATA { ID 5, FLAGS, PROTOCOL 0x8100 } }
const std::string kVlan5 =
    "3000 1280  0900 0100 766c616e00 000000  2000 0280"
    "  0600 0100 0500 0000  0c00 0200 01000000 ffffffff  0600 0500 8100 0000 ";

TEST(ParseLink, vlan_device_knows_its_tag_and_what_it_sits_on) {
    const auto link = parse_link(
        message(RTM_NEWLINK, hex(kLinkHeader + kNameUp5 + kMac + kMtu1500 + kLink3 + kVlan5)));
    ASSERT_TRUE(link);
    EXPECT_EQ(link->ifindex, 9u);
    EXPECT_EQ(link->name, "up0.5");
    EXPECT_EQ(link->kind, "vlan");
    EXPECT_EQ(link->mac.text(), "02:00:00:00:00:09");
    EXPECT_EQ(link->mtu, 1500u);
    EXPECT_TRUE(link->ethernet);
    EXPECT_TRUE(link->up);
    EXPECT_TRUE(link->running);
    EXPECT_EQ(link->lower, 3u);
    EXPECT_EQ(link->vlan, (plan::VlanTag{5, 0x8100}));
}

TEST(ParseLink, service_tag_of_qinq_keeps_its_protocol) {
    const std::string qinq =
        "2400 1280  0900 0100 766c616e00 000000  1400 0280  0600 0100 fe0f 0000"
        "  0600 0500 88a8 0000";
    const auto link = parse_link(message(RTM_NEWLINK, hex(kLinkHeader + kNameUp5 + kLink3 + qinq)));
    ASSERT_TRUE(link);
    EXPECT_EQ(link->vlan, (plan::VlanTag{4094, 0x88a8}));
}

TEST(ParseLink, vlan_device_moved_to_another_namespace_tags_by_itself) {
    const std::string netnsid = "0800 2500 00000000 ";  // IFLA_LINK_NETNSID
    const auto link =
        parse_link(message(RTM_NEWLINK, hex(kLinkHeader + kNameUp5 + kLink3 + netnsid + kVlan5)));
    ASSERT_TRUE(link);
    EXPECT_EQ(link->lower, 0u);
    EXPECT_FALSE(link->vlan);
}

TEST(ParseLink, the_peer_of_a_veth_is_not_below_it) {
    const std::string veth = "1000 1280  0900 0100 7665746800 000000 ";
    const auto link = parse_link(message(RTM_NEWLINK, hex(kLinkHeader + kNameUp5 + kLink3 + veth)));
    ASSERT_TRUE(link);
    EXPECT_EQ(link->kind, "veth");
    EXPECT_EQ(link->lower, 0u);
    EXPECT_FALSE(link->vlan);
}

TEST(ParseLink, port_of_a_bond_names_its_master) {
    const auto link = parse_link(message(RTM_NEWLINK, hex(kLinkHeader + "0800 0a00 04000000")));
    ASSERT_TRUE(link);
    EXPECT_EQ(link->master, 4u);
}

TEST(ParseLink, xdp_program_and_mode) {
    const auto link = parse_link(message(
        RTM_NEWLINK, hex(kLinkHeader + "1400 2b80  0500 0200 01 000000  0800 0400 2a000000")));
    ASSERT_TRUE(link);
    EXPECT_EQ(link->xdp_mode, "native");
    EXPECT_EQ(link->xdp_prog_id, 42u);
}

TEST(ParseLink, up_without_carrier_is_not_running) {
    const auto link =
        parse_link(message(RTM_NEWLINK, hex("00 00 0100 09000000 03100000 00000000")));
    ASSERT_TRUE(link);
    EXPECT_TRUE(link->up);
    EXPECT_FALSE(link->running);
}

TEST(ParseLink, a_bridge_speaking_of_its_port_is_no_link) {
    std::string header = kLinkHeader;
    header.replace(0, 2, "07");  // AF_BRIDGE
    EXPECT_FALSE(parse_link(message(RTM_DELLINK, hex(header))));
}

TEST(ParseLink, no_cut_of_a_message_reads_outside_of_it) {
    const Bytes whole = hex(kLinkHeader + kNameUp5 + kMac + kMtu1500 + kLink3 + kVlan5);
    for (std::size_t len = 0; len < whole.size(); ++len) {
        // A copy of just that size, so that the sanitizer sees the first byte beyond.
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(len));
        const auto link = parse_link(message(RTM_NEWLINK, cut));
        EXPECT_EQ(link.has_value(), len >= sizeof(ifinfomsg)) << len;
        if (link) {
            EXPECT_TRUE(!link->vlan || link->kind == "vlan") << len;
        }
    }
}

/// ndmsg: family, index 3, state, flags, type.
Bytes neighbour(const char* family, const char* state, const char* flags, const std::string& rest) {
    return hex(std::string(family) + "000000 03000000 " + state + flags + "01" + rest);
}
const std::string kDst = "0800 0100 0a000005 ";
const std::string kLladdr = "0a00 0200 020000000005 0000 ";

TEST(ParseNeighbour, states_that_count_as_usable) {
    struct {
        const char* state;
        bool usable;
        bool fixed;
    } const cases[] = {{"0000", false, false}, {"0100", false, false}, {"0200", true, false},
                       {"0400", true, false},  {"0800", true, false},  {"1000", true, false},
                       {"2000", false, false}, {"4000", true, true},   {"8000", true, true}};
    for (const auto& c : cases) {
        const auto entry =
            parse_neighbour(message(RTM_NEWNEIGH, neighbour("02", c.state, "00", kDst + kLladdr)));
        ASSERT_TRUE(entry);
        EXPECT_EQ(entry->key, (NeighbourKey{3, address("10.0.0.5")}));
        EXPECT_EQ(entry->usable(), c.usable) << c.state;
        EXPECT_EQ(entry->fixed, c.fixed) << c.state;
    }
}

TEST(ParseNeighbour, without_a_link_address_it_is_not_usable) {
    const auto entry = parse_neighbour(message(RTM_NEWNEIGH, neighbour("02", "0200", "00", kDst)));
    ASSERT_TRUE(entry);
    EXPECT_FALSE(entry->usable());
}

TEST(ParseNeighbour, managed_and_learned_flags) {
    auto entry = parse_neighbour(
        message(RTM_NEWNEIGH, neighbour("02", "0200", "00", kDst + "0800 0f00 01000000")));
    ASSERT_TRUE(entry);
    EXPECT_TRUE(entry->managed);
    EXPECT_FALSE(entry->fixed);
    entry = parse_neighbour(message(RTM_NEWNEIGH, neighbour("02", "0200", "10", kDst)));
    ASSERT_TRUE(entry);
    EXPECT_FALSE(entry->managed);
    EXPECT_TRUE(entry->fixed);
}

TEST(ParseNeighbour, bridge_entries_and_wrong_lengths_are_none) {
    EXPECT_FALSE(
        parse_neighbour(message(RTM_NEWNEIGH, neighbour("07", "0200", "00", kDst + kLladdr))));
    EXPECT_FALSE(
        parse_neighbour(message(RTM_NEWNEIGH, neighbour("0a", "0200", "00", kDst + kLladdr))));
    EXPECT_FALSE(parse_neighbour(message(RTM_NEWNEIGH, neighbour("02", "0200", "00", kLladdr))));
}

TEST(ParseAddress, point_to_point_gives_the_local_end) {
    // IFA_ADDRESS 10.0.0.2 (peer), IFA_LOCAL 10.0.0.1.
    const auto change = parse_address(
        message(RTM_NEWADDR, hex("02 20 80 00 03000000  0800 0100 0a000002  0800 0200 0a000001")));
    ASSERT_TRUE(change);
    EXPECT_EQ(change->entry, (LocalAddress{3, address("10.0.0.1")}));
    EXPECT_TRUE(change->usable);
}

TEST(ParseAddress, tentative_and_duplicate_addresses_are_not_used) {
    const std::string ip6 = "1400 0100 20010db8000000000000000000000001 ";
    const std::string header = "0a 40 00 00 03000000 ";
    struct {
        const char* flags;
        bool usable;
    } const cases[] = {
        {"40000000", false}, {"44000000", true}, {"88000000", false}, {"80000000", true}};
    for (const auto& c : cases) {
        const auto change =
            parse_address(message(RTM_NEWADDR, hex(header + ip6 + "0800 0800 " + c.flags)));
        ASSERT_TRUE(change);
        EXPECT_EQ(change->usable, c.usable) << c.flags;
    }
}

/// rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags.
TEST(ParseRoute, gateway_source_and_mtu) {
    const auto route = parse_route(
        message(RTM_NEWROUTE, hex("02 18 00 00 fe 03 00 01 00000000  0800 0100 cb007100 "
                                  "0800 0400 03000000  0800 0500 0a000001  0800 0700 0a000002"
                                  "0c00 0880  0800 0200 78050000")));
    ASSERT_TRUE(route);
    EXPECT_EQ(route->destination.text(), "203.0.113.0/24");
    EXPECT_EQ(route->type, RTN_UNICAST);
    EXPECT_EQ(route->mtu, 1400u);
    EXPECT_EQ(route->preferred_source.text(), "10.0.0.2");
    ASSERT_EQ(route->hops.size(), 1u);
    EXPECT_EQ(route->hops[0], (RouteHop{3, address("10.0.0.1"), false}));
}

TEST(ParseRoute, ip4_by_an_ip6_gateway) {
    const auto route = parse_route(
        message(RTM_NEWROUTE, hex("02 00 00 00 fe 03 00 01 00000000  0800 0400 03000000 "
                                  "1600 1200 0a00 fe800000000000000000000000000001 0000")));
    ASSERT_TRUE(route);
    EXPECT_EQ(route->destination.len, 0);
    ASSERT_EQ(route->hops.size(), 1u);
    EXPECT_EQ(route->hops[0].gateway, address("fe80::1"));
}

TEST(ParseRoute, multipath_in_order_with_its_dead_hops_marked) {
    const auto route =
        parse_route(message(RTM_NEWROUTE, hex("02 00 00 00 fe 03 00 01 00000000  2400 0900 "
                                              "1000 11 00 03000000 0800 0500 0a000001"
                                              "1000 00 00 04000000 0800 0500 0a010001")));
    ASSERT_TRUE(route);
    ASSERT_EQ(route->hops.size(), 2u);
    EXPECT_EQ(route->hops[0], (RouteHop{3, address("10.0.0.1"), true}));
    EXPECT_EQ(route->hops[1], (RouteHop{4, address("10.1.0.1"), false}));
}

TEST(ParseRoute, no_cut_of_a_multipath_route_reads_outside_of_it) {
    const Bytes whole =
        hex("02 00 00 00 fe 03 00 01 00000000  2400 0900 "
            "1000 11 00 03000000 0800 0500 0a000001"
            "1000 00 00 04000000 0800 0500 0a010001");
    for (std::size_t len = 0; len < whole.size(); ++len) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(len));
        const auto route = parse_route(message(RTM_NEWROUTE, cut));
        EXPECT_TRUE(!route || route->hops.empty()) << len;
    }
}

TEST(Request, has_the_bytes_that_the_kernel_expects) {
    NetlinkRequest request(RTM_NEWNEIGH, NLM_F_CREATE);
    ndmsg header{};
    header.ndm_family = AF_INET;
    header.ndm_ifindex = 3;
    header.ndm_flags = NTF_USE;
    request.header(header).put_address(NDA_DST, address("10.0.0.5")).put_text(99, "ab");
    const ByteSpan got = request.finish(7);
    EXPECT_EQ(Bytes(got.begin(), got.end()),
              hex("2c000000 1c00 0504 07000000 00000000"
                  "02 000000 03000000 0000 01 00  0800 0100 0a000005  0700 6300 616200 00"));
}

}  // namespace
}  // namespace sluice::kernel
