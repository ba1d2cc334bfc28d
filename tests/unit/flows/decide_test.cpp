// SPDX-License-Identifier: Apache-2.0
// What a packet does to the flow table and where it goes: abi/sluice/flow_decide.h, row by row.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "flow_rig.h"

namespace sluice::test {
namespace {

constexpr slc_u64 kFlow = hash_in(5, 77);
constexpr slc_u8 kPacketKinds[] = {SLC_FLOW_SYN, SLC_FLOW_PACKET, SLC_FLOW_END, SLC_FLOW_UDP,
                                   SLC_FLOW_LOOK};

constexpr Want ring(slc_u32 member, slc_u8 insert = SLC_FLOW_NOT_ASKED) {
    return {member, SLC_FLOW_BY_RING, insert};
}
constexpr Want memory(slc_u32 member) {
    return {member, SLC_FLOW_BY_MEMORY};
}
constexpr Want previous(slc_u8 insert = SLC_FLOW_NOT_ASKED, slc_u8 held = 0) {
    return {kOld, SLC_FLOW_BY_PREVIOUS, insert, held};
}

struct Row {
    const char* name;
    slc_u8 kind;
    slc_u64 slot;
    bool full;  ///< The bucket has no room.
    bool always;
    Want want;
};

/// The table above slc_flow_decide for a flow that nobody remembers.
constexpr slc_u64 kRefused = kOpen | SLC_SLOT_REFUSED;
constexpr slc_u64 kHeld = kOpen | SLC_SLOT_HELD;
constexpr slc_u64 kSame = SLC_SLOT_MAKE(kOld, kOld, SLC_SLOT_MARKED | SLC_SLOT_OPEN);
constexpr slc_u64 kNobody = SLC_SLOT_MAKE(0, kOld, SLC_SLOT_MARKED | SLC_SLOT_OPEN);
constexpr slc_u64 kFirst = SLC_SLOT_MAKE(kNew, 0, SLC_SLOT_MARKED | SLC_SLOT_OPEN);
constexpr slc_u8 kIn = SLC_FLOW_INSERTED;
constexpr slc_u8 kFull = SLC_FLOW_REFUSED_FULL;
constexpr Row kRows[] = {
    {"closed, SYN", SLC_FLOW_SYN, kMarked, false, false, ring(kNew)},
    {"closed, packet", SLC_FLOW_PACKET, kMarked, false, false, ring(kNew)},
    {"closed, FIN", SLC_FLOW_END, kMarked, false, false, ring(kNew)},
    {"closed, UDP", SLC_FLOW_UDP, kMarked, false, false, ring(kNew)},
    {"closed, look", SLC_FLOW_LOOK, kMarked, false, false, ring(kNew)},
    {"closed, tracked always, SYN", SLC_FLOW_SYN, kUnmarked, false, true, ring(kNew, kIn)},
    {"closed, tracked always, packet", SLC_FLOW_PACKET, kUnmarked, false, true, ring(kNew, kIn)},
    {"closed, tracked always, UDP", SLC_FLOW_UDP, kUnmarked, false, true, ring(kNew, kIn)},
    {"closed, tracked always, look", SLC_FLOW_LOOK, kUnmarked, false, true, ring(kNew)},
    {"closed, tracked always, no room", SLC_FLOW_SYN, kUnmarked, true, true, ring(kNew, kFull)},
    {"open, SYN", SLC_FLOW_SYN, kOpen, false, false, ring(kNew, kIn)},
    {"open, SYN, no room", SLC_FLOW_SYN, kOpen, true, false, previous(kFull)},
    {"open, SYN, refused before", SLC_FLOW_SYN, kRefused, false, false, previous(kIn, 1)},
    {"open, SYN, held", SLC_FLOW_SYN, kHeld, false, false, previous(kIn, 1)},
    {"open, SYN, held, no room", SLC_FLOW_SYN, kHeld, true, false, previous(kFull, 1)},
    {"open, packet, held", SLC_FLOW_PACKET, kHeld, false, false, previous(kIn)},
    {"open, UDP, held", SLC_FLOW_UDP, kHeld, false, false, previous(kIn)},
    {"open, packet", SLC_FLOW_PACKET, kOpen, false, false, previous(kIn)},
    {"open, packet, no room", SLC_FLOW_PACKET, kOpen, true, false, previous(kFull)},
    {"open, FIN", SLC_FLOW_END, kOpen, false, false, previous(kIn)},
    {"open, UDP", SLC_FLOW_UDP, kOpen, false, false, previous(kIn)},
    {"open, look", SLC_FLOW_LOOK, kOpen, false, false, previous()},
    {"open, look, no room", SLC_FLOW_LOOK, kOpen, true, false, previous()},
    {"preparing, SYN", SLC_FLOW_SYN, kSame, false, false, ring(kOld, kIn)},
    {"preparing, packet", SLC_FLOW_PACKET, kSame, false, false, previous(kIn)},
    {"open, nobody takes new flows, SYN", SLC_FLOW_SYN, kNobody, false, false, ring(0)},
    {"open, nobody takes new flows, packet", SLC_FLOW_PACKET, kNobody, false, false, previous(kIn)},
    {"open, nobody had the slot, SYN", SLC_FLOW_SYN, kFirst, false, false, ring(kNew)},
    {"open, nobody had the slot, packet", SLC_FLOW_PACKET, kFirst, false, false, ring(kNew)},
    {"open, tracked always, SYN", SLC_FLOW_SYN, kOpen, false, true, ring(kNew, kIn)},
    {"open, tracked always, packet", SLC_FLOW_PACKET, kOpen, false, true, previous(kIn)},
};

TEST(UnknownFlow, goes_where_the_table_of_flow_decide_says) {
    for (const Row& row : kRows) {
        Rig rig;
        rig.always = row.always;
        if (row.full) rig.crowd(kFlow, SLC_FLOW_WAYS);
        const slc_u64 before = rig.table.count();
        const slc_flow_answer answer = rig.send(row.kind, kFlow, row.slot);
        EXPECT_EQ(answer, row.want) << row.name;
        const bool inserted = row.want.insert == SLC_FLOW_INSERTED;
        EXPECT_EQ(rig.table.count(), before + inserted) << row.name;
        EXPECT_EQ(rig.used(1), rig.table.count()) << row.name;
        const slc_u64 entry = rig.entry_of(kFlow);
        EXPECT_EQ(entry != 0, inserted) << row.name;
        if (!inserted) continue;
        const slc_u32 flow_class = slc_flow_first_class(row.kind);
        EXPECT_EQ(SLC_FLOW_MEMBER_OF(entry), row.want.member) << row.name;
        EXPECT_EQ(SLC_FLOW_CLASS_OF(entry), flow_class) << row.name;
        EXPECT_EQ(slc_flow_left(entry, rig.tick), kLifetimes[flow_class]) << row.name;
    }
}

TEST(RememberedFlow, goes_where_it_is_remembered_whatever_the_slot_says) {
    for (const slc_u64 slot :
         {kUnmarked, kMarked, kOpen, kRefused, kHeld, kSame, kNobody, kFirst}) {
        for (const slc_u8 kind : kPacketKinds) {
            for (slc_u32 flow_class = 0; flow_class < SLC_FLOW_CLASSES; ++flow_class) {
                Rig rig;
                rig.put(kFlow, flow_class, kAnother, 0);  // its last tick
                EXPECT_EQ(rig.send(kind, kFlow, slot), memory(kAnother));
                EXPECT_EQ(rig.table.count(), 1u);
                EXPECT_EQ(rig.used(1), 1u);
            }
        }
    }
}

TEST(RememberedFlow, is_renewed_shortened_and_restored_by_class) {
    for (const slc_u8 kind : kPacketKinds) {
        for (slc_u32 was = 0; was < SLC_FLOW_CLASSES; ++was) {
            for (const slc_u8 left : {0, 1, 15, 16, 17, 29, 30, 31, 199, 200, 201, 224}) {
                Rig rig;
                rig.put(kFlow, was, kAnother, left);
                const slc_flow_ask ask = rig.asks(kind, kFlow, kOpen);
                rig.send(kind, kFlow, kOpen);
                const slc_u64 entry = rig.entry_of(kFlow);
                EXPECT_EQ(SLC_FLOW_CLASS_OF(entry), slc_flow_next_class(kind, was, 0));
                EXPECT_EQ(slc_flow_left(entry, rig.tick), slc_flow_life_after(&ask, was, left))
                    << "kind " << int{kind} << ", class " << was << ", left " << int{left};
            }
        }
    }
}

TEST(RememberedFlow, outlives_the_handshake_of_a_syn_that_follows_it_and_keeps_its_class) {
    for (const slc_u32 flow_class : {SLC_FLOW_ESTABLISHED, SLC_FLOW_CLOSING, SLC_FLOW_DATAGRAM}) {
        for (const int left : {0, kEmbryonic - 1, kEmbryonic + 0, kEmbryonic + 1}) {
            Rig rig;
            rig.put(kFlow, flow_class, kAnother, static_cast<slc_u32>(left));
            for (int i = 0; i < 3; ++i)
                EXPECT_EQ(rig.send(SLC_FLOW_SYN, kFlow, kOpen), memory(kAnother));
            EXPECT_EQ(SLC_FLOW_CLASS_OF(rig.entry_of(kFlow)), flow_class);
            EXPECT_EQ(slc_flow_left(rig.entry_of(kFlow), rig.tick),
                      std::max<int>(left, kEmbryonic));
        }
    }
}

TEST(ExpiredFlow, never_lives_again_once_a_packet_of_its_tuple_has_come) {
    for (const slc_u64 slot : {kUnmarked, kMarked, kOpen, kHeld}) {
        for (const slc_u8 kind : kPacketKinds) {
            for (const slc_u32 expired_for : {1u, 2u, 31u}) {
                Rig rig;
                rig.put(kFlow, SLC_FLOW_ESTABLISHED, kAnother, 0);
                rig.tick += expired_for;
                rig.send(kind, kFlow, slot);
                // Its age wraps: no sweep has come.
                rig.tick += 256 - expired_for;
                EXPECT_NE(rig.send(SLC_FLOW_LOOK, kFlow, slot).member, kAnother);
                EXPECT_LE(rig.used(1), 2u);
                EXPECT_EQ(rig.used(1), rig.table.count()) << "it is still on its account";
            }
        }
    }
}

TEST(SharedFlow, treats_a_syn_of_an_unknown_client_as_any_other_packet) {
    Rig rig;
    rig.shared = true;
    EXPECT_EQ(rig.send(SLC_FLOW_SYN, kFlow, kOpen), previous(kIn));
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kOpen), memory(kOld));
    rig.crowd(hash_in(3, 1), SLC_FLOW_WAYS);
    EXPECT_EQ(rig.send(SLC_FLOW_SYN, hash_in(3, 2), kOpen), previous(kFull));
    EXPECT_EQ(rig.send(SLC_FLOW_SYN, hash_in(3, 2), kHeld), previous(kFull)) << "not for the hold";
}

