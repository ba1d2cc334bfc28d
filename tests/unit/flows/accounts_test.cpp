// SPDX-License-Identifier: Apache-2.0
// Who may use how much of the flow table: shares, ceilings and the pool that groups share.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "flow_rig.h"

namespace sluice::test {
namespace {

constexpr slc_u8 kIn = SLC_FLOW_INSERTED;
constexpr slc_u8 kCeiling = SLC_FLOW_REFUSED_CEILING;

/// What the groups use beyond their shares: what the pool must always say.
slc_u64 beyond_shares(const World& world) {
    slc_u64 out = 0;
    for (std::size_t group = 1; group < world.accounts.size(); ++group) {
        const slc_account& account = world.accounts[group];
        out += account.used > account.share ? account.used - account.share : 0;
    }
    return out;
}

/// Flow `number`, in a bucket of its own as long as there are some.
constexpr slc_u64 flow(slc_u32 number) {
    return hash_in(number % 64, number);
}

struct Limits {
    slc_u64 share;
    slc_u64 ceiling;
};

void set_limits(Rig& rig, slc_u64 pool, Limits first, Limits second) {
    rig.world.accounts[0].ceiling = pool;
    rig.world.accounts[1].share = first.share;
    rig.world.accounts[1].ceiling = first.ceiling;
    rig.world.accounts[2].share = second.share;
    rig.world.accounts[2].ceiling = second.ceiling;
}

/// How many of `tries` new flows of a group are remembered.
slc_u32 fill(Rig& rig, slc_u32 group, slc_u32 first, slc_u32 tries) {
    rig.group = group;
    const slc_u32 member = group == 1 ? kOld : kForeign;
    slc_u32 out = 0;
    for (slc_u32 i = 0; i < tries; ++i) {
        const slc_u64 slot = SLC_SLOT_MAKE(member, member, SLC_SLOT_MARKED | SLC_SLOT_OPEN);
        const slc_flow_answer answer = rig.send(SLC_FLOW_PACKET, flow(first + i), slot);
        EXPECT_EQ(answer.member, member);
        EXPECT_TRUE(answer.insert == kIn || answer.insert == kCeiling);
        out += answer.insert == kIn;
    }
    return out;
}

TEST(Share, is_a_groups_own_whatever_others_use) {
    Rig rig;
    set_limits(rig, 10, {20, 100}, {30, 100});
    EXPECT_EQ(fill(rig, 1, 0, 64), 30u) << "its share and the whole pool";
    EXPECT_EQ(rig.used(0), 10u);
    EXPECT_EQ(fill(rig, 2, 100, 64), 30u) << "its share, though the pool is empty";
    EXPECT_EQ(rig.used(0), 10u);
    EXPECT_EQ(rig.used(1), 30u);
    EXPECT_EQ(rig.used(2), 30u);
}

TEST(Ceiling, stops_a_group_while_the_pool_has_room) {
    Rig rig;
    set_limits(rig, 1000, {5, 12}, {0, 100});
    EXPECT_EQ(fill(rig, 1, 0, 64), 12u);
    EXPECT_EQ(rig.used(0), 7u);
    EXPECT_EQ(fill(rig, 2, 100, 64), 64u);
    EXPECT_EQ(rig.used(0), 71u);
}

TEST(Ceiling, of_nothing_remembers_nothing) {
    Rig rig;
    set_limits(rig, 1000, {0, 0}, {0, 0});
    EXPECT_EQ(fill(rig, 1, 0, 10), 0u);
    EXPECT_EQ(rig.table.count(), 0u);
}

TEST(Ceiling, refuses_before_a_place_is_looked_for) {
    Rig rig;
    set_limits(rig, 0, {0, 100}, {0, 100});
    rig.world.accounts[1].share = SLC_FLOW_WAYS;
    rig.crowd(flow(0), SLC_FLOW_WAYS);
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, flow(0), kOpen).insert, kCeiling);
}

