// SPDX-License-Identifier: Apache-2.0
//
// A flow table of another size and tick that is being left: flows move over with their first packet
// and keep what was left of their lives.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tests/packet/flow_scene.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

/// Of the table in use (flows.yaml): buckets of 512 entries, ticks of 2^32 ns.
constexpr int kShift = 32;

/// A bigger table with finer ticks, and a smaller one with coarser ticks.
constexpr plan::FlowGeometry kOlds[] = {{.log2 = 9, .shift = 30}, {.log2 = 6, .shift = 33}};

std::unique_ptr<Bench> opened(const plan::FlowGeometry& old) {
    auto bench = Bench::from(bench_for("flows.yaml").config(), {.leaving = old});
    if (!bench || !(*bench)->flows().leaving() ||
        (*bench)->flows().current().geometry.shift != kShift) {
        std::fprintf(stderr, "no table is being left\n");
        std::abort();
    }
    return std::move(*bench);
}

/// The bench on which kOlds[index] is being left.
Bench& leaving(std::size_t index) {
    static const std::unique_ptr<Bench> kBenches[] = {opened(kOlds[0]), opened(kOlds[1])};
    return *kBenches[index];
}

/// Ticks of the table in use that last as long as `ticks` of the old one, never less.
int converted(int ticks, const plan::FlowGeometry& old) {
    const double of_current = std::ldexp(ticks, old.shift - kShift);
    return std::min(static_cast<int>(std::ceil(of_current)), SLC_FLOW_MAX_TICKS);
}

TEST(OldTable, FlowsMoveWithTheirFirstPacket) {
    for (std::size_t index = 0; index < std::size(kOlds); ++index) {
        const plan::FlowGeometry& old = kOlds[index];
        for (const bool six : {false, true})
            for (const Sent sent : kAllSent) {
                const slc_u32 flow_class = is_udp(sent) ? SLC_FLOW_DATAGRAM : SLC_FLOW_ESTABLISHED;
                const Situation it{
                    .six = six, .sent = sent, .kept_in_old = Kept{flow_class, Role::third, 60}};
                const Seen seen = see(leaving(index), it);
                const std::string told = text_of(it) + "\n  " + text_of(seen);
                EXPECT_EQ(seen.role, Role::third) << told;
                EXPECT_EQ(seen.counts, (FlowCounts{.hits = 1})) << told;
                EXPECT_EQ(seen.used, 0) << told;
                EXPECT_EQ(seen.pool, 0) << told;
                EXPECT_FALSE(seen.refused) << told;
                if (is_error(sent)) {  // looks, and moves nothing
                    EXPECT_TRUE(seen.kept.empty()) << told;
                    EXPECT_EQ(seen.kept_in_old, std::vector<Kept>{*it.kept_in_old}) << told;
                    continue;
                }
                EXPECT_EQ(seen.reason, Reason::FORWARDED_REMEMBERED) << told;
                EXPECT_TRUE(seen.kept_in_old.empty()) << told;
                const bool ends = sent == Sent::fin || sent == Sent::rst;
                const slc_u32 now = ends ? slc_u32{SLC_FLOW_CLOSING} : flow_class;
                const int left = converted(60, old);
                const int life = is_syn(sent)   ? std::max(left, kLifetime[SLC_FLOW_EMBRYONIC])
                                 : is_udp(sent) ? std::max(left, kLifetime[now])
                                                : kLifetime[now];
                EXPECT_EQ(seen.kept, (std::vector<Kept>{{now, Role::third, life}})) << told;
            }
    }
}