TEST(RememberedFlow, lives_its_lifetime_to_the_last_tick_and_not_one_more) {
    struct Life {
        slc_u8 kind;
        slc_u8 ticks;
    };
    for (const Life& life : {Life{SLC_FLOW_SYN, kEmbryonic}, Life{SLC_FLOW_PACKET, kEstablished},
                             Life{SLC_FLOW_END, kEstablished}, Life{SLC_FLOW_UDP, kDatagram}}) {
        for (const slc_u32 start : {1000u, 255u, 0xffffff80u}) {  // the last wraps on its way
            Rig rig;
            rig.tick = start;
            const slc_u32 member = life.kind == SLC_FLOW_SYN ? kNew : kOld;
            rig.send(life.kind, kFlow, kOpen);
            for (slc_u32 i = 0; i <= life.ticks; ++i, ++rig.tick)
                ASSERT_EQ(rig.send(SLC_FLOW_LOOK, kFlow, kOpen), memory(member)) << i;
            EXPECT_EQ(rig.send(SLC_FLOW_LOOK, kFlow, kOpen), previous());
        }
    }
}

TEST(RememberedFlow, lives_for_ever_with_a_packet_in_each_idle_lifetime) {
    Rig rig;
    rig.send(SLC_FLOW_SYN, kFlow, kOpen);
    for (int turn = 0; turn < 50; ++turn, rig.tick += kEstablished)
        ASSERT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kMarked), memory(kNew)) << turn;
}

