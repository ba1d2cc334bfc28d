// SPDX-License-Identifier: Apache-2.0
//
// Filters as text: what read_filter() takes and refuses, and what the command makes of expressions.
#include <gtest/gtest.h>

#include <linux/filter.h>

#include "cli/pcap_filter.h"
#include "kernel/packet_filter.h"

namespace sluice::kernel {
namespace {

struct Refusal {
    const char* name;
    std::string text;
    std::string what;
    Errc code = Errc::invalid;
};

/// `count` instructions that all return 0.
std::string returns(std::size_t count) {
    std::string text = std::to_string(count);
    for (std::size_t i = 0; i < count; ++i) text += "\n6 0 0 0";
    return text;
}

/// One instruction before `ret #1`.
std::string before_return(const std::string& one) {
    return "2," + one + ",6 0 0 1";
}

const Refusal kRefusals[] = {
    {"nothing at all", "", "filter: no number of instructions"},
    {"blanks and commas only", " ,\n", "filter: no number of instructions"},
    {"a word", "tcp port 443", "filter: 'tcp' is no number of 32 bits"},
    {"a negative number", "1 6 0 0 -1", "filter: '-1' is no number of 32 bits"},
    {"a number with a sign", "1 6 0 0 +1", "filter: '+1' is no number of 32 bits"},
    {"a hexadecimal number", "1 0x6 0 0 1", "filter: '0x6' is no number of 32 bits"},
    {"a number of 33 bits", "1 6 0 0 4294967296", "filter: '4294967296' is no number of 32 bits"},
    {"a very long word", "1 " + std::string(40, 'x'),
     "filter: '" + std::string(20, 'x') + "' is no number of 32 bits"},
    {"fewer instructions than announced", "2 6 0 0 1",
     "filter: 2 instructions are announced, and 4 numbers follow"},
    {"more instructions than announced", "1 6 0 0 1 6 0 0 1",
     "filter: 1 instructions are announced, and 8 numbers follow"},
    {"half an instruction", "1 6 0", "filter: 1 instructions are announced, and 2 numbers follow"},
    {"a code of 17 bits", "1 65542 0 0 1",
     "filter: instruction 0: a code has 16 bits, and a jump 8"},
    {"a jump of 9 bits", "2 21 256 0 1 6 0 0 1",
     "filter: instruction 0: a code has 16 bits, and a jump 8"},
    {"one instruction too many", returns(kMaxFilterInstructions + 1),
     "filter: 2049 instructions, and 2048 is the most", Errc::limit},
    {"an announced number beyond reason", "4294967295",
     "filter: 4294967295 instructions, and 2048 is the most", Errc::limit},
    {"a text that is too long for any filter", std::string(200000, ' '),
     "filter: a text of 200000 bytes, and 98316 is the most", Errc::limit},
    {"an unknown code", before_return("255 0 0 0"), "filter: instruction 0: code 255 is not known"},
    {"a load of 64 bits", before_return("56 0 0 0"), "filter: instruction 0: code 56 is not known"},
    {"an atomic operation of eBPF", before_return("195 0 0 0"),
     "filter: instruction 0: code 195 is not known"},
    {"a call of eBPF", before_return("133 0 0 12"), "filter: instruction 0: code 133 is not known"},
    {"a halfword into X from the header's length", before_return("169 0 0 0"),
     "filter: instruction 0: code 169 is not known"},
    {"an ancillary load of the packet type", before_return("40 0 0 4294963204"),
     "filter: instruction 0: loads at a negative offset, which is no byte of a frame"},
    {"a load before the network header", before_return("32 0 0 4293918720"),
     "filter: instruction 0: loads at a negative offset, which is no byte of a frame"},
    {"an indirect load at a negative offset", before_return("80 0 0 2147483648"),
     "filter: instruction 0: loads at a negative offset, which is no byte of a frame"},
    {"a header length at a negative offset", before_return("177 0 0 4294967295"),
     "filter: instruction 0: loads at a negative offset, which is no byte of a frame"},
    {"A from memory beyond the last word", before_return("96 0 0 16"),
     "filter: instruction 0: memory has 16 words, and none is 16"},
    {"X from memory beyond the last word", before_return("97 0 0 4294967295"),
     "filter: instruction 0: memory has 16 words, and none is 4294967295"},
    {"A into memory beyond the last word", before_return("2 0 0 16"),
     "filter: instruction 0: memory has 16 words, and none is 16"},
    {"X into memory beyond the last word", before_return("3 0 0 17"),
     "filter: instruction 0: memory has 16 words, and none is 17"},
    {"a shift to the left by 32", before_return("100 0 0 32"),
     "filter: instruction 0: shifts by 32 of 32 bits"},
    {"a shift to the right by 33", before_return("116 0 0 33"),
     "filter: instruction 0: shifts by 33 of 32 bits"},
    {"a division by zero", before_return("52 0 0 0"), "filter: instruction 0: divides by zero"},
    {"a remainder by zero", before_return("148 0 0 0"), "filter: instruction 0: divides by zero"},
    {"a jump beyond the end", before_return("5 0 0 1"),
     "filter: instruction 0: jumps beyond the last instruction"},
    {"a jump backwards, as a chain of headers needs it", before_return("5 0 0 4294967295"),
     "filter: instruction 0: jumps beyond the last instruction"},
    {"a branch beyond the end when true", before_return("21 1 0 5"),
     "filter: instruction 0: jumps beyond the last instruction"},
    {"a branch beyond the end when false", before_return("21 0 255 5"),
     "filter: instruction 0: jumps beyond the last instruction"},
    {"a jump as the last instruction", "1 5 0 0 0",
     "filter: instruction 0: jumps beyond the last instruction"},
    {"no return at the end", "2 6 0 0 1 0 0 0 7", "filter: the last instruction is no return"},
};

TEST(FilterText, what_is_no_program_is_refused_with_the_reason) {
    for (const Refusal& one : kRefusals) {
        const auto read = read_filter(one.text);
        ASSERT_FALSE(read) << one.name;
        EXPECT_EQ(read.error().what, one.what) << one.name;
        EXPECT_EQ(read.error().code, one.code) << one.name;
    }
}

TEST(FilterText, what_tcpdump_prints_is_read_and_printed_again) {
    const std::string text = "4 40 0 0 12 21 0 1 2048 6 0 0 262144 6 0 0 0";
    const auto read = read_filter("4\n40 0 0 12\r\n21 0 1 2048\n6 0 0 262144\n\t6 0 0 0\n");
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(text_of(*read), text);
    EXPECT_EQ(read->at(1).code, BPF_JMP | BPF_JEQ | BPF_K);
    EXPECT_EQ(read->at(1).if_false, 1);
    EXPECT_EQ(read->at(1).operand, 2048u);
    const auto with_commas = read_filter("4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0,");
    ASSERT_TRUE(with_commas) << with_commas.error().what;
    EXPECT_EQ(text_of(*with_commas), text);
}

TEST(FilterText, the_empty_filter_has_a_text) {
    EXPECT_EQ(text_of({}), "0");
    const auto read = read_filter("0");
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_TRUE(read->empty());
}

TEST(FilterText, the_longest_filter_and_all_extremes_are_taken) {
    EXPECT_TRUE(read_filter(returns(kMaxFilterInstructions)));
    for (const char* one : {"32 0 0 2147483647", "96 0 0 15", "100 0 0 31", "52 0 0 4294967295",
                            "21 0 0 4294967295", "5 0 0 0", "22 0 0 0"})
        EXPECT_TRUE(read_filter(before_return(one))) << one;
}

TEST(FilterText, expressions_become_programs) {
    const auto text = cli::compile_filter("ip");
    ASSERT_TRUE(text) << text.error().what;
    EXPECT_EQ(*text, "4 40 0 0 12 21 0 1 2048 6 0 0 65535 6 0 0 0");
    EXPECT_EQ(cli::compile_filter("").value(), "1 6 0 0 65535");
    EXPECT_EQ(cli::compile_filter(" \n").value(), "1 6 0 0 65535");
}

struct BadExpression {
    std::string expression;
    std::string what;  ///< Behind "filter '...': ".
    Errc code = Errc::invalid;
    std::string hint = "pcap-filter(7) has the syntax";
};

TEST(FilterText, expressions_that_cannot_be_are_refused_in_words) {
    const std::string names =
        "names are looked up on this computer; write the number or the address";
    // Too long a name for DNS: nobody is asked.
    const std::string nobody = std::string(70, 'a') + ".invalid";
    const BadExpression table[] = {
        {"tcp port", "can't parse filter expression: syntax error"},
        {"host 10.0.0.1 and (", "can't parse filter expression: syntax error"},
        {"ether[0:3] = 1", "data size must be 1, 2, or 4"},
        {"ip broadcast", "netmask not known, so 'ip broadcast' not supported"},
        {"tcp port 70000", "illegal port number 70000 > 65535"},
        {"host " + nobody, "unknown host '" + nobody + "'", Errc::not_found, names},
        {"net nowhere", "unknown network 'nowhere'", Errc::not_found, names},
        {"tcp port nowhere", "unknown port 'nowhere'", Errc::not_found, names},
        {"inbound", "it asks for more than the bytes of a frame", Errc::invalid,
         "direction and interface are options of the command"},
        {"ip6 protochain 6", "it needs a loop, which a filter must not have", Errc::unsupported,
         "'proto' in place of 'protochain' does without"},
    };
    for (const BadExpression& one : table) {
        const auto text = cli::compile_filter(one.expression);
        ASSERT_FALSE(text) << one.expression;
        EXPECT_EQ(text.error().what, "filter '" + one.expression + "': " + one.what);
        EXPECT_EQ(text.error().code, one.code) << one.expression;
        EXPECT_EQ(text.error().hint, one.hint) << one.expression;
    }
}

TEST(FilterText, expressions_that_become_too_long_are_refused) {
    // libpcap takes seconds for hundreds of hosts; these it has at once.
    std::string bytes = "ether[0] = 7";
    for (int i = 1; i < 1100; ++i) bytes += " or ether[" + std::to_string(i) + "] = 7";
    const auto text = cli::compile_filter(bytes);
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, Errc::limit);
    EXPECT_EQ(text.error().what, "filter: 3174 instructions, and 2048 is the most");
    EXPECT_EQ(text.error().hint, "networks take fewer instructions than lists of hosts");
}

}  // namespace
}  // namespace sluice::kernel
