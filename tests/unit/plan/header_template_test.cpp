// SPDX-License-Identifier: Apache-2.0
//
// Outer headers against bytes spelled out by hand, and complete packets, finished as the data plane
// finishes them, against checksums computed over the whole packet by other code than the one that
// made the partial sums.
#include "plan/header_template.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace sluice::plan {
namespace {

using Bytes = std::vector<std::uint8_t>;
using config::Forward;

std::string to_hex(const std::uint8_t* data, std::size_t len) {
    static const char* const kDigits = "0123456789abcdef";
    std::string out;
    for (std::size_t i = 0; i < len; ++i) {
        out += kDigits[data[i] >> 4];
        out += kDigits[data[i] & 15];
    }
    return out;
}

std::string without_blanks(std::string text) {
    std::erase(text, ' ');
    return text;
}

/// RFC 1071 over big-endian words, byte by byte: shares nothing with the code under test, which
/// adds words as the machine loads them.
std::uint16_t rfc1071(const Bytes& data) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < data.size(); ++i)
        sum += i % 2 == 0 ? std::uint32_t{data[i]} << 8 : data[i];
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

NextHop hop_with(int vlans) {
    NextHop hop;
    hop.state = HopState::resolved;
    hop.ifindex = 7;
    hop.interface = "eth0";
    if (vlans == 1) hop.vlans = {{100, 0x8100}};
    if (vlans == 2) hop.vlans = {{4094, 0x88a8}, {5, 0x8100}};
    hop.source = *MacAddress::parse("02:00:00:00:00:01");
    hop.destination = *MacAddress::parse("02:00:00:00:00:02");
    hop.mtu = 1500;
    return hop;
}

TunnelSources sources() {
    return {IpPrefix::parse("10.255.0.0/24"), IpPrefix::parse("fd00:ff::/64"), 6080};
}

IpAddress address(const char* text) {
    return *IpAddress::parse(text);
}

struct Case {
    const char* name;
    Forward forward;
    bool inner_is_ip6;
    const char* backend;
    const char* ether_type;
    const char* behind_l2;  ///< Outer IP and tunnel header, hex.
};

/// Source 10.255.0.0 to 192.0.2.5, or fd00:ff:: to 2001:db8::5; all that is patched is zero.
const Case kCases[] = {
    {"ip4_in_ip4", Forward::ipip, false, "192.0.2.5", "0800",
     "45000000 00004000 40040000 0aff0000 c0000205"},
    {"ip6_in_ip4", Forward::ipip, true, "192.0.2.5", "0800",
     "45000000 00004000 40290000 0aff0000 c0000205"},
    {"ip4_in_ip6", Forward::ipip, false, "2001:db8::5", "86dd",
     "60000000 00000440 fd0000ff000000000000000000000000 20010db8000000000000000000000005"},
    {"ip6_in_ip6", Forward::ipip, true, "2001:db8::5", "86dd",
     "60000000 00002940 fd0000ff000000000000000000000000 20010db8000000000000000000000005"},
    {"gre_ip4_over_ip4", Forward::gre, false, "192.0.2.5", "0800",
     "45000000 00004000 402f0000 0aff0000 c0000205 00000800"},
    {"gre_ip6_over_ip4", Forward::gre, true, "192.0.2.5", "0800",
     "45000000 00004000 402f0000 0aff0000 c0000205 000086dd"},
    {"gre_ip4_over_ip6", Forward::gre, false, "2001:db8::5", "86dd",
     "60000000 00002f40 fd0000ff000000000000000000000000 20010db8000000000000000000000005"
     "00000800"},
    {"gre_ip6_over_ip6", Forward::gre, true, "2001:db8::5", "86dd",
     "60000000 00002f40 fd0000ff000000000000000000000000 20010db8000000000000000000000005"
     "000086dd"},
    {"gue_ip4_over_ip4", Forward::gue, false, "192.0.2.5", "0800",
     "45000000 00004000 40110000 0aff0000 c0000205 000017c0 00000000 00040000"},
    {"gue_ip6_over_ip4", Forward::gue, true, "192.0.2.5", "0800",
     "45000000 00004000 40110000 0aff0000 c0000205 000017c0 00000000 00290000"},
    {"gue_ip4_over_ip6", Forward::gue, false, "2001:db8::5", "86dd",
     "60000000 00001140 fd0000ff000000000000000000000000 20010db8000000000000000000000005"
     "000017c0 00000000 00040000"},
    {"gue_ip6_over_ip6", Forward::gue, true, "2001:db8::5", "86dd",
     "60000000 00001140 fd0000ff000000000000000000000000 20010db8000000000000000000000005"
     "000017c0 00000000 00290000"},
    {"l2_ip4_by_ip4_neighbour", Forward::l2, false, "192.0.2.5", "0800", ""},
    {"l2_ip6_by_ip4_neighbour", Forward::l2, true, "192.0.2.5", "86dd", ""},
    {"l2_ip4_by_ip6_neighbour", Forward::l2, false, "2001:db8::5", "0800", ""},
    {"l2_ip6_by_ip6_neighbour", Forward::l2, true, "2001:db8::5", "86dd", ""},
};

