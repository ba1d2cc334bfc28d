// SPDX-License-Identifier: Apache-2.0
//
// What ICMP errors quote, byte by byte: whose, cut anywhere, with any bit changed.
#include "health/icmp_errors.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace sluice::health {
namespace {

using Kind = QuotedTunnel::Kind;

constexpr std::uint16_t kGuePort = 6080;

void put16(std::string& out, unsigned value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value & 0xff);
}

std::uint16_t sum_of(const std::string& bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]))
               << (i % 2 == 0 ? 8 : 0);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

/// What follows an outer IP header: the beginning of UDP, of GRE or of an inner packet.
std::string rest(unsigned port = kGuePort) {
    std::string out;
    put16(out, 49152);
    put16(out, port);
    put16(out, 60);
    put16(out, 0);
    return out;
}

/// From 10.9.0.1 to 10.9.0.2.
std::string ip4(unsigned protocol, std::string behind = rest(), unsigned fragment = 0x4000,
                unsigned words = 5) {
    std::string out;
    out += static_cast<char>(0x40 | words);
    out += '\0';
    put16(out, 200);
    put16(out, 0);
    put16(out, fragment);
    out += '\x40';
    out += static_cast<char>(protocol);
    put16(out, 0);
    out += std::string("\x0a\x09\0\x01\x0a\x09\0\x02", 8);
    for (unsigned i = 5; i < words; ++i) out += std::string(4, '\x01');
    return out + behind;
}

/// From fd09::1 to fd09::2.
std::string ip6(unsigned next, std::string behind = rest()) {
    std::string out("\x60\0\0\0\0\x50", 6);
    out += static_cast<char>(next);
    out += '\x40';
    for (const char last : {'\x01', '\x02'})
        out += std::string("\xfd\x09", 2) + std::string(13, '\0') + last;
    return out + behind;
}

std::string icmp(unsigned type, unsigned code, const std::string& quote) {
    std::string out;
    out += static_cast<char>(type);
    out += static_cast<char>(code);
    put16(out, 0);
    out += std::string(4, '\0') + quote;
    const std::uint16_t sum = sum_of(out);
    out[2] = static_cast<char>(sum >> 8);
    out[3] = static_cast<char>(sum & 0xff);
    return out;
}

struct Row {
    const char* name;
    bool is_ip6;
    std::string message;
    Kind want;
};

std::vector<Row> rows() {
    return {
        {"host unreachable, IPv4 in IPv4", false, icmp(3, 1, ip4(4)), Kind::tunnel},
        {"net unreachable, IPv6 in IPv4", false, icmp(3, 0, ip4(41)), Kind::tunnel},
        {"protocol unreachable, GRE", false, icmp(3, 2, ip4(47)), Kind::tunnel},
        {"port unreachable, GUE", false, icmp(3, 3, ip4(17)), Kind::tunnel},
        {"prohibited", false, icmp(3, 13, ip4(4)), Kind::tunnel},
        {"time exceeded", false, icmp(11, 0, ip4(4)), Kind::tunnel},
        {"nothing but the outer header", false, icmp(3, 1, ip4(4, "")), Kind::tunnel},
        {"eight bytes behind it, as RFC 792 has it", false, icmp(3, 1, ip4(47)), Kind::tunnel},
        {"options in the outer header", false, icmp(3, 3, ip4(17, rest(), 0x4000, 7)),
         Kind::tunnel},
        {"a first fragment", false, icmp(11, 1, ip4(4, rest(), 0x2000)), Kind::tunnel},
        {"four bytes of UDP", false, icmp(3, 3, ip4(17, rest().substr(0, 4))), Kind::tunnel},
        {"fragmentation needed", false, icmp(3, 4, ip4(4)), Kind::other},
        {"parameter problem", false, icmp(12, 0, ip4(4)), Kind::other},
        {"redirect", false, icmp(5, 1, ip4(4)), Kind::other},
        {"echo reply", false, icmp(0, 0, ip4(4)), Kind::other},
        {"TCP", false, icmp(3, 1, ip4(6)), Kind::other},
        {"a ping", false, icmp(3, 1, ip4(1)), Kind::other},
        {"UDP to another port", false, icmp(3, 3, ip4(17, rest(53))), Kind::other},
        {"three bytes of UDP", false, icmp(3, 3, ip4(17, rest().substr(0, 3))), Kind::malformed},
        {"a later fragment", false, icmp(11, 1, ip4(4, rest(), 0x2001)), Kind::malformed},
        {"a header of four words", false, icmp(3, 1, ip4(4, rest(), 0, 4)), Kind::malformed},
        {"a header longer than the quote", false, icmp(3, 1, "\x4f" + ip4(4, "").substr(1)),
         Kind::malformed},
        {"IPv6 quoted in ICMP", false, icmp(3, 1, ip6(4)), Kind::malformed},
        {"no quote", false, icmp(3, 1, ""), Kind::malformed},
        {"no message", false, "", Kind::malformed},
        {"address unreachable, IPv4 in IPv6", true, icmp(1, 3, ip6(4)), Kind::tunnel},
        {"no route, IPv6 in IPv6", true, icmp(1, 0, ip6(41)), Kind::tunnel},
        {"GRE over IPv6", true, icmp(1, 3, ip6(47)), Kind::tunnel},
        {"port unreachable, GUE over IPv6", true, icmp(1, 4, ip6(17)), Kind::tunnel},
        {"hop limit exceeded", true, icmp(3, 0, ip6(4)), Kind::tunnel},
        {"unknown next header", true, icmp(4, 1, ip6(4)), Kind::tunnel},
        {"packet too big", true, icmp(2, 0, ip6(4)), Kind::other},
        {"another parameter problem", true, icmp(4, 0, ip6(4)), Kind::other},
        {"TCP over IPv6", true, icmp(1, 3, ip6(6)), Kind::other},
        {"an extension header", true, icmp(1, 3, ip6(60)), Kind::other},
        {"UDP over IPv6 to another port", true, icmp(1, 4, ip6(17, rest(53))), Kind::other},
        {"UDP over IPv6, cut", true, icmp(1, 4, ip6(17, "abc")), Kind::malformed},
        {"IPv4 quoted in ICMPv6", true, icmp(1, 3, ip4(4)), Kind::malformed},
        {"IPv6 header cut", true, icmp(1, 3, ip6(4, "").substr(0, 39)), Kind::malformed},
    };
}

