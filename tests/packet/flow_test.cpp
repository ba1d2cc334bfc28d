// SPDX-License-Identifier: Apache-2.0
//
// What the data plane does in slots that are in transition: every kind of packet, state of the
// slot, entry of every class and age, way of tracking, and want of room, against the rules as
// design and glossary tell them, written down here once more without a look at their
// implementation.
#include <gtest/gtest.h>

#include "tests/packet/flow_scene.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "flows.yaml";
constexpr std::uint64_t kMarked = SLC_SLOT_MARKED, kOpen = SLC_SLOT_MARKED | SLC_SLOT_OPEN,
                        kRefused = kOpen | SLC_SLOT_REFUSED, kHeld = kOpen | SLC_SLOT_HELD;

bool is_end(Sent sent) {
    return sent == Sent::fin || sent == Sent::rst;
}

bool is_followed(const Situation& it) {
    return it.kept && it.kept->left >= 0 && it.kept->role != Role::other &&
           it.kept->role != it.dead;
}

/// What a packet leaves of the entry that it followed. Source affinity: the flow is shared.
Kept renewed(const Situation& it) {
    Kept kept = *it.kept;
    const bool shared = it.tracking == "source";
    if (is_error(it.sent)) return kept;
    const slc_u32 was = kept.flow_class;
    int life = kLifetime[SLC_FLOW_EMBRYONIC];
    if (!is_syn(it.sent)) {
        kept.flow_class = is_udp(it.sent)              ? SLC_FLOW_DATAGRAM
                          : is_end(it.sent) && !shared ? SLC_FLOW_CLOSING
                                                       : SLC_FLOW_ESTABLISHED;
        life = kLifetime[kept.flow_class];
    }
    const bool may_shorten = kept.flow_class != was && !shared;
    if (life > kept.left || may_shorten) kept.left = life;
    return kept;
}

/// A new entry for `role`, or why there is none.
void remember(const Situation& it, Role role, Seen& out) {
    const slc_u32 flow_class = is_udp(it.sent)   ? SLC_FLOW_DATAGRAM
                               : is_syn(it.sent) ? SLC_FLOW_EMBRYONIC
                                                 : SLC_FLOW_ESTABLISHED;
    const bool replaces = it.kept && (it.kept->role == it.dead || it.kept->left < -1) &&
                          it.kept->role != Role::nobody;
    if (it.room == Room::group_full || it.room == Room::pool_full) {
        out.counts.refused_ceiling = 1;
    } else if (it.room == Room::bucket_full && !replaces) {
        out.counts.refused_full = 1;
    } else {
        out.counts.inserts = 1;
        if (replaces)
            out.kept.clear();
        else
            ++out.places;
        out.kept.push_back({flow_class, role, kLifetime[flow_class]});
        out.used = out.pool = replaces ? 0 : 1;
        return;
    }
    if ((it.flags & SLC_SLOT_OPEN) != 0) out.refused = true;
}

/// Where a flow goes that nobody remembers.
void decide(const Situation& it, Seen& out) {
    out.counts.misses = 1;
    out.role = it.current;
    out.reason = Reason::FORWARDED;
    // What has expired keeps its place for a while, but is nobody's any more.
    if (it.kept && it.kept->left < 0) out.kept.clear();
    const bool open = (it.flags & SLC_SLOT_OPEN) != 0 && it.previous != Role::nobody;
    if (!open) {
        if (it.tracking == "always" && !is_error(it.sent) && it.current != Role::nobody)
            remember(it, it.current, out);
        return;
    }
    const bool is_new = is_syn(it.sent) && it.tracking != "source";
    const bool held = (it.flags & (SLC_SLOT_REFUSED | SLC_SLOT_HELD)) != 0;
    if (is_new && !held) {
        if (it.current != Role::nobody) remember(it, it.current, out);
        if (out.counts.inserts == 1 || it.current == Role::nobody) return;
    } else if (!is_error(it.sent)) {
        remember(it, it.previous, out);
        if (is_new) out.counts.held = 1;
    }
    out.role = it.previous;
    out.reason = Reason::FORWARDED_PREVIOUS;
}

Seen expected(const Situation& it) {
    Seen out;
    out.refused = (it.flags & SLC_SLOT_REFUSED) != 0;
    if (it.kept) out.kept = {*it.kept};
    out.places = it.room == Room::bucket_full ? SLC_FLOW_WAYS : it.kept ? 1 : 0;
    const bool marked = (it.flags & SLC_SLOT_MARKED) != 0;
    const bool tracked = it.tracking == "always" || (marked && it.tracking != "never");
    if (!tracked) {
        out.role = it.current;
        out.reason = Reason::FORWARDED;
    } else if (is_followed(it)) {
        out.counts.hits = 1;
        out.role = it.kept->role;
        out.reason = Reason::FORWARDED_REMEMBERED;
        out.kept = {renewed(it)};
    } else {
        decide(it, out);
    }
    if (out.role == Role::nobody) out.reason = Reason::NO_BACKEND;
    if (is_error(it.sent) && out.role != Role::nobody) out.reason = Reason::FORWARDED_ICMP_ERROR;
    return out;
}

/// Every second situation in IPv6, and every second one of those in the other order next time.
class Walk {
 public:
    void expect(Situation it) {
        it.six = (count_ + count_ / 2) % 2 != 0;
        ++count_;
        if (it.kept && is_udp(it.sent) && it.tracking != "source")
            it.kept->flow_class = SLC_FLOW_DATAGRAM;
        const Seen seen = see(bench_, it);
        const Seen want = expected(it);
        EXPECT_TRUE(seen == want) << text_of(it) << "\n  wanted " << text_of(want) << "\n  seen   "
                                  << text_of(seen);
    }
    [[nodiscard]] std::size_t count() const { return count_; }

