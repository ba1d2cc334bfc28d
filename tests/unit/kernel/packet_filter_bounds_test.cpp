// SPDX-License-Identifier: Apache-2.0
//
// Filters in the kernel at their edges: of the frame, of its buffers, of a program's length, of
// what the verifier follows; and what lies around a filter, which libpcap knows nothing of.
#include <gtest/gtest.h>

#include <linux/filter.h>

#include <array>
#include <numeric>
#include <utility>

#include "kernel/packet_filter.h"
#include "tests/unit/kernel/filter_rig.h"

namespace sluice::kernel {
namespace {

using model::Random;
using test::compiled;
using test::Filter;
using test::Frame;
using test::kMatched;
using test::kMissed;
using test::PacketFilterTest;
using test::random_frames;
using test::verdict_of;

constexpr std::uint16_t kLoadByte = BPF_LD | BPF_B | BPF_ABS;
constexpr std::uint16_t kLoadByteAtX = BPF_LD | BPF_B | BPF_IND;
constexpr std::uint16_t kAllOf = BPF_JMP | BPF_JSET | BPF_K;
constexpr std::uint16_t kJump = BPF_JMP | BPF_JA;
const FilterInstruction kReturnA{BPF_RET | BPF_A, 0, 0, 0};

Frame noise(std::size_t size) {
    Random random(size);
    Frame frame(size);
    for (auto& byte : frame) byte = static_cast<std::uint8_t>(random.next());
    return frame;
}

/// Frames of which one bit each of the first bytes is set.
std::vector<Frame> bit_frames(std::size_t count, std::size_t size) {
    std::vector<Frame> frames;
    for (std::size_t i = 0; i < count; ++i) {
        frames.emplace_back(size);
        frames.back()[i] = 1;
    }
    return frames;
}

TEST_F(PacketFilterTest, every_load_around_the_end_of_a_buffer_reads_what_libpcap_reads) {
    // A test run's first buffer ends somewhere before 4,096; the frame ends soon after that.
    const std::vector<Frame> frames{noise(3504), noise(3522), noise(4100), Frame(4100, 0)};
    std::size_t matched = 0;
    std::vector<std::uint32_t> places(48);
    std::iota(places.begin(), places.begin() + 32, 3494);
    std::iota(places.begin() + 32, places.end(), 4090);
    for (const std::uint32_t at : places) {
        for (const int size : {BPF_B, BPF_H, BPF_W}) {
            const auto absolute = static_cast<std::uint16_t>(BPF_LD | size | BPF_ABS);
            const auto indirect = static_cast<std::uint16_t>(BPF_LD | size | BPF_IND);
            // The low bit decides, so that a byte too far is seen.
            const FilterInstruction low{BPF_ALU | BPF_AND | BPF_K, 0, 0, 1};
            matched += compare({{absolute, 0, 0, at}, low, kReturnA}, frames).matched;
            compare({{BPF_LDX | BPF_IMM, 0, 0, 5}, {indirect, 0, 0, at - 5}, low, kReturnA},
                    frames);
        }
        compare({{BPF_LDX | BPF_B | BPF_MSH, 0, 0, at},
                 {BPF_MISC | BPF_TXA, 0, 0, 0},
                 {BPF_ALU | BPF_AND | BPF_K, 0, 0, 4},
                 kReturnA},
                frames);
        ASSERT_FALSE(HasFailure()) << at;
    }
    EXPECT_GT(matched, 50u);
}

TEST_F(PacketFilterTest, loads_reach_the_last_byte_of_the_largest_frames) {
    const Frame frame = noise(60000);
    for (const std::uint32_t at : {16383u, 16384u, 16385u, 30000u, 59996u, 59997u, 59999u, 60000u,
                                   65535u, 65536u, 0x7fffffffu}) {
        for (const int size : {BPF_B, BPF_H, BPF_W}) {
            const auto load = static_cast<std::uint16_t>(BPF_LD | size | BPF_ABS);
            compare({{load, 0, 0, at}, {BPF_RET | BPF_K, 0, 0, 1}}, {frame});
        }
    }
    EXPECT_EQ(compare(compiled("len = 60000"), {frame}).matched, 1u);
}

TEST_F(PacketFilterTest, a_sum_beyond_32_bits_does_not_come_round) {
    // X is read from the frame: the verifier knows nothing of it.
    const Filter filter{{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                        {BPF_MISC | BPF_TAX, 0, 0, 0},
                        {kLoadByteAtX, 0, 0, 16},
                        {BPF_RET | BPF_K, 0, 0, 1}};
    std::vector<Frame> frames;
    for (const std::uint32_t x : {0u, 47u, 48u, 0xfffffff0u, 0xfffffff1u, 0xffffffffu, 0x10000u}) {
        frames.emplace_back(64);
        for (unsigned i = 0; i < 4; ++i)
            frames.back()[i] = static_cast<std::uint8_t>(x >> (24 - 8 * i));
    }
    EXPECT_EQ(compare(filter, frames).matched, 2u);
}

TEST_F(PacketFilterTest, memory_is_zero_until_it_is_written) {
    for (std::uint32_t word = 0; word < BPF_MEMWORDS; ++word) {
        // What is written is one word, what is read another: A becomes 7 - 0, or 7 - 7.
        for (std::uint32_t other = 0; other < BPF_MEMWORDS; ++other) {
            const Filter filter{{BPF_LD | BPF_IMM, 0, 0, 7},
                                {BPF_ST, 0, 0, other},
                                {BPF_LDX | BPF_MEM, 0, 0, word},
                                {BPF_ALU | BPF_SUB | BPF_X, 0, 0, 0},
                                kReturnA};
            EXPECT_EQ(compare(filter, {noise(64)}).matched, word == other ? 0u : 1u);
        }
    }
}

TEST_F(PacketFilterTest, memory_outlives_loads_from_everywhere) {
    for (std::uint32_t word = 0; word < BPF_MEMWORDS; ++word) {
        Filter filter{{BPF_LD | BPF_IMM, 0, 0, 7}, {BPF_ST, 0, 0, word}};
        for (const std::uint32_t at : {20u, 4000u})
            filter.push_back({BPF_LD | BPF_W | BPF_ABS, 0, 0, at});
        filter.push_back({BPF_LD | BPF_MEM, 0, 0, word});
        filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 7});
        filter.push_back({BPF_RET | BPF_K, 0, 0, 1});
        filter.push_back({BPF_RET | BPF_K, 0, 0, 0});
        EXPECT_EQ(compare(filter, {noise(4100)}).matched, 1u);
    }
}

TEST_F(PacketFilterTest, what_is_never_reached_does_not_disturb) {
    const FilterInstruction match{BPF_RET | BPF_K, 0, 0, 1};
    compare({{kJump, 0, 0, 1}, {kLoadByte, 0, 0, 0}, match}, {noise(64)});
    compare({match, {kLoadByte, 0, 0, 0}, kReturnA}, {noise(64)});
    compare({{BPF_RET | BPF_K, 0, 0, 0}, match}, {noise(64)});
    compare({{kAllOf, 2, 2, 1}, match, kReturnA, kReturnA, match}, {noise(64)});
}

TEST_F(PacketFilterTest, a_branch_that_never_happens_does_not_hide_a_place) {
    // Found by chance. Linux 6.1 thought it possible that X is less than it is at least.
    const auto filter = read_filter(
        "25 177 0 0 1 108 0 0 1960098237 84 0 0 2559203403 156 0 0 21 0 0 0 16385 48 0 0 16385 "
        "164 0 0 0 68 0 0 255 61 1 1 57 5 8 13 3 61 2 1 53 12 0 0 3799 172 0 0 9 28 0 0 5 "
        "80 0 0 4133 44 0 0 47 40 0 0 3361 7 0 0 52 40 0 0 3986 12 0 0 9 72 0 0 48 92 0 0 23 "
        "28 0 0 52 69 0 0 47 22 0 0 0");
    ASSERT_TRUE(filter) << filter.error().what;
    compare(*filter, {noise(64), noise(20000)});
}

// ---- around the filter ----

TEST_F(PacketFilterTest, the_empty_filter_matches_everything) {
    const UniqueFd program = load({});
    for (const std::size_t size : {14, 64, 5000})
        EXPECT_EQ(verdict_of(program.get(), noise(size)), kMatched);
}

TEST_F(PacketFilterTest, only_packets_of_the_named_interfaces_reach_the_filter) {
    // A test run's packets come in by the loopback device, which is the first of every namespace.
    struct {
        std::vector<std::uint32_t> interfaces;
        bool inside;
    } const table[] = {{{}, true},        {{1}, true},  {{2, 1}, true},
                       {{1, 0, 7}, true}, {{2}, false}, {{0xffffffff, 2, 0x80000001}, false}};
    for (const auto& one : table) {
        const UniqueFd everything = load({}, one.interfaces);
        EXPECT_EQ(verdict_of(everything.get(), noise(64)), one.inside ? kMatched : kMissed);
        const UniqueFd some = load({{kLoadByte, 0, 0, 0}, kReturnA}, one.interfaces);
        EXPECT_EQ(verdict_of(some.get(), Frame(64, 1)), one.inside ? kMatched : kMissed);
        EXPECT_EQ(verdict_of(some.get(), Frame(64, 0)), kMissed);
    }
    std::vector<std::uint32_t> many(kMaxFilterInterfaces);
    std::iota(many.begin(), many.end(), 2);
    EXPECT_EQ(verdict_of(load({}, many).get(), noise(64)), kMissed);
    many.back() = 1;
    EXPECT_EQ(verdict_of(load({}, many).get(), noise(64)), kMatched);
}

TEST_F(PacketFilterTest, a_match_goes_to_the_slot_that_the_gate_names) {
    FilterGate gate{{}, slots.fd()};
    for (const auto& [slot, verdict] : {std::pair{0u, kMissed}, {1u, kMatched}, {2u, kMissed}}) {
        gate.match_slot = slot;
        const auto program = load_filter({}, gate);
        ASSERT_TRUE(program) << program.error().what;
        EXPECT_EQ(verdict_of(program->get(), noise(64)), verdict) << slot;
    }
}

TEST_F(PacketFilterTest, an_empty_slot_falls_through_to_the_plain_one_and_then_to_linux) {
    const UniqueFd program = load({{kLoadByte, 0, 0, 0}, kReturnA});
    const Frame match(64, 1);
    const Frame other(64, 0);
    slots.empty(1);
    EXPECT_EQ(verdict_of(program.get(), match), kMissed);
    EXPECT_EQ(verdict_of(program.get(), other), kMissed);
    slots.empty(0);
    EXPECT_EQ(verdict_of(program.get(), match), XDP_PASS);
    EXPECT_EQ(verdict_of(program.get(), other), XDP_PASS);
}

TEST_F(PacketFilterTest, what_is_no_filter_is_not_loaded) {
    const FilterGate gate{{}, slots.fd()};
    const auto no_return = load_filter(Filter{{kLoadByte, 0, 0, 0}}, gate);
    ASSERT_FALSE(no_return);
    EXPECT_EQ(no_return.error().what, "filter: the last instruction is no return");
    const auto too_long = load_filter(Filter(kMaxFilterInstructions + 1, kReturnA), gate);
    ASSERT_FALSE(too_long);
    EXPECT_EQ(too_long.error().code, Errc::limit);
    const auto too_many = load_filter(
        {}, FilterGate{std::vector<std::uint32_t>(kMaxFilterInterfaces + 1, 1), slots.fd()});
    ASSERT_FALSE(too_many);
    EXPECT_EQ(too_many.error().code, Errc::limit);
    EXPECT_EQ(too_many.error().what, "load filter: 1025 interfaces, and 1024 is the most");
}

TEST_F(PacketFilterTest, the_verifiers_refusal_is_told) {
    const UniqueFd array(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "filter_test", 4, 4, 2, nullptr));
    const auto refused = load_filter({}, FilterGate{{}, array.get()});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unsupported);
    EXPECT_TRUE(refused.error().what.starts_with("load filter: Invalid argument: verifier: "))
        << refused.error().what;
}