TEST(OldTable, FlowsStayAndAreRenewedWhereTheNewOneHasNoRoom) {
    for (std::size_t index = 0; index < std::size(kOlds); ++index) {
        const plan::FlowGeometry& old = kOlds[index];
        const Situation it{.kept_in_old = Kept{.left = 3}, .room = Room::bucket_full};
        const Seen seen = see(leaving(index), it);
        const std::string told = text_of(it) + "\n  " + text_of(seen);
        EXPECT_EQ(seen.role, Role::third) << told;
        EXPECT_EQ(seen.reason, Reason::FORWARDED_REMEMBERED) << told;
        EXPECT_TRUE(seen.kept.empty()) << told;
        ASSERT_EQ(seen.kept_in_old.size(), 1U) << told;
        // 210 ticks of 2^32 ns, as far as the old table's byte can say it.
        const int life = std::min(static_cast<int>(std::ceil(std::ldexp(
                                      kLifetime[SLC_FLOW_ESTABLISHED], kShift - old.shift))),
                                  SLC_FLOW_MAX_TICKS);
        EXPECT_EQ(seen.kept_in_old[0].left, life) << told;
        EXPECT_FALSE(seen.refused) << told;
    }
}

/// A ceiling keeps no flow from moving: it is no entry more.
TEST(OldTable, FlowsMoveWhateverTheirGroupMayTake) {
    for (const Room room : {Room::group_full, Room::pool_full}) {
        const Situation it{.kept_in_old = Kept{}, .room = room};
        const Seen seen = see(leaving(0), it);
        EXPECT_EQ(seen.kept.size(), 1U) << text_of(seen);
        EXPECT_TRUE(seen.kept_in_old.empty()) << text_of(seen);
        EXPECT_EQ(seen.used, 0) << text_of(seen);
    }
}

TEST(OldTable, TheNewTableDecidesWhereBothRemember) {
    for (const Sent sent : {Sent::syn, Sent::ack, Sent::error_about_tcp}) {
        const Situation it{.sent = sent,
                           .kept = Kept{.role = Role::current},
                           .kept_in_old = Kept{.role = Role::third}};
        const Seen seen = see(leaving(0), it);
        EXPECT_EQ(seen.role, Role::current) << text_of(it) << text_of(seen);
        EXPECT_EQ(seen.kept_in_old.size(), 1U) << text_of(seen);
    }
}

/// Expired, dead and foreign entries of the old table are none: the slot says where to go.
TEST(OldTable, WhatIsVoidThereIsAMiss) {
    for (std::size_t index = 0; index < std::size(kOlds); ++index) {
        const Situation voids[] = {
            {.kept_in_old = Kept{.left = -1}},
            {.kept_in_old = Kept{.left = -20}},
            {.kept_in_old = Kept{.left = 50}, .dead = Role::third},
            {.kept_in_old = Kept{.role = Role::other}},
        };
        for (Situation it : voids)
            for (const Sent sent : {Sent::syn, Sent::ack, Sent::fin}) {
                it.sent = sent;
                const Role to = sent == Sent::syn ? Role::current : Role::previous;
                const Seen seen = see(leaving(index), it);
                const std::string told = text_of(it) + "\n  " + text_of(seen);
                EXPECT_EQ(seen.role, to) << told;
                EXPECT_EQ(seen.counts, (FlowCounts{.misses = 1, .inserts = 1})) << told;
                ASSERT_EQ(seen.kept.size(), 1U) << told;
                EXPECT_EQ(seen.kept[0].role, to) << told;
                EXPECT_EQ(seen.used, 1) << told;
            }
    }
}

/// Without an entry anywhere the old table changes nothing.
TEST(OldTable, NewFlowsAreRememberedInTheNewOne) {
    for (const Sent sent : {Sent::syn, Sent::ack, Sent::udp}) {
        const Situation it{.sent = sent};
        const Seen seen = see(leaving(0), it);
        EXPECT_EQ(seen.kept.size(), 1U) << text_of(seen);
        EXPECT_TRUE(seen.kept_in_old.empty()) << text_of(seen);
        EXPECT_EQ(seen.used, 1) << text_of(seen);
    }
}

}  // namespace
}  // namespace sluice::packet