 private:
    Bench& bench_ = bench_for(kConfig);
    std::size_t count_ = 0;
};

const bool kRemembered = provokes(Reason::FORWARDED_REMEMBERED);
const bool kPrevious = provokes(Reason::FORWARDED_PREVIOUS);

TEST(Flows, FollowTheirEntriesInSlotsOfEveryState) {
    EXPECT_TRUE(kRemembered && kPrevious);
    Walk walk;
    for (const char* tracking : {"marked", "always"})
        for (const std::uint64_t flags : {kMarked, kOpen, kRefused, kHeld})
            for (const Sent sent : kAllSent)
                for (slc_u32 flow_class = 0; flow_class < SLC_FLOW_DATAGRAM; ++flow_class)
                    for (const Role role : {Role::current, Role::previous, Role::third})
                        for (const int left : {0, 17, 19, SLC_FLOW_MAX_TICKS})
                            if (flags == kOpen || (role == Role::third && left != 19))
                                walk.expect({.tracking = tracking,
                                             .sent = sent,
                                             .flags = flags,
                                             .kept = Kept{flow_class, role, left}});
    EXPECT_GT(walk.count(), 1000U);
}

TEST(Flows, ThatNobodyRemembersGoWhereTheSlotSays) {
    Walk walk;
    for (const char* tracking : {"marked", "always", "never", "source"})
        for (const std::uint64_t flags : {std::uint64_t{0}, kMarked, kOpen, kRefused, kHeld})
            for (const Sent sent : kAllSent) {
                walk.expect({.tracking = tracking, .sent = sent, .flags = flags});
                walk.expect({.tracking = tracking,
                             .sent = sent,
                             .flags = flags,
                             .previous = Role::current});
            }
}

TEST(Flows, AreRefusedWhereThereIsNoRoomAndNeverPushOthersOut) {
    Walk walk;
    for (const char* tracking : {"marked", "always"})
        for (const std::uint64_t flags : {kMarked, kOpen, kRefused, kHeld})
            for (const Room room : {Room::bucket_full, Room::group_full, Room::pool_full})
                for (const Sent sent : kAllSent)
                    walk.expect({.tracking = tracking, .sent = sent, .flags = flags, .room = room});
}

TEST(Flows, AreFollowedAndRenewedWhereThereIsNoRoomForOthers) {
    Walk walk;
    for (const Room room : {Room::bucket_full, Room::group_full, Room::pool_full})
        for (const Sent sent : kAllSent)
            walk.expect({.sent = sent, .kept = Kept{.left = 5}, .room = room});
}

/// Dead: what is remembered for it is void, and its place may be taken. Foreign: a false match.
TEST(Flows, OfDeadAndForeignBackendsAreMisses) {
    Walk walk;
    for (const char* tracking : {"marked", "always"})
        for (const std::uint64_t flags : {kMarked, kOpen, kHeld})
            for (const Sent sent : kAllSent)
                for (slc_u32 flow_class = 0; flow_class < SLC_FLOW_DATAGRAM; ++flow_class) {
                    walk.expect({.tracking = tracking,
                                 .sent = sent,
                                 .flags = flags,
                                 .kept = Kept{flow_class, Role::third, 50},
                                 .dead = Role::third});
                    walk.expect({.tracking = tracking,
                                 .sent = sent,
                                 .flags = flags,
                                 .kept = Kept{flow_class, Role::third, 50},
                                 .dead = Role::third,
                                 .room = Room::bucket_full});
                    walk.expect({.tracking = tracking,
                                 .sent = sent,
                                 .flags = flags,
                                 .kept = Kept{flow_class, Role::other, 50}});
                    walk.expect({.tracking = tracking,
                                 .sent = sent,
                                 .flags = flags,
                                 .kept = Kept{flow_class, Role::other, 50},
                                 .room = Room::bucket_full});
                }
}

/// An expired entry is none, and never will be again; but its place is taken only when no CPU can
/// still think it alive.
TEST(Flows, ThatExpiredAreForgottenAfterTwoTicks) {
    Walk walk;
    for (const Sent sent : kAllSent)
        for (const int left : {-1, -2, -20, -31})
            for (const Room room : {Room::free, Room::bucket_full})
                for (slc_u32 flow_class = 0; flow_class < SLC_FLOW_DATAGRAM; ++flow_class)
                    walk.expect(
                        {.sent = sent, .kept = Kept{flow_class, Role::third, left}, .room = room});
}

TEST(Flows, SharedByConnectionsAreEndedByNone) {
    Walk walk;
    for (const Sent sent : kAllSent)
        for (slc_u32 flow_class = 0; flow_class < SLC_FLOW_CLASSES; ++flow_class)
            for (const int left : {0, 20, 100, SLC_FLOW_MAX_TICKS})
                walk.expect({.tracking = "source",
                             .sent = sent,
                             .kept = Kept{flow_class, Role::third, left}});
}

TEST(Flows, InSlotsThatLackABackend) {
    Walk walk;
    for (const char* tracking : {"marked", "always", "never"})
        for (const std::uint64_t flags : {kMarked, kOpen, kHeld})
            for (const Sent sent : kAllSent) {
                walk.expect(
                    {.tracking = tracking, .sent = sent, .flags = flags, .current = Role::nobody});
                walk.expect(
                    {.tracking = tracking, .sent = sent, .flags = flags, .previous = Role::nobody});
                walk.expect({.tracking = tracking,
                             .sent = sent,
                             .flags = flags,
                             .current = Role::nobody,
                             .previous = Role::nobody});
            }
}

}  // namespace
}  // namespace sluice::packet