// ---- length ----

/// Instructions that Linux 6.1 does not know: what the fourth instruction set added.
bool is_of_v4(const bpf_insn& one) {
    const int kind = BPF_CLASS(one.code);
    const int operation = BPF_OP(one.code);
    if (kind == BPF_JMP32) return operation == BPF_JA;
    if (kind == BPF_LDX) return BPF_MODE(one.code) != BPF_MEM;
    if (kind != BPF_ALU && kind != BPF_ALU64) return false;
    return one.off != 0 || (kind == BPF_ALU64 && operation == BPF_END);
}

TEST_F(PacketFilterTest, translations_keep_to_the_third_instruction_set) {
    const Filter all = compiled(
        "ip[4:2] / ip[8] > ip[4:2] % ip[9] or ip[12:4] >> ip[8] > 1 << ip[9] or -ip[8] > 3 or "
        "tcp[((tcp[12] & 0xf0) >> 2):4] * 3 ^ 5 | 1 != len or ether[20000] = 1");
    EXPECT_GT(all.size(), 40u);
    for (const bpf_insn& one : translate(all, FilterGate{{1, 2}, slots.fd()}))
        EXPECT_FALSE(is_of_v4(one)) << static_cast<int>(one.code);
}

TEST_F(PacketFilterTest, a_filter_of_hundreds_of_hosts_is_verified) {
    std::string hosts = "host 10.0.0.1";
    for (int i = 2; i < 250; ++i) hosts += " or host 10.0.0." + std::to_string(i);
    const Filter filter = compiled(hosts);
    EXPECT_GT(filter.size(), 1000u);
    Random random(4);
    const auto tally = compare(filter, random_frames(random, 2000));
    EXPECT_GT(tally.matched, 100u);
    EXPECT_GT(tally.missed, 100u);
}