TEST(IcmpErrors, quoted_outer_headers_name_the_backend) {
    for (const Row& row : rows()) {
        const QuotedTunnel got = quoted_tunnel(row.message, row.is_ip6, kGuePort);
        EXPECT_EQ(static_cast<int>(got.kind), static_cast<int>(row.want)) << row.name;
        if (got.kind == Kind::tunnel) {
            EXPECT_EQ(got.to.text(), row.is_ip6 ? "fd09::2" : "10.9.0.2") << row.name;
        }
    }
}

TEST(IcmpErrors, an_ip4_message_with_a_wrong_sum_is_malformed) {
    const std::string good = icmp(3, 1, ip4(4));
    for (std::size_t at = 0; at < good.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            std::string bad = good;
            bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
            const QuotedTunnel got = quoted_tunnel(bad, false, kGuePort);
            EXPECT_NE(static_cast<int>(got.kind), static_cast<int>(Kind::tunnel))
                << "byte " << at << " bit " << bit;
        }
}

/// Copied to memory of its very size, so that the sanitizers see every byte read beyond it.
QuotedTunnel read_exactly(const std::string& message, bool is_ip6) {
    const std::vector<char> exact(message.begin(), message.end());
    return quoted_tunnel({exact.data(), exact.size()}, is_ip6, kGuePort);
}

TEST(IcmpErrors, whatever_is_cut_or_changed_is_read_within_its_bounds) {
    std::mt19937 random(1);
    int tunnels = 0;
    for (const Row& row : rows()) {
        for (std::size_t size = 0; size <= row.message.size(); ++size)
            (void)read_exactly(row.message.substr(0, size), row.is_ip6);
        for (int i = 0; i < 2000 && !row.message.empty(); ++i) {
            std::string message = row.message.substr(0, random() % (row.message.size() + 1));
            for (unsigned changes = random() % 4; changes > 0 && !message.empty(); --changes)
                message[random() % message.size()] = static_cast<char>(random());
            if (!row.is_ip6 && message.size() >= 4) {
                message[2] = message[3] = '\0';
                const std::uint16_t sum = sum_of(message);
                message[2] = static_cast<char>(sum >> 8);
                message[3] = static_cast<char>(sum & 0xff);
            }
            const QuotedTunnel got = read_exactly(message, row.is_ip6);
            if (got.kind != Kind::tunnel) continue;
            ++tunnels;
            EXPECT_EQ(got.to.is_ip6, row.is_ip6);
            EXPECT_GE(message.size(), row.is_ip6 ? 48u : 28u);
        }
    }
    EXPECT_GT(tunnels, 1000) << "the changes must leave something to be found";
}

}  // namespace
}  // namespace sluice::health