TEST(RememberedFlow, of_another_group_is_a_miss_and_stays_untouched) {
    for (const slc_u8 kind : kPacketKinds) {
        Rig rig;
        const slc_u64 before = rig.put(kFlow, SLC_FLOW_EMBRYONIC, kForeign, 3);
        const slc_flow_answer answer = rig.send(kind, kFlow, kOpen);
        EXPECT_NE(answer.how, SLC_FLOW_BY_MEMORY);
        EXPECT_EQ(rig.table.bucket_of(kFlow).entry[0], before);
        EXPECT_EQ(rig.used(2), 1u);
        rig.group = 2;
        EXPECT_EQ(rig.send(SLC_FLOW_LOOK, kFlow, kOpen).member, kForeign);
    }
}

/// Its group falls back on another one: both are of one family.
TEST(RememberedFlow, of_a_group_that_stands_in_is_followed_and_paid_for_by_that) {
    Rig rig;
    rig.world.members[kForeign].family = 1;
    const slc_u64 slot = SLC_SLOT_MAKE(kNew, kForeign, SLC_SLOT_MARKED | SLC_SLOT_OPEN);
    const slc_flow_answer first = rig.send(SLC_FLOW_PACKET, kFlow, slot);
    EXPECT_EQ(first.insert, kIn);
    EXPECT_EQ(first.member, kForeign);
    for (int turn = 0; turn < 20; ++turn)
        EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, slot), memory(kForeign)) << turn;
    EXPECT_EQ(rig.used(1), 0u);
    EXPECT_EQ(rig.used(2), 1u);
    // And given back to it, when another flow takes the place.
    rig.crowd(kFlow, SLC_FLOW_WAYS - 1);
    rig.tick += kEstablished + 2;
    const slc_u64 other = hash_in(slc_flow_bucket_of(kFlow, rig.table.log2), 77);
    EXPECT_EQ(rig.send(SLC_FLOW_SYN, other, kOpen).insert, kIn);
    EXPECT_EQ(rig.used(2), 0u);
}

