// SPDX-License-Identifier: Apache-2.0
// What an entry of the flow table is, and when it lives: abi/sluice/flow.h.
#include <gtest/gtest.h>

#include <random>

#include "sluice/flow.h"

namespace sluice::test {
namespace {

// Memory per remembered flow: at a load of one half, half of the places of a bucket are taken.
static_assert(sizeof(slc_flow_bucket) == 64 && SLC_FLOW_WAYS == 8);
static_assert(sizeof(slc_flow_bucket) / (SLC_FLOW_WAYS / 2) == 16,
              "16 bytes for each flow at a load of one half");
// The bound of false matches in flow.h counts on these.
static_assert(64 - SLC_FLOW_FINGERPRINT_SHIFT == 34 &&
              SLC_FLOW_WAYS / double(1ull << 34) < 4.7e-10);
// Bits 24..29 of the hash must be bits of the bucket in the smallest table.
static_assert(SLC_FLOW_FINGERPRINT_SHIFT - SLC_FLOW_MIN_LOG2 == 24);
static_assert(SLC_FLOW_MAX_LOG2 <= SLC_FLOW_FINGERPRINT_SHIFT);
static_assert((1u << SLC_FLOW_MAX_LOG2) * std::uint64_t{SLC_FLOW_WAYS} == 67108864);

TEST(FlowEntry, keeps_class_member_and_expiry_beside_the_fingerprint) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 10'000; ++i) {
        const slc_u64 hash = random();
        const slc_u32 flow_class = random() % SLC_FLOW_CLASSES;
        const slc_u32 member = random() & 0xfffff;
        const auto expiry = static_cast<slc_u8>(random());
        const slc_u64 entry = slc_flow_entry(hash, flow_class, member, expiry);
        ASSERT_EQ(SLC_FLOW_CLASS_OF(entry), flow_class);
        ASSERT_EQ(SLC_FLOW_MEMBER_OF(entry), member);
        ASSERT_EQ(SLC_FLOW_EXPIRY(entry), expiry);
        ASSERT_EQ(entry >> SLC_FLOW_FINGERPRINT_SHIFT, hash >> SLC_FLOW_FINGERPRINT_SHIFT);
    }
}

class AnySize : public testing::TestWithParam<slc_u32> {};

INSTANTIATE_TEST_SUITE_P(FlowTable, AnySize,
                         testing::Range<slc_u32>(SLC_FLOW_MIN_LOG2, SLC_FLOW_MAX_LOG2 + 1));

TEST_P(AnySize, tells_the_hash_from_bit_24_on_and_so_the_slot_of_an_entry) {
    const slc_u32 log2 = GetParam();
    std::mt19937_64 random(log2);
    for (int i = 0; i < 20'000; ++i) {
        const slc_u64 hash = random();
        const slc_u32 bucket = slc_flow_bucket_of(hash, log2);
        ASSERT_LT(bucket, 1u << log2);
        const slc_u64 entry =
            slc_flow_entry(hash, random() % 4, random() & 0xfffff, static_cast<slc_u8>(random()));
        const slc_u64 told = slc_flow_hash_of(entry, bucket, log2);
        ASSERT_EQ(told, hash & (~0ull << 24));
        for (slc_u32 ring = SLC_MIN_RING_LOG2; ring <= SLC_MAX_RING_LOG2; ++ring)
            ASSERT_EQ(slc_slot_of(told, ring), slc_slot_of(hash, ring));
    }
}

TEST_P(AnySize, uses_every_bucket_alike) {
    const slc_u32 log2 = GetParam();
    const slc_u64 step = 1ull << (SLC_FLOW_FINGERPRINT_SHIFT - log2);
    std::vector<bool> seen(1ull << log2);
    for (slc_u64 i = 0; i < seen.size(); ++i) seen[slc_flow_bucket_of(i * step, log2)] = true;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<long>(seen.size()));
}

