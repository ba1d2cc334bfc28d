// SPDX-License-Identifier: Apache-2.0
// A flow table of another size or tick is being left: no flow that lives may be lost on the way.
#include <gtest/gtest.h>

#include <vector>

#include "flow_rig.h"

namespace sluice::test {
namespace {

constexpr slc_u64 kFlow = hash_in(5, 77);

/// A rig whose table before had `log2`, and ticks 2^coarser as long as those of the new one.
struct Moving {
    explicit Moving(slc_u32 log2 = SLC_FLOW_MIN_LOG2 + 1, slc_s32 coarser = 0) : before(log2) {
        rig.old = &before;
        rig.old_coarser = coarser;
        tick(rig.tick);
    }
    void tick(slc_u32 now) {
        rig.tick = now;
        rig.old_tick = rig.old_coarser >= 0 ? now >> rig.old_coarser : now << -rig.old_coarser;
    }
    slc_u64& put_old(slc_u64 hash, slc_u32 flow_class, slc_u32 member, slc_u32 left) {
        return rig.put(before, hash, flow_class, member, left, rig.old_tick);
    }

    Table before;
    Rig rig;
};

TEST(TableBeingLeft, gives_a_flow_up_with_its_first_packet) {
    for (const slc_u8 kind : {SLC_FLOW_SYN, SLC_FLOW_PACKET, SLC_FLOW_END, SLC_FLOW_UDP}) {
        for (slc_u32 was = 0; was < SLC_FLOW_CLASSES; ++was) {
            for (const slc_u32 left : {0u, 3u, 199u, 224u}) {
                Moving moving;
                moving.put_old(kFlow, was, kAnother, left);
                const slc_flow_ask ask = moving.rig.asks(kind, kFlow, kOpen);
                const slc_flow_answer answer = moving.rig.send(kind, kFlow, kOpen);
                EXPECT_EQ(answer, (Want{kAnother, SLC_FLOW_BY_MEMORY}));
                const slc_u64 entry = moving.rig.entry_of(kFlow);
                EXPECT_EQ(SLC_FLOW_MEMBER_OF(entry), kAnother);
                EXPECT_EQ(SLC_FLOW_CLASS_OF(entry), slc_flow_next_class(kind, was, 0));
                EXPECT_EQ(slc_flow_left(entry, moving.rig.tick),
                          slc_flow_life_after(&ask, was, static_cast<slc_u8>(left)))
                    << "the same as if it had been here";
                EXPECT_EQ(moving.before.count(), 0u);
                EXPECT_EQ(moving.rig.used(1), 1u);
            }
        }
    }
}

TEST(TableBeingLeft, is_looked_at_by_icmp_errors_and_not_changed) {
    Moving moving;
    const slc_u64 before = moving.put_old(kFlow, SLC_FLOW_EMBRYONIC, kAnother, 3);
    EXPECT_EQ(moving.rig.send(SLC_FLOW_LOOK, kFlow, kOpen), (Want{kAnother, SLC_FLOW_BY_MEMORY}));
    EXPECT_EQ(moving.rig.entry_of(moving.before, kFlow), before);
    EXPECT_EQ(moving.rig.table.count(), 0u);
}

TEST(TableBeingLeft, gives_flows_up_at_the_ceiling_too) {
    Moving moving;
    moving.put_old(kFlow, SLC_FLOW_ESTABLISHED, kAnother, 3);
    moving.rig.world.accounts[1].share = 0;
    moving.rig.world.accounts[1].ceiling = 1;
    moving.rig.world.accounts[0].used = 1;
    moving.rig.world.accounts[0].ceiling = 1;
    moving.rig.send(SLC_FLOW_PACKET, kFlow, kOpen);
    EXPECT_EQ(moving.before.count(), 0u);
    EXPECT_EQ(moving.rig.table.count(), 1u);
    EXPECT_EQ(moving.rig.used(1), 1u);
    EXPECT_EQ(moving.rig.used(0), 1u);
}

TEST(TableBeingLeft, keeps_and_renews_a_flow_that_finds_no_room) {
    Moving moving;
    moving.put_old(kFlow, SLC_FLOW_ESTABLISHED, kAnother, kEstablished);
    moving.rig.crowd(kFlow, SLC_FLOW_WAYS);
    for (int turn = 0; turn < 20; ++turn) {
        moving.tick(moving.rig.tick + kEstablished - 1);
        for (slc_u64& entry : moving.rig.table.bucket_of(kFlow).entry)
            entry = (entry & ~0xffull) | static_cast<slc_u8>(moving.rig.tick + 100);
        ASSERT_EQ(moving.rig.send(SLC_FLOW_PACKET, kFlow, kOpen),
                  (Want{kAnother, SLC_FLOW_BY_MEMORY}))
            << turn;
        ASSERT_EQ(slc_flow_left(moving.rig.entry_of(moving.before, kFlow), moving.rig.old_tick),
                  kEstablished);
    }
    moving.rig.send(SLC_FLOW_END, kFlow, kOpen);
    EXPECT_EQ(SLC_FLOW_CLASS_OF(moving.rig.entry_of(moving.before, kFlow)),
              slc_u32{SLC_FLOW_CLOSING});
}

TEST(TableBeingLeft, measures_life_in_ticks_of_its_own) {
    struct Row {
        slc_s32 coarser;
        slc_u8 left;      ///< In the old table.
        slc_u8 kept;      ///< In the new one, by a SYN: no less than 20.
        slc_u8 restored;  ///< In the old one, where there is no room, by a packet.
    };
    for (const Row& row : {Row{0, 100, 100, 200}, Row{1, 40, 80, 100}, Row{3, 224, 224, 25},
                           Row{-1, 51, 26, 224}, Row{-2, 3, 20, 224}}) {
        Moving moving(SLC_FLOW_MIN_LOG2 + 2, row.coarser);
        moving.put_old(kFlow, SLC_FLOW_ESTABLISHED, kAnother, row.left);
        moving.rig.send(SLC_FLOW_SYN, kFlow, kOpen);
        EXPECT_EQ(slc_flow_left(moving.rig.entry_of(kFlow), moving.rig.tick), row.kept);

        Moving full(SLC_FLOW_MIN_LOG2 + 2, row.coarser);
        full.put_old(kFlow, SLC_FLOW_ESTABLISHED, kAnother, 1);
        full.rig.crowd(kFlow, SLC_FLOW_WAYS);
        full.rig.send(SLC_FLOW_PACKET, kFlow, kOpen);
        EXPECT_EQ(slc_flow_left(full.rig.entry_of(full.before, kFlow), full.rig.old_tick),
                  row.restored);
    }
}

TEST(TableBeingLeft, comes_second) {
    Moving moving;
    moving.put_old(kFlow, SLC_FLOW_ESTABLISHED, kAnother, 50);
    moving.rig.put(kFlow, SLC_FLOW_ESTABLISHED, kNew, 50);
    EXPECT_EQ(moving.rig.send(SLC_FLOW_PACKET, kFlow, kOpen), (Want{kNew, SLC_FLOW_BY_MEMORY}));
    EXPECT_EQ(moving.before.count(), 1u);
}

TEST(TableBeingLeft, does_not_count_for_the_dead_the_foreign_and_the_expired) {
    for (const int what : {0, 1, 2}) {
        Moving moving;
        slc_u64 before = moving.put_old(kFlow, SLC_FLOW_ESTABLISHED,
                                        what == 1 ? kForeign : kAnother, what == 2 ? -1 : 50);
        moving.rig.world.members[kAnother].down = what == 0;
        EXPECT_EQ(moving.rig.send(SLC_FLOW_PACKET, kFlow, kOpen),
                  (Want{kOld, SLC_FLOW_BY_PREVIOUS, SLC_FLOW_INSERTED}));
        if (what == 2) before = 0;  // It is there, but nobody's.
        EXPECT_EQ(moving.rig.entry_of(moving.before, kFlow), before);
        EXPECT_EQ(moving.before.count(), 1u);
    }
}

TEST(TableBeingLeft, is_charged_for_what_another_cpu_did_meanwhile) {
    enum What { renewed, freed, moved };
    for (const What what : {renewed, freed, moved}) {
        Moving moving;
        Rig& rig = moving.rig;
        slc_u64& place = moving.put_old(kFlow, SLC_FLOW_ESTABLISHED, kAnother, 50);
        rig.world.meanwhile = [&] {
            if (what == renewed) place = (place & ~0xffull) | static_cast<slc_u8>(rig.tick + 90);
            if (what == freed) {
                slc_flow_release(&rig.world, rig.world.accounts.data(), place);
                place = 0;
            }
            if (what == moved) rig.send(SLC_FLOW_PACKET, kFlow, kOpen);
        };
        EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kOpen), (Want{kAnother, SLC_FLOW_BY_MEMORY}));
        EXPECT_EQ(moving.before.count(), what == renewed ? 1u : 0u);
        EXPECT_EQ(rig.table.count(), 1u);
        EXPECT_EQ(rig.used(1), moving.before.count() + rig.table.count()) << what;
    }
}

