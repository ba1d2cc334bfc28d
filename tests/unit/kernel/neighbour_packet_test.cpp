// SPDX-License-Identifier: Apache-2.0
//
// ARP and neighbour discovery as bytes: what is written is judged by tshark, what is read must be
// sound to the last bit.
#include "kernel/neighbour_packet.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <random>

namespace sluice::kernel {
namespace {

using Bytes = std::vector<std::uint8_t>;

const MacAddress kMac = *MacAddress::parse("02:00:00:00:00:07");
const IpAddress kVip4 = *IpAddress::parse("192.0.2.10");
const IpAddress kVip6 = *IpAddress::parse("2001:db8::a:b:c10");
const IpAddress kSource6 = *IpAddress::parse("fe80::7");

void put32(std::ofstream& out, std::uint32_t value) {
    out.write(reinterpret_cast<const char*>(&value), sizeof value);
}

/// What tshark says of frames: a line each, fields between bars.
std::string judged(const std::vector<Bytes>& frames, const std::string& fields) {
    const std::string file = testing::TempDir() + "neighbours.pcap";
    {
        std::ofstream out(file, std::ios::binary);
        for (const std::uint32_t word : {0xa1b2c3d4u, 0x00040002u, 0u, 0u, 65535u, 1u})
            put32(out, word);
        for (const Bytes& frame : frames) {
            const auto size = static_cast<std::uint32_t>(frame.size());
            for (const std::uint32_t word : {0u, 0u, size, size}) put32(out, word);
            out.write(reinterpret_cast<const char*>(frame.data()),
                      static_cast<std::streamsize>(frame.size()));
        }
    }
    const std::string command =
        "tshark -n -r " + file + " -T fields -E separator=/s " + fields + " 2>/dev/null";
    std::string out;
    FILE* pipe = ::popen(command.c_str(), "r");  // NOLINT(bugprone-command-processor): a test's own
    char line[512];
    while (pipe != nullptr && std::fgets(line, sizeof line, pipe) != nullptr) out += line;
    if (pipe != nullptr) ::pclose(pipe);
    std::remove(file.c_str());
    return out;
}

bool has_tshark() {
    return std::system("command -v tshark >/dev/null 2>&1") ==
           0;  // NOLINT(bugprone-command-processor)
}

constexpr const char* kArpFields =
    "-e eth.dst -e eth.src -e arp.opcode -e arp.src.hw_mac -e arp.src.proto_ipv4 "
    "-e arp.dst.hw_mac -e arp.dst.proto_ipv4 -e _ws.malformed";
constexpr const char* kDiscoveryFields =
    "-e eth.dst -e eth.src -e ipv6.src -e ipv6.dst -e ipv6.hlim -e icmpv6.type "
    "-e icmpv6.checksum.status -e icmpv6.nd.na.flag.s -e icmpv6.nd.na.flag.o "
    "-e icmpv6.nd.ns.target_address -e icmpv6.nd.na.target_address -e icmpv6.opt.linkaddr";

TEST(NeighbourPacket, tshark_reads_what_was_meant) {
    if (!has_tshark()) GTEST_SKIP() << "no tshark";
    EXPECT_EQ(judged({arp_probe(kMac, kVip4)}, kArpFields),
              "ff:ff:ff:ff:ff:ff 02:00:00:00:00:07 1 02:00:00:00:00:07 0.0.0.0 00:00:00:00:00:00 "
              "192.0.2.10 \n");
    EXPECT_EQ(judged(announcements(kMac, kVip4), kArpFields),
              "ff:ff:ff:ff:ff:ff 02:00:00:00:00:07 1 02:00:00:00:00:07 192.0.2.10 "
              "00:00:00:00:00:00 192.0.2.10 \n"
              "ff:ff:ff:ff:ff:ff 02:00:00:00:00:07 2 02:00:00:00:00:07 192.0.2.10 "
              "ff:ff:ff:ff:ff:ff 192.0.2.10 \n");
    EXPECT_EQ(judged({neighbour_solicitation(kMac, kSource6, kVip6)}, kDiscoveryFields),
              "33:33:ff:0b:0c:10 02:00:00:00:00:07 fe80::7 ff02::1:ff0b:c10 255 135 1   "
              "2001:db8::a:b:c10  02:00:00:00:00:07\n");
    EXPECT_EQ(judged(announcements(kMac, kVip6), kDiscoveryFields),
              "33:33:00:00:00:01 02:00:00:00:00:07 2001:db8::a:b:c10 ff02::1 255 136 1 0 1  "
              "2001:db8::a:b:c10 02:00:00:00:00:07\n");
}

TEST(NeighbourPacket, announcements_are_claims_and_questions_are_none) {
    using Kind = NeighbourClaim::Kind;
    const auto four = announcements(kMac, kVip4);
    ASSERT_EQ(four.size(), 2u);
    EXPECT_EQ(claim_of(four[0]), (NeighbourClaim{Kind::arp_request, kVip4, kMac}));
    EXPECT_EQ(claim_of(four[1]), (NeighbourClaim{Kind::arp_reply, kVip4, kMac}));
    const auto six = announcements(kMac, kVip6);
    ASSERT_EQ(six.size(), 1u);
    EXPECT_EQ(claim_of(six[0]), (NeighbourClaim{Kind::advertisement, kVip6, kMac}));
    EXPECT_EQ(claim_of(arp_probe(kMac, kVip4)), std::nullopt);
    EXPECT_EQ(claim_of(neighbour_solicitation(kMac, kSource6, kVip6)), std::nullopt);
}

/// A byte changed, or `size` bytes left of a frame.
struct Damage {
    const char* name;
    std::size_t at;
    std::uint8_t value;
    std::size_t size = 0;
};

TEST(NeighbourPacket, malformed_arp_is_no_claim) {
    const Bytes good = announcements(kMac, kVip4)[1];
    for (const Damage& damage : {Damage{"no ethernet", 15, 2},
                                 {"no ipv4", 16, 9},
                                 {"long link address", 18, 8},
                                 {"long address", 19, 16},
                                 {"reverse arp", 21, 3},
                                 {"no operation", 21, 0},
                                 {"cut", 0, 0xff, 41},
                                 {"cut in ethernet", 0, 0xff, 13}}) {
        Bytes frame = good;
        frame[damage.at] = damage.value;
        if (damage.size != 0) frame.resize(damage.size);
        EXPECT_EQ(claim_of(frame), std::nullopt) << damage.name;
    }
    Bytes padded = good;
    padded.resize(60);
    EXPECT_NE(claim_of(padded), std::nullopt);
}

TEST(NeighbourPacket, advertisement_with_any_bit_of_it_turned_is_no_claim) {
    const Bytes good = announcements(kMac, kVip6)[0];
    for (std::size_t at = 12; at < good.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            // Class, flow label: no sum covers them, and they say nothing.
            if (at == 14 ? bit < 4 : at >= 15 && at <= 17) continue;
            Bytes frame = good;
            frame[at] ^= static_cast<std::uint8_t>(1 << bit);
            EXPECT_EQ(claim_of(frame), std::nullopt) << at << " " << bit;
        }
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_EQ(claim_of(std::span(good).first(size)), std::nullopt) << size;
}

/// RFC 4861 4.6: an option of length 0 ends it all. The sum is made right again.
TEST(NeighbourPacket, advertisement_with_an_endless_option_is_no_claim) {
    Bytes frame = announcements(kMac, kVip6)[0];
    ASSERT_EQ(frame[79], 1);
    frame[79] = 0;
    const unsigned sum = (frame[56] << 8 | frame[57]) + 1u;
    frame[56] = static_cast<std::uint8_t>((sum + (sum >> 16)) >> 8);
    frame[57] = static_cast<std::uint8_t>(sum + (sum >> 16));
    EXPECT_EQ(claim_of(frame), std::nullopt);
    // The same with an option of another type instead: a claim by who sent it.
    frame[79] = 1;
    frame[78] = 14;
    const unsigned other = (frame[56] << 8 | frame[57]) - 1u - (12u << 8) + 0x20000u;
    const unsigned folded = (other & 0xffff) + (other >> 16) - 2;
    frame[56] = static_cast<std::uint8_t>(folded >> 8);
    frame[57] = static_cast<std::uint8_t>(folded);
    const auto claim = claim_of(frame);
    ASSERT_TRUE(claim);
    EXPECT_EQ(claim->mac, kMac);
}

TEST(NeighbourPacket, noise_is_read_without_harm) {
    std::mt19937 random(7);
    for (int i = 0; i < 200'000; ++i) {
        Bytes frame = i % 2 == 0 ? announcements(kMac, kVip6)[0] : announcements(kMac, kVip4)[1];
        frame.resize(random() % 130);
        for (int turn = 0; turn < 3 && !frame.empty(); ++turn)
            frame[random() % frame.size()] = static_cast<std::uint8_t>(random());
        const auto claim = claim_of(frame);
        if (claim) {
            EXPECT_FALSE(claim->address.is_unspecified());
        }
    }
}

}  // namespace
}  // namespace sluice::kernel
