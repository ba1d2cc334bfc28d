// SPDX-License-Identifier: Apache-2.0
// Packets as people write them: built right, told back, and refused with the word that is wrong.
#include "packet/notation.h"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <sstream>

#include "api/tuple.h"
#include "base/file.h"
#include "sluice/limits.h"
#include "tests/packet/dissect.h"
#include "tests/packet/pcap.h"
#include "tests/unit/packet/cases.h"

namespace sluice::packet {
namespace {

using Frame = std::vector<std::uint8_t>;

Frame built(std::string_view notation) {
    auto frame = build(notation);
    EXPECT_TRUE(frame) << notation << ": " << (frame ? "" : frame.error().what);
    return frame ? *frame : Frame{};
}

std::string fault(std::string_view notation) {
    const auto frame = build(notation);
    return frame ? "built" : frame.error().what;
}

void expect_told_back(const char* notation) {
    const Frame frame = built(notation);
    const std::string told = describe(frame);
    const auto again = build(told);
    ASSERT_TRUE(again) << notation << "\n  told as " << told << "\n  " << again.error().what;
    EXPECT_EQ(hexdump(*again), hexdump(frame)) << notation << "\n  told as " << told;
    EXPECT_EQ(describe(*again), told);
}

TEST(Notation, tells_a_right_packet_so_that_the_same_one_is_built_of_it) {
    for (const char* notation : kRightPackets) expect_told_back(notation);
}

TEST(Notation, tells_an_odd_packet_so_that_the_same_one_is_built_of_it) {
    for (const char* notation : kOddPackets) expect_told_back(notation);
}

TEST(Notation, leaves_right_packets_for_verify_py) {
    auto out = PcapWriter::open(SLUICE_NOTATION_PCAP);
    ASSERT_TRUE(out) << out.error().what;
    for (const char* notation : kRightPackets) {
        // Another ICMPv6 type is another layer to scapy: it must know which one is meant.
        const std::string_view text = notation;
        const std::string vlan = text.find("vlan") == std::string_view::npos ? "" : "vlan,";
        const std::string layers = "; layers=eth," + vlan + "ip6,icmp6";
        out->write(built(notation), std::string(text) + (text.starts_with("icmp6") ? layers : ""));
    }
    EXPECT_TRUE(out->ok());
}

TEST(Notation, is_told_in_the_words_that_people_use) {
    const std::pair<const char*, const char*> kTold[] = {
        {"tcp 198.51.100.7:1234 > 192.0.2.10:443 syn",
         "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn"},
        {"tcp 198.51.100.7:1234 > 192.0.2.10:443", "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 ack syn server_id=7 len=3 df vlan=10,20",
         "tcp 1.0.0.1:1 > 1.0.0.2:2 syn+ack server_id=7 len=3 df vlan=10,20"},
        {"udp [2001:db8::1]:1 > [2001:db8::2]:53 frag=0+ id=9 data=aabb",
         "udp [2001:db8::1]:1 > [2001:db8::2]:53 data=aabb len=8 frag=0+ id=9"},
        {"icmp 1.0.0.1 > 1.0.0.2 frag-needed mtu=1400 quote=28 of "
         "(tcp 1.0.0.2:443 > 1.0.0.3:9 syn)",
         "icmp 1.0.0.1 > 1.0.0.2 frag-needed mtu=1400 quote=28 of "
         "( tcp 1.0.0.2:443 > 1.0.0.3:9 )"},
        {"gue 10.0.0.1 > 10.0.0.2 vlan=3 { udp 1.0.0.1:1 > 1.0.0.2:2 }",
         "gue 10.0.0.1 > 10.0.0.2 vlan=3 { udp 1.0.0.1:1 > 1.0.0.2:2 }"},
        {"ether 0x0806 len=28", "ether 0x0806 len=28"},
        {"icmp6 fe80::1 > ff02::1 neighbour-solicitation",
         "icmp6 fe80::1 > ff02::1 neighbour-solicitation"},
    };
    for (const auto& [notation, told] : kTold) EXPECT_EQ(describe(built(notation)), told);
}

TEST(Notation, builds_every_byte_as_the_standards_have_it) {
    // RFC 791, RFC 9293; sums worked out by scapy.
    EXPECT_EQ(hexdump(built("tcp 198.51.100.7:1234 > 192.0.2.10:443 syn vlan=10 ttl=9 dscp=46 df")),
              hexdump(built("hex:0200000000010200000000c18100000a080045b8002800014000090684d2"
                            "c6336407c000020a04d201bb000003e8000000005002faf0be370000")));
}

TEST(Notation, does_not_tell_what_decides_nothing) {
    Frame frame = built("tcp 198.51.100.7:1234 > 192.0.2.10:443 ack len=1400");
    for (std::size_t i = 54; i < frame.size(); ++i) frame[i] = static_cast<std::uint8_t>(i * 7);
    EXPECT_EQ(describe(frame), "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack len=1400");
    frame.resize(frame.size() + 9);  // Ethernet's padding
    EXPECT_EQ(describe(frame), "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack len=1400");
}

TEST(Notation, tells_the_beginning_of_a_datagram_for_the_connection_id_in_it) {
    const Frame frame = built("udp 1.0.0.1:1 > 1.0.0.2:443 data=41" + std::string(80, 'a'));
    EXPECT_EQ(describe(frame),
              "udp 1.0.0.1:1 > 1.0.0.2:443 data=41" + std::string(62, 'a') + " len=41");
}

TEST(Notation, names_the_word_that_is_wrong) {
    const std::pair<const char*, const char*> kFaults[] = {
        {"", "a packet is missing"},
        {"   ", "a packet is missing"},
        {"tpc 1.0.0.1:1 > 1.0.0.2:2",
         "'tpc' begins no packet: tcp, udp, sctp, icmp, icmp6, ip, ipip, gre, gue, ether or hex "
         "do"},
        {"tcp", "the source is missing"},
        {"tcp 1.0.0.1:1", "'>' and the destination are missing"},
        {"tcp 1.0.0.1:1 1.0.0.2:2", "'1.0.0.2:2' stands where '>' should"},
        {"tcp 1.0.0.1:1 >", "the destination is missing"},
        {"tcp 1.0.0.1 > 1.0.0.2:2", "tcp: the source has no port"},
        {"udp 1.0.0.1:1 > 1.0.0.2", "udp: the destination has no port"},
        {"tcp 1.0.0.256:1 > 1.0.0.2:2", "'1.0.0.256:1' holds no IPv4 or IPv6 address"},
        {"tcp 1.0.0.1:70000 > 1.0.0.2:2", "'1.0.0.1:70000' has no port (0..65535) but '70000'"},
        {"tcp [1.0.0.1]:7 > 1.0.0.2:2", "'[1.0.0.1]:7' holds no IPv6 address"},
        {"tcp [2001:db8::1:7 > 1.0.0.2:2", "'[2001:db8::1:7' is not [ADDRESS]:PORT"},
        {"tcp 1.0.0.1:1 > [2001:db8::1]:2",
         "'[2001:db8::1]:2' and the source are of two IP versions"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 sny", "'sny' is nothing that tcp has"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 syn+akc", "'syn+akc' is nothing that tcp has"},
        {"udp 1.0.0.1:1 > 1.0.0.2:2 syn", "'syn' is nothing that udp has"},
        {"udp 1.0.0.1:1 > 1.0.0.2:2 server_id=4", "'server_id=4' is nothing that udp has"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 ttl=256", "'ttl=256' needs a number, 0..255"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 ttl=", "'ttl=' needs a number, 0..255"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 ttl", "'ttl' needs a value behind '='"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 df=1", "'df=1' takes no value"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 data=abc",
         "'data=abc' needs bytes as hexadecimal digits, two each"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 data=aabb len=1", "tcp: data= is longer than len="},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 frag=9",
         "'frag=9' needs an offset in bytes that eight divides"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 vlan=5,4096", "'vlan=5,4096' needs a number, 0..4095"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 vlan=1,2,3,4,5", "'vlan=1,2,3,4,5' has more than 4 tags"},
        {"tcp [2001:db8::1]:1 > [2001:db8::2]:2 df",
         "tcp: IPv6 has no df, ip_options or ip_checksum"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 ext=routing", "tcp: IPv4 has no ext="},
        {"icmp 1.0.0.1:8 > 1.0.0.2 echo-request", "'1.0.0.1:8' has a port, and icmp has none"},
        {"icmp 1.0.0.1 > 1.0.0.2", "icmp: the type is missing, for example echo-request or type=8"},
        {"icmp 2001:db8::1 > 2001:db8::2 echo-request", "icmp: with IPv6 it is icmp6"},
        {"icmp6 1.0.0.1 > 1.0.0.2 echo-request", "icmp6: with IPv4 it is icmp"},
        {"icmp 1.0.0.1 > 1.0.0.2 echo-request mtu=1400",
         "'mtu=1400' belongs behind frag-needed or packet-too-big"},
        {"icmp 1.0.0.1 > 1.0.0.2 unreachable of tcp", "'tcp' stands where '(' should, behind of"},
        {"icmp 1.0.0.1 > 1.0.0.2 unreachable of ( udp 1.0.0.1:1 > 1.0.0.2:2",
         "')' is missing behind the packet within icmp"},
        {"icmp 1.0.0.1 > 1.0.0.2 unreachable of ( udp 1.0.0.1:1 > 1.0.0.2:2 vlan=3 )",
         "'vlan=3' belongs to the frame, not to a packet within"},
        {"ipip 1.0.0.1 > 1.0.0.2", "ipip: what the tunnel carries is missing: { tcp ... }"},
        {"ipip 1.0.0.1 > 1.0.0.2 { hex:00 }", "'hex:00' cannot stand within another packet"},
        {"ipip 1.0.0.1 > 1.0.0.2 { }",
         "'}' begins no packet: tcp, udp, sctp, icmp, icmp6, ip, ipip, gre, gue, ether or hex do"},
        {"tcp 1.0.0.1:1 > 1.0.0.2:2 syn )", "')' stands behind the packet's end"},
        {"udp 1.0.0.1:1 > 1.0.0.2:2 quic=000102030405060708090a0b0c0d0e0f1011121314",
         "'quic=000102030405060708090a0b0c0d0e0f1011121314' is longer than a connection id, 20 "
         "bytes"},
        {"udp 1.0.0.1:1 > 1.0.0.2:2 len=16384", "a frame of 16426 bytes; 16384 is the most"},
        {"hex:", "'hex:' needs bytes as hexadecimal digits, two each"},
        {"hex 00", "'00' behind hex should be ip: and digits"},
        {"ether 12", "'12' needs a number, 1536..65535"},
    };
    for (const auto& [notation, what] : kFaults) EXPECT_EQ(fault(notation), what) << notation;
}

TEST(Notation, says_what_may_stand_where_a_word_was_wrong) {
    const auto frame = build("icmp 1.0.0.1 > 1.0.0.2 ping");
    ASSERT_FALSE(frame);
    EXPECT_EQ(frame.error().hint,
              "icmp takes: echo-request echo-reply frag-needed unreachable time-exceeded "
              "parameter-problem redirect len= data= ttl= dscp= ecn= df id= frag= ext= ip_options= "
              "ip_len= ip_checksum= checksum= type= code= mtu= echo_id= echo_seq= rest= quote= "
              "vlan= cut=");
}

TEST(Notation, has_every_word_in_its_reference) {
    const auto reference = read_whole_file("docs/reference/packets.md");
    ASSERT_TRUE(reference) << reference.error().what;
    int words = 0;
    for (const char* begun :
         {"tcp 1.0.0.1:1 > 1.0.0.2:2", "udp 1.0.0.1:1 > 1.0.0.2:2", "sctp 1.0.0.1:1 > 1.0.0.2:2",
          "icmp 1.0.0.1 > 1.0.0.2", "icmp6 fe80::1 > fe80::2", "ip 1.0.0.1 > 1.0.0.2",
          "ipip 1.0.0.1 > 1.0.0.2", "gre 1.0.0.1 > 1.0.0.2", "gue 1.0.0.1 > 1.0.0.2",
          "ether 0x0806", "hex:00", "hex ip:45"}) {
        const auto frame = build(std::string(begun) + " no-such-word");
        ASSERT_FALSE(frame);
        std::istringstream takes(frame.error().hint);
        std::string word;
        takes >> word >> word;  // "tcp takes:"
        for (; takes >> word; ++words)
            EXPECT_NE(reference->find(word), std::string::npos) << begun << ": " << word;
    }
    EXPECT_GT(words, 100);
}

TEST(Notation, nests_to_a_bound) {
    std::string notation = "udp 1.0.0.1:1 > 1.0.0.2:2";
    for (int i = 0; i < 3; ++i) notation = "ipip 1.0.0.1 > 1.0.0.2 { " + notation + " }";
    expect_told_back(notation.c_str());
    EXPECT_EQ(fault("ipip 1.0.0.1 > 1.0.0.2 { " + notation + " }"), "'{' nests packets too deeply");
}

// The tuples of `sluice flow show` are packets here and mean the same.
TEST(Notation, reads_every_tuple_of_the_flow_command) {
    for (const char* tuple :
         {"tcp 198.51.100.7:1234 > 192.0.2.10:443 syn", "tcp 198.51.100.7:1234>192.0.2.10:443",
          "udp [2001:db8::7]:1 > [2001:db8::8]:53", "tcp  [2001:db8::7]:1  >  [::1]:0 syn"}) {
        const auto parsed = api::parse_tuple(tuple);
        ASSERT_TRUE(parsed) << tuple;
        std::string expected = api::text_of(*parsed);
        if (parsed->protocol == config::Protocol::tcp && !parsed->syn) expected += " ack";
        EXPECT_EQ(describe(built(tuple)), expected);
    }
}

/// A wrong sum may be the right one of the packet that is built, where fields differ that decide
/// nothing.
std::string without_checksums(const std::string& told) {
    return std::regex_replace(told, std::regex(" (ip_)?checksum=0x[0-9a-f]{4}"), "");
}

// Whatever is captured can be told, and what is told can be built and told again.
TEST(Notation, tells_damaged_and_random_frames) {
    std::mt19937 random(4);
    for (int round = 0; round < 200; ++round) {
        for (const char* notation : kRightPackets) {
            Frame frame = built(notation);
            for (unsigned damages = random() % 4; damages > 0 && !frame.empty(); --damages)
                frame[random() % frame.size()] ^= static_cast<std::uint8_t>(1u << random() % 8);
            if (random() % 3 == 0) frame.resize(random() % (frame.size() + 1));
            const std::string told = describe(frame);
            const auto again = build(told);
            ASSERT_TRUE(again) << hexdump(frame) << told << "\n" << again.error().what;
            ASSERT_EQ(without_checksums(describe(*again)), without_checksums(told))
                << hexdump(frame) << hexdump(*again);
        }
    }
}

// No text makes it fail otherwise than by an error.
TEST(Notation, survives_damaged_text) {
    std::mt19937 random(5);
    constexpr std::string_view kLetters = " >(){}[]:=+,.0x19afz";
    int wrong = 0;
    for (int round = 0; round < 200; ++round) {
        for (const char* notation : kRightPackets) {
            std::string text = notation;
            for (unsigned damages = 1 + random() % 3; damages > 0; --damages)
                text[random() % text.size()] = kLetters[random() % kLetters.size()];
            const auto frame = build(text);
            if (frame) {
                EXPECT_LE(frame->size(), SLC_MAX_FRAME_LEN);
                continue;
            }
            ++wrong;
            EXPECT_EQ(frame.error().code, Errc::invalid);
            EXPECT_FALSE(frame.error().what.empty());
        }
    }
    EXPECT_GT(wrong, 1000);
}

}  // namespace
}  // namespace sluice::packet
