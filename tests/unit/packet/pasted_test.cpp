// SPDX-License-Identifier: Apache-2.0
// Packets as people paste them: bytes of other tools, or the notation.
#include "packet/pasted.h"

#include <gtest/gtest.h>

#include "packet/notation.h"

namespace sluice::packet {
namespace {

struct Case {
    std::string name;
    std::string text;
    std::string notation;  ///< What it is.
};

constexpr const char* kSyn = "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn";
constexpr const char* kIp =
    "450000280001000040068e8ac6336407c000020a04d201bb0000000000000000500200ff00000000";
const std::string kEthernet = "0200000000020200000000010800";

const std::vector<Case> kCases = {
    {"notation", kSyn, kSyn},
    {"notation_of_a_frame", "hex:" + kEthernet + kIp, kSyn},
    {"whole_frame", kEthernet + kIp, kSyn},
    {"ip_packet", kIp, kSyn},
    {"with_blanks_and_line_ends",
     "4500 0028 0001 0000 4006 8e8a c633 6407\nc000 020a 04d2 01bb 0000 0000 0000 0000\n"
     "5002 00ff 0000 0000\n",
     kSyn},
    {"with_colons",
     "45:00:00:28:00:01:00:00:40:06:8e:8a:c6:33:64:07:c0:00:02:0a:04:d2:01:bb:00:00:00:00:00:00:00:"
     "00:50:02:00:ff:00:00:00:00",
     kSyn},
    {"dump_of_tcpdump",
     "\t0x0000:  4500 0028 0001 0000 4006 8e8a c633 6407\n"
     "\t0x0010:  c000 020a 04d2 01bb 0000 0000 0000 0000\n"
     "\t0x0020:  5002 00ff 0000 0000\n",
     kSyn},
    {"behind_0x", std::string("0x") + kIp, kSyn},
    {"capital_letters",
     "450000280001000040068E8AC6336407C000020A04D201BB0000000000000000500200FF00000000", kSyn},
    {"tagged_frame",
     "02000000000202000000000181000"
     "00a0800" +
         std::string(kIp),
     std::string(kSyn) + " vlan=10"},
    {"ip6_packet",
     "600000000014064020010db800000000000000000000000720010db8000a0000000000000000001004d201bb00000"
     "0"
     "0000000000500200ff00000000",
     "tcp [2001:db8::7]:1234 > [2001:db8:a::10]:443 syn"},
    {"not_ip", kEthernet.substr(0, 24) + "0806" + std::string(56, '0'),
     "ether 0x0806 data=" + std::string(56, '0')},
};

class Pasted : public testing::TestWithParam<Case> {};

TEST_P(Pasted, is_the_packet) {
    const auto frame = read_packet(GetParam().text);
    ASSERT_TRUE(frame) << frame.error().what;
    const auto wanted = build(GetParam().notation);
    ASSERT_TRUE(wanted) << wanted.error().what;
    EXPECT_EQ(describe(*frame), describe(*wanted));
}

INSTANTIATE_TEST_SUITE_P(Table, Pasted, testing::ValuesIn(kCases),
                         [](const auto& row) { return row.param.name; });

/// Its destination MAC begins like an IP header, and its length fits.
TEST(Pasted, frame_whose_mac_reads_like_ip_is_a_frame) {
    const std::string text = "450000280001" + kEthernet.substr(12) + kIp;
    const auto frame = read_packet(text);
    ASSERT_TRUE(frame) << frame.error().what;
    EXPECT_EQ(frame->size(), text.size() / 2);
    EXPECT_EQ((*frame)[0], 0x45);
}

TEST(Pasted, faulty_packets_are_told) {
    const std::pair<std::string, std::string> cases[] = {
        {"450000280001000040068e8ac6336", "an odd number of hexadecimal digits"},
        {"tcp 198.51.100.7:1234 > 192.0.2.10:443 sny", "'sny' is nothing that tcp has"},
        {"4500002800", ""},
        {"", ""},
    };
    for (const auto& [text, what] : cases) {
        const auto frame = read_packet(text);
        ASSERT_FALSE(frame) << text;
        EXPECT_EQ(frame.error().code, Errc::invalid) << text;
        EXPECT_NE(frame.error().what.find(what), std::string::npos) << frame.error().what;
    }
}

}  // namespace
}  // namespace sluice::packet