const char* const kTags[] = {"", "81000064", "88a80ffe 81000005"};

class EveryHeader : public testing::TestWithParam<std::tuple<Case, int>> {
 protected:
    slc_template build() {
        const auto& [c, vlans] = GetParam();
        auto out = build_template(c.forward, c.inner_is_ip6, address(c.backend), hop_with(vlans),
                                  sources());
        EXPECT_TRUE(out) << out.error().what;
        return out ? *out : slc_template{};
    }
};

TEST_P(EveryHeader, has_exactly_these_bytes) {
    const auto& [c, vlans] = GetParam();
    const slc_template out = build();
    const std::string want = without_blanks(std::string("020000000002 020000000001") +
                                            kTags[vlans] + c.ether_type + c.behind_l2);
    EXPECT_EQ(to_hex(out.hdr, out.len), want);
    EXPECT_EQ(out.l2_len, 14 + 4 * vlans);
    EXPECT_EQ(out.ifindex, 7u);
    EXPECT_EQ(out.mtu, 1500);
    const bool is_ip6 = c.forward != Forward::l2 && address(c.backend).is_ip6;
    const int flags = (c.forward == Forward::l2 ? SLC_TEMPLATE_L2 : 0) |
                      (is_ip6 ? SLC_TEMPLATE_IP6 : 0) |
                      (c.forward == Forward::gue ? SLC_TEMPLATE_UDP : 0);
    EXPECT_EQ(out.flags, flags);
    for (std::size_t i = out.len; i < sizeof out.hdr; ++i) EXPECT_EQ(out.hdr[i], 0) << i;
    for (const auto byte : out.zero) EXPECT_EQ(byte, 0);
}

std::uint16_t load16(const Bytes& data, std::size_t at) {
    std::uint16_t word;
    std::memcpy(&word, data.data() + at, sizeof word);
    return word;
}

void store16(Bytes& data, std::size_t at, std::uint16_t word) {
    std::memcpy(data.data() + at, &word, sizeof word);
}

std::uint16_t to_be(std::size_t value) {
    return __builtin_bswap16(static_cast<std::uint16_t>(value));
}