/// Every size to every other: all flows that there is room for arrive, with the right slots, and
/// none is lost.
TEST(TableBeingLeft, empties_into_any_other_size) {
    for (slc_u32 from = 6; from <= 9; ++from) {
        for (slc_u32 to = 6; to <= 9; ++to) {
            Moving moving(from);
            moving.rig.table = Table(to);
            std::vector<slc_u64> flows;
            for (slc_u32 i = 0; i < 250; ++i) {
                flows.push_back(i * 0x9e3779b97f4a7c15ull);
                moving.put_old(flows.back(), SLC_FLOW_ESTABLISHED, 1 + i % 6, 50);
            }
            for (std::size_t i = 0; i < flows.size(); ++i) {
                ASSERT_EQ(moving.rig.send(SLC_FLOW_PACKET, flows[i], kOpen).member, 1 + i % 6);
                ASSERT_EQ(moving.rig.used(1), moving.before.count() + moving.rig.table.count());
            }
            EXPECT_EQ(moving.before.count() + moving.rig.table.count(), flows.size());
            for (std::size_t i = 0; i < flows.size(); ++i)
                ASSERT_EQ(moving.rig.send(SLC_FLOW_LOOK, flows[i], kOpen).member, 1 + i % 6);
        }
    }
}

}  // namespace
}  // namespace sluice::test