TEST(RememberedFlow, of_a_member_that_nobody_knows_is_a_miss) {
    Rig rig;
    rig.put(kFlow, SLC_FLOW_ESTABLISHED, kAnother, 100);
    rig.world.members.erase(kAnother);
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kOpen), previous(kIn));
}

TEST(DeadMember, loses_its_flow_in_place_even_in_a_full_bucket) {
    for (const slc_u8 kind : {SLC_FLOW_SYN, SLC_FLOW_PACKET, SLC_FLOW_UDP}) {
        Rig rig;
        const slc_u64* place = &rig.put(kFlow, SLC_FLOW_ESTABLISHED, kAnother, 100);
        rig.crowd(kFlow, SLC_FLOW_WAYS - 1);
        rig.world.members[kAnother].down = true;
        const slc_u32 member = kind == SLC_FLOW_SYN ? kNew : kOld;
        const slc_flow_answer answer = rig.send(kind, kFlow, kOpen);
        EXPECT_EQ(answer.member, member);
        EXPECT_EQ(answer.insert, SLC_FLOW_INSERTED);
        EXPECT_EQ(SLC_FLOW_MEMBER_OF(*place), member);
        EXPECT_EQ(rig.used(1), rig.table.count());
        EXPECT_EQ(rig.send(SLC_FLOW_LOOK, kFlow, kOpen), memory(member));
    }
}

TEST(DeadMember, is_not_followed_in_a_slot_that_is_closed_either) {
    Rig rig;
    const slc_u64 before = rig.put(kFlow, SLC_FLOW_ESTABLISHED, kAnother, 100);
    rig.world.members[kAnother].down = true;
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kMarked), ring(kNew));
    EXPECT_EQ(rig.entry_of(kFlow), before);
}

TEST(DeadMember, leaves_other_flows_of_it_alone) {
    Rig rig;
    rig.world.members[kAnother].down = true;
    rig.crowd(kFlow, SLC_FLOW_WAYS);  // of kAnother, but other flows
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kOpen), previous(kFull));
}

