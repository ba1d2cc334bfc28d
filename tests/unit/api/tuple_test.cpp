// SPDX-License-Identifier: Apache-2.0
#include "api/tuple.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::api {
namespace {

struct Case {
    const char* name;
    const char* text;
    const char* tuple;  ///< As it is written again; null: an error.
    const char* error;  ///< Whole.
};

const Case kCases[] = {
    {"tcp", "tcp 198.51.100.7:1234 > 192.0.2.10:443", "tcp 198.51.100.7:1234 > 192.0.2.10:443", ""},
    {"syn", "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn",
     "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn", ""},
    {"udp", "udp 198.51.100.7:0 > 192.0.2.10:65535", "udp 198.51.100.7:0 > 192.0.2.10:65535", ""},
    {"ip6", "tcp [2001:0db8::7]:1 > [2001:db8::10]:443 syn",
     "tcp [2001:db8::7]:1 > [2001:db8::10]:443 syn", ""},
    {"blanks", "  tcp\t198.51.100.7:1>192.0.2.10:2   syn ", "tcp 198.51.100.7:1 > 192.0.2.10:2 syn",
     ""},
    {"empty", "", nullptr, "the tuple is empty"},
    {"blank", "   ", nullptr, "the tuple is empty"},
    {"protocol", "sctp 198.51.100.7:1 > 192.0.2.10:2", nullptr,
     "a tuple begins with tcp or udp, not 'sctp'"},
    {"no_protocol", "198.51.100.7:1 > 192.0.2.10:2", nullptr,
     "a tuple begins with tcp or udp, not '198.51.100.7:1'"},
    {"no_destination", "tcp 198.51.100.7:1 >", nullptr, "a tuple is PROTOCOL SOURCE > DESTINATION"},
    {"no_arrow", "tcp 198.51.100.7:1 192.0.2.10:2", nullptr,
     "a tuple is PROTOCOL SOURCE > DESTINATION"},
    {"other_arrow", "tcp 198.51.100.7:1 -> 192.0.2.10:2", nullptr,
     "a tuple is PROTOCOL SOURCE > DESTINATION"},
    {"no_port", "tcp 198.51.100.7 > 192.0.2.10:2", nullptr,
     "tuple: source '198.51.100.7': no port"},
    {"empty_port", "tcp 198.51.100.7: > 192.0.2.10:2", nullptr,
     "tuple: source '198.51.100.7:': '' is not a port (0..65535)"},
    {"port_too_large", "tcp 198.51.100.7:1 > 192.0.2.10:65536", nullptr,
     "tuple: destination '192.0.2.10:65536': '65536' is not a port (0..65535)"},
    {"port_name", "tcp 198.51.100.7:1 > 192.0.2.10:http", nullptr,
     "tuple: destination '192.0.2.10:http': 'http' is not a port (0..65535)"},
    {"address", "tcp 198.51.100:1 > 192.0.2.10:2", nullptr,
     "tuple: source '198.51.100:1': '198.51.100' is no IPv4 address"},
    {"ip6_without_brackets", "tcp 2001:db8::7:1 > [2001:db8::10]:2", nullptr,
     "tuple: source '2001:db8::7:1': an IPv6 address is written in brackets"},
    {"ip6_bracket_open", "tcp [2001:db8::7:1 > [2001:db8::10]:2", nullptr,
     "tuple: source '[2001:db8::7:1': not [ADDRESS]:PORT"},
    {"ip6_no_port", "tcp [2001:db8::7] > [2001:db8::10]:2", nullptr,
     "tuple: source '[2001:db8::7]': not [ADDRESS]:PORT"},
    {"ip4_in_brackets", "tcp [198.51.100.7]:1 > 192.0.2.10:2", nullptr,
     "tuple: source '[198.51.100.7]:1': '198.51.100.7' is no IPv6 address"},
    {"versions", "tcp 198.51.100.7:1 > [2001:db8::10]:2", nullptr,
     "source and destination are not of one IP version"},
    {"flag", "tcp 198.51.100.7:1 > 192.0.2.10:2 ack", nullptr,
     "'ack' behind the destination: only syn may stand there"},
    {"two_flags", "tcp 198.51.100.7:1 > 192.0.2.10:2 syn syn", nullptr,
     "'syn' behind the destination: only syn may stand there"},
    {"udp_syn", "udp 198.51.100.7:1 > 192.0.2.10:2 syn", nullptr, "udp has no syn"},
};

TEST(Tuple, each_text_is_read_or_refused_by_the_name_of_its_part) {
    for (const Case& test : kCases) {
        const auto tuple = parse_tuple(test.text);
        EXPECT_EQ(tuple.has_value(), test.tuple != nullptr) << test.name;
        if (tuple) {
            EXPECT_EQ(text_of(*tuple), test.tuple) << test.name;
        } else {
            EXPECT_EQ(tuple.error().what, test.error) << test.name;
            EXPECT_EQ(tuple.error().code, Errc::invalid) << test.name;
            EXPECT_FALSE(tuple.error().hint.empty()) << test.name;
        }
    }
}

TEST(Tuple, a_text_longer_than_any_tuple_is_refused_whole) {
    const auto tuple = parse_tuple("tcp " + std::string(10'000, '1'));
    ASSERT_FALSE(tuple.has_value());
    EXPECT_EQ(tuple.error().what, "the tuple is too long");
}

TEST(Tuple, what_is_read_from_any_bytes_is_written_and_read_as_the_same) {
    std::mt19937 random(20260101);
    static constexpr std::string_view kAlphabet = "tcpudsyn0159.:[]>af \t";
    for (int round = 0; round < 20'000; ++round) {
        std::string text = kCases[random() % std::size(kCases)].text;
        for (unsigned edits = random() % 5; edits > 0; --edits) {
            const std::size_t at = random() % (text.size() + 1);
            if (random() % 3 == 0 && at < text.size())
                text.erase(at, 1 + random() % 3);
            else
                text.insert(at, 1, kAlphabet[random() % kAlphabet.size()]);
        }
        const auto tuple = parse_tuple(text);
        if (!tuple) continue;
        const auto again = parse_tuple(text_of(*tuple));
        ASSERT_TRUE(again.has_value()) << text;
        ASSERT_EQ(text_of(*again), text_of(*tuple)) << text;
    }
}

TEST(Id, is_whole_bytes_of_hexadecimal_digits) {
    using Bytes = std::vector<std::uint8_t>;
    EXPECT_EQ(parse_id("00000007").value(), (Bytes{0, 0, 0, 7}));
    EXPECT_EQ(parse_id("0xAbCd").value(), (Bytes{0xab, 0xcd}));
    EXPECT_EQ(parse_id(std::string(40, 'f')).value(), Bytes(20, 0xff));
    for (const std::string& text :
         {std::string(), std::string("0x"), std::string("7"), std::string("0g"), std::string("-1"),
          std::string("00 1"), std::string(42, 'f')}) {
        const auto id = parse_id(text);
        ASSERT_FALSE(id.has_value()) << text;
        EXPECT_EQ(id.error().what, "'" + text + "' is no id");
    }
}

}  // namespace
}  // namespace sluice::api