TEST(Account, goes_down_when_an_expired_entry_is_replaced_and_the_pool_with_it) {
    Rig rig;
    set_limits(rig, 100, {SLC_FLOW_WAYS - 2, 100}, {100, 100});
    rig.crowd(flow(0), SLC_FLOW_WAYS);
    EXPECT_EQ(rig.used(1), 8u);
    EXPECT_EQ(rig.used(0), 2u);
    rig.tick += kEstablished + 2;
    // The place of group 1 goes to group 2.
    rig.group = 2;
    const slc_u64 slot = SLC_SLOT_MAKE(kForeign, kForeign, SLC_SLOT_MARKED | SLC_SLOT_OPEN);
    for (slc_u32 i = 1; i <= 8; ++i) {
        EXPECT_EQ(rig.send(SLC_FLOW_PACKET, hash_in(0, 500 + i), slot).insert, kIn);
        EXPECT_EQ(rig.used(1), 8u - i);
        EXPECT_EQ(rig.used(2), i);
        EXPECT_EQ(rig.used(0), i < 2 ? 2 - i : 0u);
    }
}

TEST(Account, of_a_member_that_is_gone_is_nobodys_to_lower) {
    Rig rig;
    rig.crowd(flow(0), SLC_FLOW_WAYS);
    rig.world.members.erase(kAnother);
    rig.tick += kEstablished + 2;
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, flow(0), kOpen).insert, kIn);
    EXPECT_EQ(rig.used(1), 9u) << "until user space counts again";
}

TEST(Account, below_zero_is_no_reason_to_refuse) {
    Rig rig;
    set_limits(rig, 5, {0, 10}, {0, 10});
    rig.world.accounts[1].used = static_cast<slc_u64>(-3);
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, flow(0), kOpen).insert, kIn);
    EXPECT_EQ(static_cast<slc_s64>(rig.used(1)), -2);
    EXPECT_EQ(rig.used(0), 0u) << "-3 is below a share of 0: not the pool's";
}

/// Any packets at any time: the accounts are the counts, and the pool is what exceeds the shares.
TEST(Account, is_the_count_of_entries_after_every_packet_of_a_long_run) {
    Rig rig;
    set_limits(rig, 60, {100, 150}, {50, 400});
    rig.old = nullptr;
    std::mt19937_64 random(7);
    constexpr slc_u8 kKinds[] = {SLC_FLOW_SYN, SLC_FLOW_PACKET, SLC_FLOW_END, SLC_FLOW_UDP,
                                 SLC_FLOW_LOOK};
    std::array<slc_u32, 4> inserts{};
    for (int i = 0; i < 200'000; ++i) {
        if (random() % 64 == 0) rig.tick += random() % 12;
        if (random() % 4096 == 0)
            rig.world.members[kAnother].down = !rig.world.members[kAnother].down;
        rig.group = 1 + random() % 2;
        const slc_u32 current = rig.group == 2 ? kForeign : kNew + random() % 2;
        const slc_u32 previous = rig.group == 2 ? kForeign : kOld;
        const slc_u64 slot = SLC_SLOT_MAKE(current, previous, (random() & SLC_SLOT_HELD) | kOpen) &
                             ~(random() % 8 == 0 ? SLC_SLOT_OPEN : 0);
        const slc_u8 kind = kKinds[random() % std::size(kKinds)];
        const slc_flow_answer answer = rig.send(kind, flow(random() % 2000), slot);
        ++inserts[answer.insert];
        ASSERT_EQ(rig.used(1) + rig.used(2), rig.table.count()) << i;
        ASSERT_EQ(rig.used(0), beyond_shares(rig.world)) << i;
        ASSERT_LE(rig.used(1), 150u) << i;
        ASSERT_LE(rig.used(0), 60u) << i;
        // No sweeper runs here: what it would free is freed before it seems alive again.
        for (slc_flow_bucket& bucket : rig.table.buckets) {
            for (slc_u64& entry : bucket.entry) {
                if (!slc_flow_is_free(entry, rig.tick) || SLC_FLOW_MEMBER_OF(entry) == 0) continue;
                if (slc_flow_left(entry, rig.tick) > 240) continue;
                slc_flow_release(&rig.world, rig.world.accounts.data(), entry);
                entry = 0;
            }
        }
    }
    for (const slc_u32 count : inserts) EXPECT_GT(count, 100u) << "every outcome came up";
}

}  // namespace
}  // namespace sluice::test