/// A filter of the greatest length whose loads all go the longest way, with jumps of all lengths.
Filter heavy_filter(Random& random) {
    Filter filter;
    while (filter.size() + 8 < kMaxFilterInstructions) {
        const std::size_t behind = kMaxFilterInstructions - 1 - filter.size();
        const std::uint64_t kind = random.below(100);
        if (kind < 1) {
            // One bit of the frame in four leads far away.
            filter.push_back({kLoadByte, 0, 0, static_cast<std::uint32_t>(random.below(14))});
            filter.push_back({kAllOf, 0, 1, 3});
            filter.push_back({kJump, 0, 0, static_cast<std::uint32_t>(random.below(behind - 3))});
        } else if (kind < 4) {
            filter.push_back({kAllOf, static_cast<std::uint8_t>(random.below(4)),
                              static_cast<std::uint8_t>(random.below(4)),
                              static_cast<std::uint32_t>(random.below(256))});
        } else if (kind < 6) {
            filter.push_back({BPF_ALU | BPF_AND | BPF_K, 0, 0, 7});
            filter.push_back({BPF_MISC | BPF_TAX, 0, 0, 0});
        } else {
            filter.push_back({kLoadByteAtX, 0, 0, static_cast<std::uint32_t>(random.below(40))});
        }
    }
    while (filter.size() + 1 < kMaxFilterInstructions)
        filter.push_back({kLoadByteAtX, 0, 0, static_cast<std::uint32_t>(random.below(40))});
    // Half of all values.
    filter.push_back(kReturnA);
    filter[filter.size() - 2] = {BPF_ALU | BPF_AND | BPF_K, 0, 0, 1};
    return filter;
}