TEST(FlowExpiry, is_judged_alike_in_every_turn_of_the_byte) {
    // Three turns of 256 ticks, and the turn at which the counter itself wraps.
    for (const slc_u32 start : {0u, 100u, 1000u, 0xffffff00u}) {
        for (slc_u32 tick = start; tick != start + 3 * 256; ++tick) {
            const slc_u64 entry =
                slc_flow_entry(0, SLC_FLOW_ESTABLISHED, 1, static_cast<slc_u8>(tick));
            for (slc_u32 ago = 0; ago <= 31; ++ago) {
                ASSERT_EQ(slc_flow_is_alive(entry, tick + ago), ago == 0) << tick << " " << ago;
                ASSERT_EQ(slc_flow_is_free(entry, tick + ago), ago >= 2) << tick << " " << ago;
            }
            for (slc_u32 left = 0; left <= SLC_FLOW_MAX_TICKS; ++left) {
                ASSERT_TRUE(slc_flow_is_alive(entry, tick - left)) << tick << " " << left;
                ASSERT_FALSE(slc_flow_is_free(entry, tick - left)) << tick << " " << left;
                ASSERT_EQ(slc_flow_left(entry, tick - left), left);
            }
        }
    }
}

TEST(FlowExpiry, seems_alive_again_when_no_sweeper_came_for_32_ticks) {
    const slc_u64 entry = slc_flow_entry(0, SLC_FLOW_ESTABLISHED, 1, 50);
    EXPECT_TRUE(slc_flow_is_free(entry, 50 + 31));
    EXPECT_TRUE(slc_flow_is_alive(entry, 50 + 32));
    EXPECT_EQ(slc_flow_left(entry, 50 + 32), SLC_FLOW_MAX_TICKS);
}

TEST(FlowExpiry, of_a_place_without_a_member_means_nothing) {
    for (slc_u32 expiry = 0; expiry < 256; ++expiry) {
        const slc_u64 entry = slc_flow_entry(~0ull, 3, 0, static_cast<slc_u8>(expiry));
        EXPECT_FALSE(slc_flow_is_alive(entry, 0));
        EXPECT_TRUE(slc_flow_is_free(entry, 0));
    }
}

TEST(FlowTicks, of_another_table_are_rounded_up_and_never_too_many) {
    struct Row {
        slc_u32 ticks;
        slc_s32 finer;
        slc_u8 want;
    };
    for (const Row& row :
         {Row{0, 0, 0}, Row{224, 0, 224}, Row{225, 0, 224}, Row{1, 1, 2}, Row{112, 1, 224},
          Row{113, 1, 224}, Row{1, 12, 224}, Row{0, 12, 0}, Row{2, -1, 1}, Row{3, -1, 2},
          Row{224, -1, 112}, Row{1, -12, 1}, Row{0, -12, 0}, Row{224, -12, 1}}) {
        EXPECT_EQ(slc_flow_rescale(row.ticks, row.finer), row.want)
            << row.ticks << " " << row.finer;
    }
}

constexpr slc_u32 kEmbryonicClass = SLC_FLOW_EMBRYONIC, kEstablishedClass = SLC_FLOW_ESTABLISHED,
                  kClosingClass = SLC_FLOW_CLOSING, kDatagramClass = SLC_FLOW_DATAGRAM;