std::uint16_t fold(std::uint64_t sum) {
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

/// What the data plane does to an IPv4 header: only differences to the partial sum are added.
void finish_ip4(const slc_template& from, Bytes& packet, std::uint32_t entropy_be,
                std::uint8_t tos) {
    const std::size_t ip = from.l2_len;
    packet[ip + 1] = tos;
    store16(packet, ip + 2, to_be(packet.size() - ip));
    std::uint32_t source;
    std::memcpy(&source, packet.data() + ip + 12, sizeof source);
    source |= entropy_be;
    std::memcpy(packet.data() + ip + 12, &source, sizeof source);
    const std::uint64_t sum = std::uint64_t{from.ip_sum} + load16(packet, ip + 2) +
                              (std::uint64_t{tos} << 8) + (entropy_be & 0xffff) +
                              (entropy_be >> 16);
    store16(packet, ip + 10, fold(sum));
}

void finish_ip6(const slc_template& from, Bytes& packet, std::uint64_t entropy_be) {
    const std::size_t ip = from.l2_len;
    const std::size_t udp = ip + 40;
    store16(packet, ip + 4, to_be(packet.size() - udp));
    std::uint64_t source;
    std::memcpy(&source, packet.data() + ip + 16, sizeof source);
    source |= entropy_be;
    std::memcpy(packet.data() + ip + 16, &source, sizeof source);
    if ((from.flags & SLC_TEMPLATE_UDP) == 0) return;
    const std::uint16_t source_port = 0xbeef;
    const std::uint16_t length = to_be(packet.size() - udp);
    store16(packet, udp, source_port);
    store16(packet, udp + 4, length);
    std::uint64_t sum = std::uint64_t{from.udp_sum} + source_port + 2u * length;
    for (int shift = 0; shift < 64; shift += 16) sum += (entropy_be >> shift) & 0xffff;
    for (std::size_t i = from.len; i < packet.size(); i += 2) sum += load16(packet, i);
    store16(packet, udp + 6, fold(sum));
}

TEST_P(EveryHeader, finishes_into_a_packet_whose_checksums_hold) {
    const slc_template from = build();
    if ((from.flags & SLC_TEMPLATE_L2) != 0) {
        EXPECT_EQ(from.ip_sum, 0u);
        EXPECT_EQ(from.udp_sum, 0u);
        return;
    }
    Bytes packet(from.hdr, from.hdr + from.len);
    for (int i = 0; i < 1300; ++i) packet.push_back(static_cast<std::uint8_t>(i * 37 + 11));
    const std::size_t ip = from.l2_len;
    if ((from.flags & SLC_TEMPLATE_IP6) == 0) {
        finish_ip4(from, packet, entropy_mask4_be(sources()) & 0x5a5a5a5a, 0xb8);
        EXPECT_EQ(rfc1071(Bytes(packet.begin() + ip, packet.begin() + ip + 20)), 0);
        EXPECT_EQ(to_hex(packet.data() + ip + 12, 4), "0aff005a");
        EXPECT_EQ(from.udp_sum, 0u);
        return;
    }
    finish_ip6(from, packet, entropy_mask6_be(sources()) & 0x1122334455667788);
    EXPECT_EQ(to_hex(packet.data() + ip + 8, 16), "fd0000ff000000008877665544332211");
    EXPECT_EQ(from.ip_sum, 0u);
    if ((from.flags & SLC_TEMPLATE_UDP) == 0) {
        EXPECT_EQ(from.udp_sum, 0u);
        return;
    }
    Bytes covered(packet.begin() + ip + 8, packet.begin() + ip + 40);  // Both addresses.
    const std::size_t udp_len = packet.size() - ip - 40;
    const Bytes tail = {0,
                        0,
                        static_cast<std::uint8_t>(udp_len >> 8),
                        static_cast<std::uint8_t>(udp_len & 0xff),
                        0,
                        0,
                        0,
                        17};
    covered.insert(covered.end(), tail.begin(), tail.end());
    covered.insert(covered.end(), packet.begin() + ip + 40, packet.end());
    EXPECT_EQ(rfc1071(covered), 0);
}

INSTANTIATE_TEST_SUITE_P(Template, EveryHeader,
                         testing::Combine(testing::ValuesIn(kCases), testing::Values(0, 1, 2)),
                         [](const auto& test) {
                             return std::string(std::get<0>(test.param).name) + "_vlans_" +
                                    std::to_string(std::get<1>(test.param));
                         });

TEST(HeaderTemplate, udp_port_of_gue_is_the_configured_one) {
    TunnelSources with = sources();
    with.gue_port = 0x1234;
    const auto out = build_template(Forward::gue, false, address("192.0.2.5"), hop_with(0), with);
    ASSERT_TRUE(out);
    EXPECT_EQ(to_hex(out->hdr + 34, 4), "00001234");
}

TEST(HeaderTemplate, without_a_prefix_the_hop_source_is_used_whole) {
    NextHop hop = hop_with(0);
    hop.preferred_source = address("10.0.0.77");
    const auto ip4 = build_template(Forward::ipip, false, address("192.0.2.5"), hop, {});
    ASSERT_TRUE(ip4);
    EXPECT_EQ(to_hex(ip4->hdr + 26, 4), "0a00004d");
    EXPECT_EQ(entropy_mask4_be({}), 0u);

    hop.preferred_source = address("2001:db8::77");
    const auto ip6 = build_template(Forward::ipip, false, address("2001:db8::5"), hop, {});
    ASSERT_TRUE(ip6);
    EXPECT_EQ(to_hex(ip6->hdr + 22, 16), "20010db8000000000000000000000077");
    EXPECT_EQ(entropy_mask6_be({}), 0u);
}

TEST(HeaderTemplate, without_any_source_no_malformed_packet_is_made) {
    const auto out = build_template(Forward::ipip, false, address("192.0.2.5"), hop_with(0), {});
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Errc::unsupported);
    EXPECT_EQ(out.error().what, "build header: no IPv4 source address for tunnels to 192.0.2.5");
    EXPECT_EQ(out.error().hint, "set node.tunnel_source.ipv4, or give eth0 an address");
}