TEST_F(PacketFilterTest, the_longest_filters_jump_further_than_16_bits) {
    Random random(5);
    std::vector<Frame> frames = bit_frames(14, 300);
    for (std::size_t i = 0; i < 40; ++i) frames.push_back(noise(300 + i));
    test::Tally all;
    for (int i = 0; i < 12; ++i) {
        const Filter filter = heavy_filter(random);
        ASSERT_TRUE(check_filter(filter)) << check_filter(filter).error().what;
        EXPECT_GT(translate(filter, FilterGate{{}, slots.fd()}).size(), 1u << 15);
        const auto tally = compare(filter, frames);
        all.matched += tally.matched;
        all.missed += tally.missed;
    }
    EXPECT_GT(all.matched, 50u);
    EXPECT_GT(all.missed, 50u);
}

TEST_F(PacketFilterTest, one_jump_from_the_first_instruction_to_the_last) {
    // Bit 0 of the first byte decides which of two ways is gone; only one of them ends in a match.
    Filter filter{
        {kLoadByte, 0, 0, 0}, {kAllOf, 0, 1, 1}, {kJump, 0, 0, kMaxFilterInstructions - 4}};
    while (filter.size() + 2 < kMaxFilterInstructions) filter.push_back({kLoadByteAtX, 0, 0, 2});
    filter.push_back({BPF_RET | BPF_K, 0, 0, 0});
    filter.push_back({BPF_RET | BPF_K, 0, 0, 1});
    EXPECT_EQ(compare(filter, bit_frames(14, 64)).matched, 1u);
}

TEST_F(PacketFilterTest, a_filter_that_the_verifier_cannot_follow_is_too_long) {
    // Each bit of the frame moves the place that is read by another power of two: 2^24 places.
    Filter filter;
    for (std::uint32_t bit = 0; bit < 24; ++bit) {
        filter.push_back({kLoadByte, 0, 0, bit});
        filter.push_back({kAllOf, 0, 3, 1});
        filter.push_back({BPF_MISC | BPF_TXA, 0, 0, 0});
        filter.push_back({BPF_ALU | BPF_ADD | BPF_K, 0, 0, 1u << bit});
        filter.push_back({BPF_MISC | BPF_TAX, 0, 0, 0});
    }
    filter.push_back({kLoadByteAtX, 0, 0, 0});
    filter.push_back(kReturnA);
    const auto refused = load_filter(filter, FilterGate{{}, slots.fd()});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::limit);
    EXPECT_EQ(refused.error().what, "load filter: the verifier finds no end to 122 instructions");
    EXPECT_EQ(refused.error().hint,
              "a filter with fewer alternatives before it computes where to read is easier");
}

}  // namespace
}  // namespace sluice::kernel
