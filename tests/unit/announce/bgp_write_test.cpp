// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "announce/bgp_message.h"
#include "tests/unit/announce/bgp_bytes.h"

namespace sluice::announce {
namespace {

IpPrefix prefix(std::string_view text) {
    const auto parsed = IpPrefix::parse(text);
    EXPECT_TRUE(parsed.has_value()) << text;
    return parsed.value_or(IpPrefix{});
}

IpAddress address(std::string_view text) {
    return prefix(text).address;
}

struct Written {
    const char* name;
    BgpRoute route;
    std::vector<IpPrefix> prefixes;
    Bytes want;
};

BgpRoute external() {
    BgpRoute out;
    out.next_hop = address("10.0.0.2");
    out.own_as = 65001;
    return out;
}

BgpRoute with(BgpRoute route, void (*change)(BgpRoute&)) {
    change(route);
    return route;
}

std::vector<Written> written() {
    return {
        {"external",
         external(),
         {prefix("192.0.2.1/32")},
         message(2, "0000 0014 40010100 400206 0201 0000fde9 400304 0a000002 20c0000201")},
        {"prepended_twice",
         with(external(), [](BgpRoute& route) { route.prepend = 2; }),
         {prefix("192.0.2.1/32")},
         message(2,
                 "0000 001c 40010100 40020e 0203 0000fde9 0000fde9 0000fde9 400304 0a000002 "
                 "20c0000201")},
        {"internal_says_a_preference_and_no_path",
         with(external(),
              [](BgpRoute& route) {
                  route.is_internal = true;
                  route.prepend = 2;
                  route.local_preference = 150;
              }),
         {prefix("192.0.2.1/32")},
         message(2, "0000 0015 40010100 400200 400304 0a000002 400504 00000096 20c0000201")},
        {"internal_and_draining",
         with(external(), [](BgpRoute& route) { route.is_internal = route.is_draining = true; }),
         {prefix("192.0.2.1/32")},
         message(2,
                 "0000 001c 40010100 400200 400304 0a000002 400504 00000000 c00804 ffff0000 "
                 "20c0000201")},
        {"med_and_communities_sorted_without_doubles",
         with(external(),
              [](BgpRoute& route) {
                  route.med = 10;
                  route.communities = {{{65001, 7, 0}, false},
                                       {{1, 2, 0}, false},
                                       {{1, 2, 0}, false},
                                       {{65001, 1, 4294967295}, true}};
              }),
         {prefix("192.0.2.1/32")},
         message(2,
                 "0000 0035 40010100 400206 0201 0000fde9 400304 0a000002 800404 0000000a "
                 "c00808 00010002 fde90007 c0200c 0000fde9 00000001 ffffffff 20c0000201")},
        {"graceful_shutdown_once_though_configured_too",
         with(external(),
              [](BgpRoute& route) {
                  route.is_draining = true;
                  route.communities = {{{65535, 0, 0}, false}};
              }),
         {prefix("192.0.2.1/32")},
         message(2,
                 "0000 001b 40010100 400206 0201 0000fde9 400304 0a000002 c00804 ffff0000 "
                 "20c0000201")},
    };
}

std::vector<Written> written_otherwise() {
    return {
        {"peer_of_two_octets_and_a_short_as",
         with(external(), [](BgpRoute& route) { route.has_as4 = false; }),
         {prefix("192.0.2.1/32")},
         message(2, "0000 0012 40010100 400204 0201 fde9 400304 0a000002 20c0000201")},
        {"peer_of_two_octets_and_a_long_as",
         with(external(),
              [](BgpRoute& route) {
                  route.has_as4 = false;
                  route.own_as = 4200000001;
                  route.prepend = 1;
              }),
         {prefix("192.0.2.1/32")},
         message(2,
                 "0000 0021 40010100 400206 0202 5ba0 5ba0 400304 0a000002 "
                 "c0110a 0202 fa56ea01 fa56ea01 20c0000201")},
        {"lengths_that_are_no_whole_bytes_and_host_bits",
         external(),
         {prefix("0.0.0.0/0"), prefix("10.255.0.0/9"), prefix("192.0.2.255/25")},
         message(2,
                 "0000 0014 40010100 400206 0201 0000fde9 400304 0a000002 00 090a80 "
                 "19c0000280")},
        {"ip6",
         with(external(), [](BgpRoute& route) { route.next_hop = address("fd00:10::2"); }),
         {prefix("2001:db8::1/128")},
         message(2,
                 "0000 0037 900e0026 0002 01 10 fd000010000000000000000000000002 00 "
                 "8020010db8000000000000000000000001 40010100 400206 0201 0000fde9")},
    };
}

TEST(bgp_write, announcements_byte_for_byte) {
    std::vector<Written> all = written();
    for (const Written& one : written_otherwise()) all.push_back(one);
    for (const Written& one : all) {
        SCOPED_TRACE(one.name);
        EXPECT_EQ(hex_of(write_announcement(one.route, one.prefixes)), hex_of(one.want));
    }
}

TEST(bgp_write, withdrawals_and_ends_byte_for_byte) {
    EXPECT_EQ(hex_of(write_withdrawal(BgpFamily::ip4,
                                      std::vector{prefix("192.0.2.1/32"), prefix("10.0.0.0/8")})),
              hex_of(message(2, "0007 20c0000201 080a 0000")));
    EXPECT_EQ(hex_of(write_withdrawal(BgpFamily::ip6, std::vector{prefix("2001:db8::/32")})),
              hex_of(message(2, "0000 000c 900f0008 0002 01 2020010db8")));
    EXPECT_EQ(hex_of(write_end_of_rib(BgpFamily::ip4)), hex_of(message(2, "0000 0000")));
    EXPECT_EQ(hex_of(write_end_of_rib(BgpFamily::ip6)),
              hex_of(message(2, "0000 0007 900f0003 0002 01")));
    EXPECT_TRUE(write_withdrawal(BgpFamily::ip4, {}).empty());
    EXPECT_TRUE(write_announcement(external(), {}).empty());
}

TEST(bgp_write, other_messages_byte_for_byte) {
    EXPECT_EQ(hex_of(write_keepalive()), hex_of(message(4, "")));
    EXPECT_EQ(hex_of(write_notification({1, 2, hex("0012")})), hex_of(message(3, "01 02 0012")));
    EXPECT_EQ(hex_of(write_open({.as = 4200000001, .hold_time_s = 9, .router_id = 0x0a000002})),
              hex_of(message(1,
                             "04 5ba0 0009 0a000002 16 02 14 0104 0001 00 01 0104 0002 00 01 "
                             "0200 4104 fa56ea01")));
}

TEST(bgp_write, an_open_is_read_as_it_was_written) {
    BgpOpen open{.as = 65001, .hold_time_s = 180, .router_id = 7};
    for (const bool restarts : {false, true}) {
        open.restart = BgpRestart{.is_restarting = restarts, .time_s = 4095};
        const BgpRead read = read_bgp(write_open(open));
        ASSERT_TRUE(read.message.has_value());
        BgpOpen want = open;
        want.restart->keeps_forwarding = false;  // Not read.
        EXPECT_EQ(std::get<BgpOpen>(*read.message), want);
    }
}

TEST(bgp_write, data_of_a_notification_that_does_not_fit_is_cut) {
    const Bytes written = write_notification({2, 7, Bytes(5000, 0xaa)});
    EXPECT_EQ(written.size(), kBgpMessageMax);
    EXPECT_TRUE(read_bgp(written).message.has_value());
}

/// Messages of `updates`, each well framed.
std::size_t count_messages(ByteView updates) {
    std::size_t count = 0;
    while (!updates.empty()) {
        const BgpRead read = read_bgp(updates);
        EXPECT_TRUE(read.message.has_value() && !read.error);
        if (!read.message) return 0;
        EXPECT_LE(read.size, kBgpMessageMax);
        updates = updates.subspan(read.size);
        ++count;
    }
    return count;
}

TEST(bgp_write, many_prefixes_fill_messages_and_lose_none) {
    BgpRoute route = external();
    for (std::uint32_t i = 0; i < 100; ++i) {
        route.communities.push_back({{i, i, 0}, false});
        route.communities.push_back({{i, i, i}, true});
    }
    for (const bool is_ip6 : {false, true}) {
        route.next_hop = address(is_ip6 ? "fd00::1" : "10.0.0.2");
        std::vector<IpPrefix> prefixes;
        for (std::uint32_t i = 0; i < 5000; ++i) {
            IpPrefix one = prefix(is_ip6 ? "2001:db8::/128" : "10.0.0.0/32");
            one.address.bytes[is_ip6 ? 14 : 2] = static_cast<std::uint8_t>(i >> 8);
            one.address.bytes[is_ip6 ? 15 : 3] = static_cast<std::uint8_t>(i);
            prefixes.push_back(one);
        }
        const std::size_t bytes_each = is_ip6 ? 17 : 5;
        const Bytes announced = write_announcement(route, prefixes);
        const std::size_t messages = count_messages(announced);
        // Attributes with both kinds of communities (kCommunitiesMax each) take about 1,100 bytes.
        EXPECT_GE(messages, 5000 * bytes_each / kBgpMessageMax);
        EXPECT_LE(messages, 5000 * bytes_each / (kBgpMessageMax - 1200) + 1);
        const Bytes withdrawn =
            write_withdrawal(is_ip6 ? BgpFamily::ip6 : BgpFamily::ip4, prefixes);
        EXPECT_LE(count_messages(withdrawn), 5000 * bytes_each / (kBgpMessageMax - 60) + 1);
        // All prefixes are in there, in their order.
        for (const Bytes& updates : {announced, withdrawn}) {
            auto at = updates.begin();
            for (const IpPrefix& one : prefixes) {
                const auto end = one.address.bytes.begin() + (is_ip6 ? 16 : 4);
                at = std::search(at, updates.end(), one.address.bytes.begin(), end);
                ASSERT_NE(at, updates.end()) << one.text();
            }
        }
    }
}

}  // namespace
}  // namespace sluice::announce