TEST(HeaderTemplate, a_source_of_the_other_family_is_no_source) {
    NextHop hop = hop_with(0);
    hop.preferred_source = address("10.0.0.77");
    const auto out = build_template(Forward::gre, true, address("2001:db8::5"), hop, {});
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().what, "build header: no IPv6 source address for tunnels to 2001:db8::5");
}

TEST(HeaderTemplate, l2_through_a_gateway_is_refused) {
    NextHop hop = hop_with(0);
    hop.via_gateway = true;
    const auto out = build_template(Forward::l2, false, address("192.0.2.5"), hop, sources());
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Errc::unsupported);
    EXPECT_EQ(out.error().what,
              "build header: l2 forwarding to 192.0.2.5, which is behind a gateway");
}

TEST(HeaderTemplate, tunnels_through_a_gateway_are_built) {
    NextHop hop = hop_with(0);
    hop.via_gateway = true;
    EXPECT_TRUE(build_template(Forward::gue, false, address("192.0.2.5"), hop, sources()));
}

TEST(HeaderTemplate, an_unresolved_hop_local_delivery_and_three_tags_are_bugs) {
    NextHop hop = hop_with(0);
    hop.state = HopState::link_down;
    auto out = build_template(Forward::ipip, false, address("192.0.2.5"), hop, sources());
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().what,
              "build header: header template for 192.0.2.5 whose next hop is link_down");
    out = build_template(Forward::local, false, address("192.0.2.5"), hop_with(0), sources());
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Errc::internal);
    hop = hop_with(2);
    hop.vlans.push_back({7, 0x8100});
    out = build_template(Forward::ipip, false, address("192.0.2.5"), hop, sources());
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Errc::internal);
}

TEST(HeaderTemplate, entropy_masks_are_the_host_bits) {
    struct {
        const char* prefix;
        const char* mask;
    } const cases[] = {{"10.0.0.0/8", "00ffffff"},         {"10.255.0.0/24", "000000ff"},
                       {"10.255.0.0/31", "00000001"},      {"10.255.0.1/32", "00000000"},
                       {"fd00::/48", "ffffffffffffffff"},  {"fd00::/64", "ffffffffffffffff"},
                       {"fd00::/100", "000000000fffffff"}, {"fd00::1/128", "0000000000000000"}};
    for (const auto& c : cases) {
        const IpPrefix prefix = *IpPrefix::parse(c.prefix);
        TunnelSources with;
        (prefix.address.is_ip6 ? with.ip6 : with.ip4) = prefix;
        std::uint8_t raw[8];
        const std::uint64_t mask6 = entropy_mask6_be(with);
        const std::uint32_t mask4 = entropy_mask4_be(with);
        std::memcpy(raw, &mask6, 8);
        if (!prefix.address.is_ip6) std::memcpy(raw, &mask4, 4);
        EXPECT_EQ(to_hex(raw, prefix.address.is_ip6 ? 8 : 4), c.mask) << c.prefix;
    }
}

TEST(HeaderTemplate, states_have_their_words) {
    EXPECT_STREQ(name_of(HopState::resolved), "resolved");
    EXPECT_STREQ(name_of(HopState::local), "local");
    EXPECT_STREQ(name_of(HopState::no_route), "no_route");
    EXPECT_STREQ(name_of(HopState::unresolved), "unresolved");
    EXPECT_STREQ(name_of(HopState::link_down), "link_down");
}

}  // namespace
}  // namespace sluice::plan
