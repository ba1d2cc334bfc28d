// SPDX-License-Identifier: Apache-2.0
//
// The packet language and the judge, on their own: no privilege, no kernel. The frames go to a
// pcapng file that verify.py decodes afterwards, so that the language is judged by scapy.
#include <gtest/gtest.h>

#include "tests/packet/dissect.h"
#include "tests/packet/packet.h"
#include "tests/packet/pcap.h"
#include "tests/packet/report.h"

namespace sluice::packet {
namespace {

struct Sample {
    const char* name;
    Packet packet;
};

std::vector<Sample> samples() {
    const Packet v4 = ip4({.id = 7, .df = true}) / tcp() / payload(37);
    const Packet v6 = ip6({.flow = 0x12345}) / udp() / payload(41);
    const Packet routed = ip6() / hop_by_hop() / dest_opts() / routing(0, 253);
    std::vector<Sample> out = {
        {"tcp over IPv4", eth() / v4},
        {"tcp options", eth() / ip4() / tcp({.flags = kAck, .options = {2, 4, 5, 0xb4}})},
        {"udp over IPv6", eth() / v6},
        {"udp without checksum", eth() / ip4() / udp({.checksum = 0}) / payload(40)},
        {"one tag", eth() / vlan(100) / v4},
        {"two tags", eth() / vlan(5, 0x88a8) / vlan(100) / v6},
        {"IPv4 options", eth() / ip4({.options = {7, 7, 4, 0, 0, 0, 0}}) / udp() / payload(30)},
        {"extension headers", eth() / routed / tcp() / payload(9)},
        {"authentication header", eth() / ip6() / auth() / tcp() / payload(9)},
        {"echo", eth() / ip4() / echo4(1, 2) / payload(57)},
        {"echo IPv6, odd", eth() / ip6() / echo6(0xffff, 0xffff) / payload(57)},
        {"ICMP error", eth() / ip4() / icmp4({.type = 3, .code = 4, .rest = 1400}) / quote(v4, 28)},
        {"ICMPv6 error", eth() / ip6() / icmp6({.type = 2, .rest = 1400}) / quote(v6)},
        {"sctp", eth() / ip4() / sctp() / payload(20)},
        {"IPv4 in IPv4", eth() / ip4({.dst = "10.0.0.5"}) / v4},
        {"IPv6 in IPv4", eth() / ip4({.dst = "10.0.0.5"}) / v6},
        {"IPv4 in IPv6", eth() / ip6({.dst = "fd00::5"}) / v4},
        {"IPv6 in IPv6", eth() / ip6({.dst = "fd00::5"}) / v6},
        {"GRE", eth() / ip4({.dst = "10.0.0.5"}) / gre() / v6},
        {"GUE over IPv4", eth() / ip4() / udp({.dport = 6080, .checksum = 0}) / gue() / v4},
        {"GUE over IPv6", eth() / ip6() / udp({.dport = 6080}) / gue() / v6},
        {"padded", eth() / ip4() / udp() / payload(3) / pad(15)},
        {"jumbo", eth() / ip6() / udp() / payload(8000)},
    };
    const Packet big4 = eth() / vlan(9) / ip4() / udp() / payload(3000);
    const Packet big6 = eth() / ip6() / udp() / payload(3000);
    for (const Packet& part : fragments(big4, 1400)) out.push_back({"fragment", part});
    for (const Packet& part : fragments(big6, 1400)) out.push_back({"fragment IPv6", part});
    return out;
}

TEST(PacketLanguage, EveryKindOfPacketGoesToTheFileThatScapyJudges) {
    auto file = PcapWriter::open(SLUICE_DSL_PCAP);
    ASSERT_TRUE(file) << file.error().what;
    for (const Sample& sample : samples())
        file->write(sample.packet.bytes(), note_of(sample.name, sample.packet, true));
    EXPECT_TRUE(file->ok());
}

TEST(PacketLanguage, ChecksumsWorkedByHandComeOut) {
    // RFC 1071 section 3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
    EXPECT_EQ(ones_sum({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}), 0xddf2);
    EXPECT_EQ(ones_sum({0xff, 0xff, 0x00, 0x01}), 1);
    EXPECT_EQ(ones_sum({0x12}), 0x1200);
}

TEST(PacketLanguage, OverridesAreWrittenAsTheyAre) {
    const Bytes frame = (eth() / ip4({.len = 9999, .checksum = 0xbeef}) / udp({.len = 3})).bytes();
    EXPECT_EQ(frame[16], 9999 >> 8);
    EXPECT_EQ(frame[17], 9999 & 0xff);
    EXPECT_EQ(frame[24], 0xbe);
    EXPECT_EQ(frame[25], 0xef);
    EXPECT_EQ(frame[39], 3);
}

TEST(PacketLanguage, FragmentsCarryTheWholePayloadOnce) {
    const Packet whole = ip4() / udp() / payload(1000);
    const Bytes expected = whole.bytes();
    Bytes joined;
    for (const Packet& part : fragments(whole, 256)) {
        const Bytes bytes = part.bytes();
        joined.insert(joined.end(), bytes.begin() + 20, bytes.end());
    }
    EXPECT_EQ(joined, Bytes(expected.begin() + 20, expected.end()));
}

TEST(PacketJudge, GoodTunnelsPass) {
    for (const Sample& sample : samples()) {
        const Bytes frame = sample.packet.bytes();
        const bool tunnel = inner_of(frame).has_value();
        EXPECT_EQ(judge(frame, tunnel, 15), std::nullopt) << sample.name;
    }
}

TEST(PacketJudge, AnyDamagedOuterByteThatASumCoversIsSeen) {
    const Packet inner = ip4() / tcp() / payload(64);
    const std::vector<Packet> tunnels = {
        eth() / ip4({.dst = "10.0.0.5"}) / inner,
        eth() / ip4({.dst = "10.0.0.5"}) / gre() / inner,
        eth() / ip4({.dst = "10.0.0.5"}) / udp({.dport = 6080}) / gue() / inner,
        eth() / ip6({.dst = "fd00::5"}) / udp({.dport = 6080}) / gue() / inner,
    };
    for (const Packet& tunnel : tunnels) {
        const Bytes good = tunnel.bytes();
        ASSERT_EQ(judge(good, true), std::nullopt);
        const bool six = good[12] == 0x86;
        const std::size_t first = six ? 14 + 8 : 14;  // IPv6 has no sum over its first words
        for (std::size_t at = first; at < (six ? 14U + 52 : 14U + 20); ++at) {
            Bytes bad = good;
            bad[at] ^= 0x10;
            EXPECT_NE(judge(bad, true), std::nullopt) << "byte " << at;
        }
    }
}

TEST(PacketJudge, WrongLengthsAndWrongAnswersAreSeen) {
    const Packet inner = ip4() / tcp() / payload(64);
    Bytes longer = (eth() / ip4() / inner).bytes();
    longer.push_back(0);
    EXPECT_EQ(judge(longer, true), "IPv4 length 124 in 125 bytes");
    EXPECT_EQ(judge((eth() / ip4() / ip4({.len = 90}) / tcp() / payload(64)).bytes(), true),
              "inner length 90 in 104 bytes");
    EXPECT_EQ(judge((eth() / ip4() / icmp4({.type = 0, .checksum = 1})).bytes(), false),
              "ICMP sum");
    EXPECT_EQ(
        judge((eth() / ip6() / udp({.dport = 6080, .checksum = 0}) / gue() / inner).bytes(), true),
        "GUE over IPv6 without UDP checksum");
    EXPECT_EQ(judge((eth() / ip4() / gre({.flags = 0x2000, .extra = {0, 0, 0, 1}}) / inner).bytes(),
                    true),
              "GRE header");
}

TEST(PacketDiff, NamesTheFieldsThatDiffer) {
    const Bytes want = (eth() / ip4({.dst = "10.0.0.5"}) / udp() / payload(4)).bytes();
    const Bytes got = (eth() / ip4({.dst = "10.0.0.6"}) / udp() / payload(4)).bytes();
    const std::string text = diff(want, got);
    EXPECT_NE(text.find("  ip4[0].dst: wanted 10.0.0.5, came 10.0.0.6\n"), std::string::npos)
        << text;
    EXPECT_EQ(text.find("udp.sport"), std::string::npos) << text;
    EXPECT_EQ(diff(want, want), "");
}

}  // namespace
}  // namespace sluice::packet