TEST(LiveEntry, is_never_replaced) {
    // Every place holds a flow in the tick given; a place is free from the second tick after.
    for (slc_u32 flow_class = 0; flow_class < SLC_FLOW_CLASSES; ++flow_class) {
        for (int left = SLC_FLOW_MAX_TICKS; left >= -31; --left) {
            Rig rig;
            for (int i = 0; i < SLC_FLOW_WAYS; ++i)
                rig.put(hash_in(5, 1000 + i), flow_class, kAnother, static_cast<slc_u32>(left));
            const slc_flow_answer answer = rig.send(SLC_FLOW_SYN, kFlow, kOpen);
            const bool room = left <= -2;
            ASSERT_EQ(answer, room ? ring(kNew, kIn) : previous(kFull)) << left;
            ASSERT_EQ(rig.table.count(), 8u);
            ASSERT_EQ(rig.used(1), 8u) << left;
        }
    }
}

TEST(ExpiredEntry, of_the_same_flow_is_not_followed_and_its_place_is_reused) {
    Rig rig;
    rig.put(kFlow, SLC_FLOW_ESTABLISHED, kAnother, 0);
    rig.crowd(kFlow, SLC_FLOW_WAYS - 1);
    rig.tick += 1;
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kOpen), previous(kFull)) << "one tick ago: in doubt";
    rig.tick += 1;
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kOpen), previous(kIn));
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kOpen), memory(kOld));
}

TEST(HeldSlot, lets_a_refused_syn_that_comes_again_go_where_it_went) {
    Rig rig;
    rig.crowd(kFlow, SLC_FLOW_WAYS);
    EXPECT_EQ(rig.send(SLC_FLOW_SYN, kFlow, kOpen), previous(kFull));
    // Room comes up, and the data plane has set the flag, or user space has held the slot since.
    for (const slc_u64 flag : {SLC_SLOT_REFUSED, SLC_SLOT_HELD}) {
        rig.table.bucket_of(kFlow).entry[2] = 0;
        EXPECT_EQ(rig.send(SLC_FLOW_SYN, kFlow, kOpen | flag), previous(kIn, 1));
        EXPECT_EQ(rig.send(SLC_FLOW_SYN, kFlow, kOpen), memory(kOld)) << "and it is remembered";
    }
}

TEST(SharedHash, is_not_ended_or_shortened_by_one_of_its_connections) {
    Rig rig;
    rig.shared = true;
    rig.send(SLC_FLOW_SYN, kFlow, kOpen);
    rig.send(SLC_FLOW_PACKET, kFlow, kOpen);
    rig.send(SLC_FLOW_END, kFlow, kOpen);
    EXPECT_EQ(SLC_FLOW_CLASS_OF(rig.entry_of(kFlow)), slc_u32{SLC_FLOW_ESTABLISHED});
    EXPECT_EQ(slc_flow_left(rig.entry_of(kFlow), rig.tick), kEstablished);
    rig.send(SLC_FLOW_UDP, kFlow, kOpen);
    EXPECT_EQ(slc_flow_left(rig.entry_of(kFlow), rig.tick), kEstablished);
}

TEST(HandOver, of_a_connection_through_every_state) {
    Rig rig;
    const auto left = [&] { return slc_flow_left(rig.entry_of(kFlow), rig.tick); };
    EXPECT_EQ(rig.send(SLC_FLOW_SYN, kFlow, kOpen), ring(kNew, kIn));
    rig.tick += 10;
    EXPECT_EQ(rig.send(SLC_FLOW_SYN, kFlow, kOpen), memory(kNew));
    EXPECT_EQ(left(), kEmbryonic);
    rig.tick += 5;
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kOpen), memory(kNew));
    EXPECT_EQ(left(), kEstablished);
    rig.tick += 190;
    EXPECT_EQ(rig.send(SLC_FLOW_END, kFlow, kMarked), memory(kNew));
    EXPECT_EQ(left(), kClosing);
    rig.tick += 20;
    EXPECT_EQ(rig.send(SLC_FLOW_PACKET, kFlow, kMarked), memory(kNew)) << "it was not the end";
    EXPECT_EQ(left(), kEstablished);
    rig.send(SLC_FLOW_END, kFlow, kMarked);
    rig.tick += kClosing + 2;
    EXPECT_EQ(rig.send(SLC_FLOW_SYN, kFlow, kMarked), ring(kNew));
}

}  // namespace
}  // namespace sluice::test
