// SPDX-License-Identifier: Apache-2.0
#include "announce/bird_text.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::announce {
namespace {

IpPrefix prefix(std::string_view text) {
    const auto parsed = IpPrefix::parse(text);
    EXPECT_TRUE(parsed.has_value()) << text;
    return parsed.value_or(IpPrefix{});
}

TEST(bird_text, names_of_protocols_are_symbols_and_tell_prefixes_apart) {
    const std::pair<const char*, const char*> cases[] = {
        {"192.0.2.1/32", "sluice4_192_0_2_1_32"},
        {"192.0.2.0/24", "sluice4_192_0_2_0_24"},
        {"0.0.0.0/0", "sluice4_0_0_0_0_0"},
        {"2001:db8::1/128", "sluice6_2001_db8__1_128"},
        {"::/0", "sluice6____0"},
        {"::ffff:1.2.3.4/128", "sluice6___ffff_1d2d3d4_128"},
        {"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128",
         "sluice6_2001_db8_ffff_ffff_ffff_ffff_ffff_ffff_128"},
    };
    for (const auto& [text, want] : cases) {
        EXPECT_EQ(bird_protocol_name(prefix(text)), want);
        EXPECT_LT(std::string(want).size(), 64U);  // BIRD's limit.
    }
}

TEST(bird_text, the_file_has_one_protocol_for_each_prefix) {
    const std::string file = bird_file({{prefix("192.0.2.1/32"), Wish::announce},
                                        {prefix("192.0.2.2/32"), Wish::withdraw},
                                        {prefix("192.0.2.130/25"), Wish::announce},
                                        {prefix("2001:db8::1/128"), Wish::drain}});
    const std::string want =
        "protocol static sluice6_2001_db8__1_128 { ipv6; route 2001:db8::1/128 blackhole "
        "{ bgp_community.add((65535,0)); bgp_local_pref = 0; }; }\n"
        "protocol static sluice4_192_0_2_1_32 { ipv4; route 192.0.2.1/32 blackhole; }\n"
        "protocol static sluice4_192_0_2_2_32 { disabled; ipv4; route 192.0.2.2/32 blackhole; }\n"
        "protocol static sluice4_192_0_2_130_25 { ipv4; route 192.0.2.128/25 blackhole; }\n";
    const std::size_t begin = file.find("protocol ");
    EXPECT_EQ(file.substr(begin), want);
    // What comes before is comment.
    EXPECT_EQ(std::count(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(begin), '\n'),
              std::count(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(begin), '#'));
    EXPECT_EQ(bird_file({}).find("protocol "), std::string::npos);
}

struct Talk {
    const char* name;
    const char* input;
    std::vector<BirdReply> want;
    const char* problem;
};

const Talk kTalks[] = {
    {"greeting", "0001 BIRD 2.0.12 ready.\n", {{{{1, "BIRD 2.0.12 ready."}}}}, ""},
    {"two_lines", "0009-x: disabled\n0000 \n", {{{{9, "x: disabled"}, {0, ""}}}}, ""},
    {"continued_lines",
     "1002-a\n b\n  c\n0000 \n",
     {{{{1002, "a"}, {1002, "b"}, {1002, " c"}, {0, ""}}}},
     ""},
    {"two_replies",
     "0000 \n8003 No protocols match\n",
     {{{{0, ""}}}, {{{8003, "No protocols match"}}}},
     ""},
    {"nobodys_answer", "+2000 log\n0000 \n", {{{{0, ""}}}}, ""},
    {"an_end_that_has_not_come", "0000 ", {}, ""},
    {"only_the_middle_of_a_reply", "1002-a\n", {}, ""},
    {"nothing", "", {}, ""},
    {"text", "220 mail.example.com\n", {}, "an unexpected line: \"220 mail.example.com\""},
    {"a_bare_line_end", "\n", {}, "an unexpected line: \"\""},
    {"a_code_without_a_sign", "0000\n", {}, "an unexpected line: \"0000\""},
    {"continued_before_a_line", " x\n", {}, "an unexpected line: \" x\""},
    {"control_characters", "\x1b[2J\n", {}, "an unexpected line: \"?[2J\""},
    {"reply_and_then_garbage", "0000 \nxyz\n0000 \n", {{{{0, ""}}}}, "an unexpected line: \"xyz\""},
};

TEST(bird_text, replies_are_taken_apart_however_they_are_cut) {
    for (const Talk& one : kTalks) {
        const std::string input = one.input;
        for (std::size_t piece : {input.size(), std::size_t{1}, std::size_t{3}}) {
            SCOPED_TRACE(std::string(one.name) + " in pieces of " + std::to_string(piece));
            BirdReplies replies;
            std::vector<BirdReply> got;
            for (std::size_t at = 0; at < input.size(); at += piece) {
                replies.add(std::string_view(input).substr(at, piece));
                while (auto reply = replies.next()) got.push_back(std::move(*reply));
            }
            EXPECT_TRUE(got == one.want);
            EXPECT_EQ(replies.problem(), one.problem);
        }
    }
}

TEST(bird_text, a_line_without_end_is_a_problem_before_it_costs_memory) {
    BirdReplies replies;
    for (int i = 0; i < 1000 && replies.problem().empty(); ++i) replies.add(std::string(100, 'x'));
    EXPECT_EQ(replies.problem(), "a line without end");
}

TEST(bird_text, a_reply_without_end_is_a_problem) {
    BirdReplies replies;
    std::string block;
    for (int i = 0; i < 1000; ++i) block += "1007-" + std::string(1000, 'x') + "\n";
    for (int i = 0; i < 1000 && replies.problem().empty(); ++i) replies.add(block);
    EXPECT_EQ(replies.problem(), "a reply without end");
}

TEST(bird_text, what_is_said_of_a_reply_prints_on_one_line) {
    EXPECT_EQ((BirdReply{{{2, "Reading"}, {8002, "a.conf:1:2 x\x1b\r"}}}).text(),
              "8002 a.conf:1:2 x??");
    EXPECT_EQ(BirdReply{}.text(), "");
}

BirdReply reply_of(std::string_view text) {
    BirdReplies replies;
    replies.add(text);
    return replies.next().value_or(BirdReply{});
}

TEST(bird_text, protocols_are_ours_only) {
    const BirdReply reply = reply_of(
        "2002-Name       Proto      Table      State  Since         Info\n"
        "1002-sluice4_192_0_2_1_32 Static     master4    up     03:02:22.500  \n"
        " sluice6_2001_db8__1_128 Static     master6    down   03:02:22.040  \n"
        " sluice_uplink BGP        ---        up     03:02:22.040  Established\n"
        " sluice4_uplink BGP       ---        up     03:02:22.040  Established\n"
        " cut\n"
        "0000 \n");
    EXPECT_EQ(bird_protocols(reply),
              (std::vector<BirdProtocol>{{"sluice4_192_0_2_1_32", "up"},
                                         {"sluice6_2001_db8__1_128", "down"}}));
}

TEST(bird_text, owners_of_routes_are_ours_each_once) {
    const BirdReply reply = reply_of(
        "1007-Table master4:\n"
        " 192.0.2.1/32         blackhole [sluice4_192_0_2_1_32 03:02:22.040] * (200)\n"
        "                      unicast [uplink 03:02:22.040] (100) [AS65000i]\n"
        " 192.0.2.9/32         blackhole [sluice4_192_0_2_9_32 03:02:22.040] * (200)\n"
        "1008-\tType: static univ\n"
        "1007-\n"
        " Table master6:\n"
        " 2001:db8::1/128      blackhole [sluice4_192_0_2_1_32 03:02:22.040] * (200)\n"
        " [\n"
        "0000 \n");
    EXPECT_EQ(bird_route_owners(reply),
              (std::vector<std::string>{"sluice4_192_0_2_1_32", "sluice4_192_0_2_9_32"}));
}

}  // namespace
}  // namespace sluice::announce