TEST(FlowClass, follows_the_packet) {
    struct Row {
        slc_u32 kind;
        bool shared;
        slc_u32 from[4];  ///< What becomes of embryonic, established, closing, datagram.
    };
    const slc_u32 e = kEstablishedClass, c = kClosingClass, d = kDatagramClass;
    for (const Row& row :
         {Row{SLC_FLOW_SYN, false, {kEmbryonicClass, e, c, d}},
          Row{SLC_FLOW_PACKET, false, {e, e, e, e}}, Row{SLC_FLOW_END, false, {c, c, c, c}},
          Row{SLC_FLOW_UDP, false, {d, d, d, d}},
          Row{SLC_FLOW_LOOK, false, {kEmbryonicClass, e, c, d}},
          Row{SLC_FLOW_SYN, true, {kEmbryonicClass, e, c, d}},
          Row{SLC_FLOW_PACKET, true, {e, e, e, e}}, Row{SLC_FLOW_END, true, {e, e, e, e}},
          Row{SLC_FLOW_UDP, true, {d, d, d, d}},
          Row{SLC_FLOW_LOOK, true, {kEmbryonicClass, e, c, d}}}) {
        for (slc_u32 was = 0; was < SLC_FLOW_CLASSES; ++was)
            EXPECT_EQ(slc_flow_next_class(row.kind, was, row.shared), row.from[was])
                << "kind " << row.kind << " from " << was << " shared " << row.shared;
    }
    EXPECT_EQ(slc_flow_first_class(SLC_FLOW_SYN), kEmbryonicClass);
    EXPECT_EQ(slc_flow_first_class(SLC_FLOW_PACKET), kEstablishedClass);
    EXPECT_EQ(slc_flow_first_class(SLC_FLOW_END), kEstablishedClass);
    EXPECT_EQ(slc_flow_first_class(SLC_FLOW_UDP), kDatagramClass);
}

TEST(FlowLife, after_a_packet) {
    struct Row {
        const char* name;
        slc_u8 kind;
        bool shared;
        slc_u32 was;
        slc_u8 left;
        slc_u8 want;
    };
    // Lifetimes 20 embryonic, 200 established, 30 closing, 16 datagram.
    const Row rows[] = {
        {"a SYN renews an embryonic entry", SLC_FLOW_SYN, false, kEmbryonicClass, 3, 20},
        {"a SYN gives an established one a handshake's life", SLC_FLOW_SYN, false,
         kEstablishedClass, 3, 20},
        {"or leaves it the longer one that it has", SLC_FLOW_SYN, false, kEstablishedClass, 21, 21},
        {"a SYN gives a closing one a handshake's life", SLC_FLOW_SYN, false, kClosingClass, 3, 20},
        {"a SYN gives a datagram's a handshake's life", SLC_FLOW_SYN, false, kDatagramClass, 3, 20},
        {"a packet establishes", SLC_FLOW_PACKET, false, kEmbryonicClass, 3, 200},
        {"a packet renews", SLC_FLOW_PACKET, false, kEstablishedClass, 3, 200},
        {"a packet restores", SLC_FLOW_PACKET, false, kClosingClass, 30, 200},
        {"FIN shortens", SLC_FLOW_END, false, kEstablishedClass, 190, 30},
        {"FIN closes a handshake", SLC_FLOW_END, false, kEmbryonicClass, 3, 30},
        {"another FIN renews", SLC_FLOW_END, false, kClosingClass, 3, 30},
        {"UDP renews", SLC_FLOW_UDP, false, kDatagramClass, 3, 16},
        {"a look changes nothing", SLC_FLOW_LOOK, false, kEmbryonicClass, 3, 3},
        {"life within a class is never shortened", SLC_FLOW_PACKET, false, kEstablishedClass, 224,
         224},
        {"nor that of a handshake", SLC_FLOW_SYN, false, kEmbryonicClass, 100, 100},
        {"FIN of one of several connections does not shorten", SLC_FLOW_END, true,
         kEstablishedClass, 190, 200},
        {"UDP beside a shared connection does not shorten", SLC_FLOW_UDP, true, kEstablishedClass,
         190, 190},
        {"and TCP beside UDP lengthens", SLC_FLOW_PACKET, true, kDatagramClass, 3, 200},
        {"a shared SYN does no more", SLC_FLOW_SYN, true, kEstablishedClass, 3, 20},
    };
    for (const Row& row : rows) {
        slc_flow_ask ask{};
        ask.kind = row.kind;
        ask.shared = row.shared;
        ask.lifetime[0] = 20;
        ask.lifetime[1] = 200;
        ask.lifetime[2] = 30;
        ask.lifetime[3] = 16;
        EXPECT_EQ(slc_flow_life_after(&ask, row.was, row.left), row.want) << row.name;
    }
}

}  // namespace
}  // namespace sluice::test
