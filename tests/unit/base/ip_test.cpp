// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <random>

namespace sluice {
namespace {

IpAddress address(std::string_view text) {
    return IpAddress::parse(text).value_or(IpAddress{});
}

IpPrefix prefix(std::string_view text) {
    return IpPrefix::parse(text).value_or(IpPrefix{});
}

TEST(IpAddress, prints_canonically) {
    const std::pair<const char*, const char*> kTexts[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // RFC 5952 4.2.2: a single 0 stays.
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // 4.2.3: the longest run.
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // The first of equals.
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"::", "::"},
    };
    for (const auto& [text, canonical] : kTexts) {
        ASSERT_TRUE(IpAddress::parse(text).has_value()) << text;
        EXPECT_EQ(address(text).text(), canonical);
    }
}

TEST(IpAddress, takes_nothing_but_an_address) {
    using namespace std::string_literals;
    for (const std::string& text :
         {""s, "192.0.2"s, "192.0.2.1.1"s, "192.0.2.256"s, "192.0.2.01"s, "0x7f000001"s,
          " 192.0.2.1"s, "192.0.2.1 "s, "192.0.2.1\0"s, "192.0.2.1/32"s, "[::1]"s, "fe80::1%eth0"s,
          "1::2::3"s, "12345::"s, ":1"s, "localhost"s, std::string(1000, '1')})
        EXPECT_FALSE(IpAddress::parse(text).has_value()) << text;
}

TEST(IpAddress, random_addresses_read_back) {
    std::mt19937 random(1);
    for (int i = 0; i < 10'000; ++i) {
        IpAddress value;
        value.is_ip6 = i % 2 == 0;
        for (std::size_t k = 0; k < (value.is_ip6 ? 16 : 4); ++k)
            value.bytes[k] = random() % 3 == 0 ? 0 : static_cast<std::uint8_t>(random());
        EXPECT_EQ(address(value.text()), value);
    }
}

TEST(IpAddress, keeps_network_byte_order) {
    const IpAddress four = address("192.0.2.1");
    EXPECT_EQ(four.ip4_be(), htonl(0xc0000201));
    EXPECT_EQ(IpAddress::from_ip4(htonl(0xc0000201)), four);
    EXPECT_EQ(four.bits(), 32);
    const IpAddress six = address("2001:db8::1");
    EXPECT_EQ(IpAddress::from_ip6(six.bytes.data()), six);
    EXPECT_EQ(six.bits(), 128);
}

TEST(IpAddress, knows_its_kinds) {
    EXPECT_TRUE(address("0.0.0.0").is_unspecified());
    EXPECT_TRUE(address("::").is_unspecified());
    EXPECT_FALSE(address("::1").is_unspecified());
    EXPECT_TRUE(address("127.255.0.1").is_loopback());
    EXPECT_TRUE(address("::1").is_loopback());
    EXPECT_FALSE(address("::").is_loopback());
    EXPECT_FALSE(address("126.0.0.1").is_loopback());
    EXPECT_TRUE(address("224.0.0.0").is_multicast());
    EXPECT_TRUE(address("239.255.255.255").is_multicast());
    EXPECT_FALSE(address("240.0.0.0").is_multicast());
    EXPECT_TRUE(address("ff02::1").is_multicast());
    EXPECT_TRUE(address("169.254.0.1").is_link_local());
    EXPECT_FALSE(address("169.253.0.1").is_link_local());
    EXPECT_TRUE(address("febf::1").is_link_local());
    EXPECT_FALSE(address("fec0::1").is_link_local());
    EXPECT_TRUE(address("255.255.255.255").is_broadcast());
    EXPECT_FALSE(address("255.255.255.254").is_broadcast());
    EXPECT_FALSE(address("ffff:ffff::").is_broadcast());
}

TEST(IpPrefix, reads_a_length_or_takes_the_whole) {
    EXPECT_EQ(prefix("192.0.2.0/24").len, 24);
    EXPECT_EQ(prefix("192.0.2.1").len, 32);
    EXPECT_TRUE(prefix("2001:db8::1").is_host());
    EXPECT_EQ(prefix("::/0").len, 0);
    EXPECT_EQ(prefix("2001:db8::/32").text(), "2001:db8::/32");
    for (const char* text : {"192.0.2.0/33", "::/129", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/08",
                             "192.0.2.0/ 8", "192.0.2.0/8 ", "192.0.2.0/8/8", "/8", "", "::/256",
                             "192.0.2.0/255.255.255.0", "192.0.2.0/+8"})
        EXPECT_FALSE(IpPrefix::parse(text).has_value()) << text;
}

TEST(IpPrefix, finds_host_bits) {
    EXPECT_FALSE(prefix("192.0.2.0/24").has_host_bits());
    EXPECT_TRUE(prefix("192.0.2.1/24").has_host_bits());
    EXPECT_TRUE(prefix("192.0.2.1/31").has_host_bits());
    EXPECT_FALSE(prefix("192.0.2.1/32").has_host_bits());
    EXPECT_FALSE(prefix("0.0.0.0/0").has_host_bits());
    EXPECT_TRUE(prefix("2001:db8::1/127").has_host_bits());
    EXPECT_EQ(prefix("192.0.2.255/25").network(), prefix("192.0.2.128/25"));
    EXPECT_EQ(prefix("2001:db8:ffff::/33").network(), prefix("2001:db8:8000::/33"));
}

/// Bit by bit, as the words say it.
bool contains_by_hand(const IpPrefix& outer, const IpAddress& inner) {
    if (outer.address.is_ip6 != inner.is_ip6) return false;
    for (int bit = 0; bit < outer.len; ++bit) {
        const auto byte = static_cast<std::size_t>(bit / 8);
        if (((outer.address.bytes[byte] ^ inner.bytes[byte]) >> (7 - bit % 8) & 1) != 0)
            return false;
    }
    return true;
}

TEST(IpPrefix, contains_and_overlaps_what_counting_bits_says) {
    std::mt19937 random(2);
    for (int i = 0; i < 20'000; ++i) {
        IpPrefix both[2];
        for (IpPrefix& one : both) {
            one.address.is_ip6 = random() % 2 == 0;
            // Few values, so that prefixes meet.
            for (std::size_t k = 0; k < (one.address.is_ip6 ? 16 : 4); ++k)
                one.address.bytes[k] = static_cast<std::uint8_t>(random() % 8 == 0 ? 128 : 0);
            one.len = static_cast<std::uint8_t>(random() % (one.address.bits() + 1u));
        }
        const bool inside = contains_by_hand(both[0], both[1].address);
        EXPECT_EQ(both[0].contains(both[1].address), inside);
        const bool overlap =
            (inside && both[0].len <= both[1].len) ||
            (contains_by_hand(both[1], both[0].address) && both[1].len <= both[0].len);
        EXPECT_EQ(both[0].overlaps(both[1]), overlap) << both[0].text() << " " << both[1].text();
        EXPECT_EQ(both[1].overlaps(both[0]), overlap);
    }
}

TEST(MacAddress, reads_and_prints) {
    const auto mac = MacAddress::parse("02:00:5E:00:53:af");
    ASSERT_TRUE(mac.has_value());
    EXPECT_EQ(mac->text(), "02:00:5e:00:53:af");
    EXPECT_FALSE(mac->is_zero());
    EXPECT_TRUE(MacAddress{}.is_zero());
    for (const char* text :
         {"", "02:00:5e:00:53", "02:00:5e:00:53:af:", "02-00-5e-00-53-af", "02:00:5e:00:53:a",
          "0g:00:5e:00:53:af", "2:00:5e:00:53:af0", "+2:00:5e:00:53:af", " 2:00:5e:00:53:af"})
        EXPECT_FALSE(MacAddress::parse(text).has_value()) << text;
}

}  // namespace
}  // namespace sluice
