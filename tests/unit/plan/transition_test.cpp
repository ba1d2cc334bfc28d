// SPDX-License-Identifier: Apache-2.0
//
// Rules of slots in transition, one by one. What they are good for is tested with connections in
// tests/unit/model.
#include "plan/transition.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <string>
#include <vector>

namespace sluice::plan {
namespace {

using namespace std::chrono_literals;

using Words = std::vector<std::uint64_t>;
using Owners = std::vector<std::uint32_t>;

constexpr std::uint64_t kOpen = SLC_SLOT_MARKED | SLC_SLOT_OPEN;
constexpr TransitionTimes kTimes{3s, 60s, true};

bool nobody(std::uint32_t /*member*/) {
    return false;
}

RingTransition::IsDead dead(std::uint32_t which) {
    return [which](std::uint32_t member) { return member == which; };
}

std::uint64_t steady(std::uint32_t member) {
    return SLC_SLOT_MAKE(member, member, 0);
}

/// A ring of one slot owned by member 1, unless said otherwise.
struct One {
    explicit One(std::uint64_t word = steady(1), TransitionTimes times = kTimes)
        : words{word}, ring(words, times, now) {}
    void aim(std::uint32_t owner, const RingTransition::IsDead& is_dead = nobody,
             Instant deadline = {}) {
        ring.aim(Owners{owner}, is_dead, now, deadline);
    }
    void pass(Instant time) {
        now += time;
        ring.step(now);
    }
    /// Nothing is remembered elsewhere.
    void sweep(bool foreign = false) { ring.swept({foreign}, now); }

    Instant now{100'000};
    Words words;
    RingTransition ring;
};

TEST(Transition, leaves_a_slot_alone_whose_owner_stays) {
    One one;
    one.aim(1);
    one.pass(100s);
    EXPECT_EQ(one.words[0], steady(1));
    EXPECT_TRUE(one.ring.settled());
    EXPECT_EQ(one.ring.counts().marked, 0u);
}

TEST(Transition, prepares_moves_closes_and_settles) {
    One one;
    one.aim(2);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(1, 1, kOpen));
    EXPECT_EQ(one.ring.counts().preparing, 1u);
    one.pass(2999ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(1, 1, kOpen));
    one.pass(1ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 1, kOpen));
    EXPECT_EQ(one.ring.counts().open, 1u);
    EXPECT_EQ(one.ring.counts().window_ends, Instant(160'000));
    one.pass(56'999ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 1, kOpen));
    one.pass(1ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
    EXPECT_FALSE(one.ring.settled());
    one.pass(1s);
    one.sweep(true);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED)) << "somebody is remembered";
    one.sweep();
    EXPECT_EQ(one.words[0], steady(2));
    EXPECT_TRUE(one.ring.settled());
}

TEST(Transition, does_not_believe_a_sweep_that_began_before_the_last_packets_of_the_window_left) {
    One one;
    one.aim(2);
    one.pass(3s);
    one.pass(57s);
    one.ring.swept({false}, one.now - 1s);
    one.ring.swept({false}, one.now + 199ms);
    EXPECT_NE(one.words[0] & SLC_SLOT_MARKED, 0u);
    one.ring.swept({false}, one.now + 200ms);
    EXPECT_EQ(one.words[0], steady(2));
}

TEST(Transition, undone_while_it_is_prepared_closes_at_once) {
    One one;
    one.aim(2);
    one.pass(1s);
    one.aim(1);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(1, 1, SLC_SLOT_MARKED));
}

TEST(Transition, undone_half_way_goes_back_at_once_and_remembers_who_came_meanwhile) {
    One one;
    one.aim(2);
    one.pass(3s);
    one.aim(1);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(1, 1, SLC_SLOT_MARKED));
}

TEST(Transition, moves_at_once_to_another_aim_while_open_and_keeps_the_former_owner) {
    One one;
    one.aim(2);
    one.pass(10s);
    one.aim(3);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(3, 1, kOpen));
    one.pass(50s);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(3, 3, SLC_SLOT_MARKED)) << "counted from the opening";
}

TEST(Transition, opens_a_closed_slot_again_with_a_preparation_of_its_own) {
    One one;
    one.aim(2);
    one.pass(3s);
    one.pass(57s);
    one.aim(3);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 2, kOpen));
    one.pass(3s);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(3, 2, kOpen));
}

TEST(Refusal, holds_the_slot_for_a_preparation_and_begins_the_window_anew) {
    One one;
    one.aim(2);
    one.pass(30s);
    one.words[0] |= SLC_SLOT_REFUSED;
    one.pass(1s);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 1, kOpen | SLC_SLOT_HELD));
    EXPECT_EQ(one.ring.counts().held, 1u);
    one.pass(2999ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 1, kOpen | SLC_SLOT_HELD));
    one.pass(1ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 1, kOpen));
    one.pass(56'999ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 1, kOpen));
    one.pass(1ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
}

TEST(Refusal, keeps_a_slot_held_however_short_the_window) {
    One one(steady(1), {3s, 1s, true});
    one.aim(2);
    one.pass(2900ms);
    one.words[0] |= SLC_SLOT_REFUSED;
    one.pass(100ms);
    one.pass(2999ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 1, kOpen | SLC_SLOT_HELD));
    one.pass(1ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
}

TEST(Refusal, does_not_hold_back_an_undo) {
    One one;
    one.aim(2);
    one.pass(3s);
    one.words[0] |= SLC_SLOT_REFUSED;
    one.aim(1);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(1, 1, SLC_SLOT_MARKED));
}

TEST(DeadMember, is_replaced_at_once_and_without_a_mark_in_a_steady_slot) {
    One one;
    one.aim(2, dead(1));
    EXPECT_EQ(one.words[0], steady(2));
    EXPECT_TRUE(one.ring.settled());
}

TEST(DeadMember, is_replaced_at_once_in_either_part_of_an_open_slot) {
    One as_former;
    as_former.aim(2);
    as_former.pass(3s);
    as_former.aim(2, dead(1));
    EXPECT_EQ(as_former.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
    One as_owner;
    as_owner.aim(2);
    as_owner.pass(3s);
    as_owner.aim(3, dead(2));
    EXPECT_EQ(as_owner.words[0], SLC_SLOT_MAKE(3, 1, kOpen));
    One while_prepared;
    while_prepared.aim(2);
    while_prepared.aim(2, dead(1));
    EXPECT_EQ(while_prepared.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
}

TEST(DeadMember, does_not_touch_slots_of_others) {
    Words words{steady(1), steady(2), steady(3)};
    RingTransition ring(words, kTimes, 1s);
    ring.aim(Owners{1, 3, 3}, dead(2), 2s);
    EXPECT_EQ(words, (Words{steady(1), steady(3), steady(3)}));
}

TEST(SlotWithoutOwner, takes_one_at_once) {
    One unowned(steady(0));
    unowned.aim(2);
    EXPECT_EQ(unowned.words[0], steady(2));
    One drained;
    drained.aim(0);
    drained.pass(3s);
    EXPECT_EQ(drained.words[0], SLC_SLOT_MAKE(0, 1, kOpen));
    drained.pass(57s);
    EXPECT_EQ(drained.words[0], SLC_SLOT_MAKE(0, 0, SLC_SLOT_MARKED));
    drained.aim(2);
    EXPECT_EQ(drained.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
    drained.pass(1s);
    drained.sweep();
    EXPECT_EQ(drained.words[0], steady(2));
}

TEST(SlotWithoutOwner, is_closed_by_the_one_that_it_takes_when_its_former_one_has_failed) {
    One one;
    one.aim(0);
    one.pass(5s);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(0, 1, kOpen));
    one.aim(2, dead(1));
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
    one.aim(3, dead(1));
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 2, kOpen)) << "which has connections to prepare";
    One found(SLC_SLOT_MAKE(2, 0, kOpen));
    found.aim(2);
    EXPECT_EQ(found.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
}

TEST(Deadline, closes_whatever_is_refused_and_is_overdue_until_a_sweep_is_clean) {
    One one;
    one.aim(2, nobody, 10s);
    EXPECT_EQ(one.ring.counts().deadline, Instant(110'000));
    one.pass(9999ms);
    EXPECT_FALSE(one.ring.any_overdue());
    one.words[0] |= SLC_SLOT_REFUSED;
    one.pass(1ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
    EXPECT_TRUE(one.ring.overdue(0));
    one.pass(1s);
    one.sweep(true);
    EXPECT_TRUE(one.ring.any_overdue());
    one.sweep();
    EXPECT_FALSE(one.ring.any_overdue());
    EXPECT_TRUE(one.ring.settled());
}

TEST(Deadline, cuts_the_preparation_short_too) {
    One one;
    one.aim(2, nobody, 1s);
    one.pass(1s);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
    EXPECT_TRUE(one.ring.overdue(0));
}

TEST(Deadline, belongs_to_the_change_and_ends_with_it) {
    One one;
    one.aim(2, nobody, 10s);
    one.pass(5s);
    one.aim(3);
    one.pass(30s);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(3, 1, kOpen)) << "the later change has none";
    EXPECT_EQ(one.ring.counts().deadline, Instant(0));
}

TEST(Deadline, can_be_given_to_what_concerns_a_member_and_taken_again) {
    Words words{steady(1), steady(2)};
    RingTransition ring(words, kTimes, 1s);
    ring.aim(Owners{3, 4}, nobody, 2s);
    ring.limit(1, Instant(10s));
    ring.step(10s);
    EXPECT_TRUE(ring.overdue(0));
    EXPECT_FALSE(ring.overdue(1));
    ring.limit(4, Instant(20s));
    ring.limit(4, Instant(0));
    ring.step(30s);
    EXPECT_FALSE(ring.overdue(1));
}

TEST(Deadline, reaches_slots_that_a_member_owned_only_for_a_while) {
    One one;
    one.aim(2);
    one.pass(10s);
    one.aim(3);
    EXPECT_EQ(one.ring.counts_of(2, true).marked, 1u) << "flows may be remembered for it";
    one.ring.limit(2, one.now + 5s);
    one.pass(5s);
    EXPECT_TRUE(one.ring.overdue(0));
}

TEST(Deadline, reaches_slots_of_which_only_the_words_tell) {
    One one(SLC_SLOT_MAKE(3, 1, kOpen));
    one.ring.limit(2, one.now + 5s);
    one.pass(5s);
    EXPECT_TRUE(one.ring.overdue(0));
}

TEST(Adoption, goes_on_where_the_words_are_with_windows_that_begin_anew) {
    Words words{steady(1), SLC_SLOT_MAKE(1, 1, kOpen), SLC_SLOT_MAKE(2, 1, kOpen),
                SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED)};
    RingTransition ring(words, kTimes, 1s);
    EXPECT_EQ(ring.counts().preparing, 1u);
    EXPECT_EQ(ring.counts().open, 1u);
    EXPECT_EQ(ring.counts().marked, 3u);
    ring.aim(Owners{1, 2, 2, 2}, nobody, 2s);
    ring.step(4s);
    EXPECT_EQ(words[1], SLC_SLOT_MAKE(2, 1, kOpen));
    ring.step(60'999ms);
    EXPECT_EQ(words[2], SLC_SLOT_MAKE(2, 1, kOpen));
    ring.step(61s);
    EXPECT_EQ(words[2], SLC_SLOT_MAKE(2, 2, SLC_SLOT_MARKED));
    ring.swept(std::vector<bool>(4), 62s);
    EXPECT_EQ(words, (Words{steady(1), steady(2), steady(2), steady(2)}));
}

TEST(Adoption, takes_a_refusal_while_nobody_watched_for_one_of_now) {
    One one(SLC_SLOT_MAKE(2, 1, kOpen | SLC_SLOT_REFUSED));
    one.aim(2);
    one.pass(2999ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 1, kOpen | SLC_SLOT_HELD));
    one.pass(1ms);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(2, 1, kOpen));
}

TEST(Adoption, takes_the_deadline_of_the_first_aim_and_of_no_other) {
    One one(SLC_SLOT_MAKE(2, 1, kOpen));
    one.aim(2, nobody, 10s);
    one.aim(2, nobody, 30s);
    EXPECT_EQ(one.ring.counts().deadline, Instant(110'000));
    one.pass(10s);
    EXPECT_TRUE(one.ring.overdue(0));
}

TEST(Adoption, of_an_undone_preparation_closes_it) {
    One one(SLC_SLOT_MAKE(1, 1, kOpen));
    one.aim(1);
    EXPECT_EQ(one.words[0], SLC_SLOT_MAKE(1, 1, SLC_SLOT_MARKED));
}

TEST(Growth, gives_every_child_the_history_of_its_parent) {
    Words words{steady(1), steady(2)};
    RingTransition before(words, kTimes, 1s);
    before.aim(Owners{3, 2}, nobody, 2s, 100s);
    before.step(5s);
    Words children = grown(words, 3);
    ASSERT_EQ(children.size(), 8u);
    for (std::size_t i = 0; i < children.size(); ++i) EXPECT_EQ(children[i], words[i % 2]);
    RingTransition after(children, kTimes, before);
    EXPECT_EQ(after.counts().open, 4u);
    EXPECT_EQ(after.counts().deadline, Instant(102s));
    after.aim(Owners{3, 2, 3, 2, 4, 2, 1, 2}, nobody, 6s);
    EXPECT_EQ(children[0], SLC_SLOT_MAKE(3, 1, kOpen));
    EXPECT_EQ(children[4], SLC_SLOT_MAKE(4, 1, kOpen)) << "moves at once: it is open";
    EXPECT_EQ(children[6], SLC_SLOT_MAKE(1, 1, SLC_SLOT_MARKED));
    after.step(62s);
    EXPECT_EQ(children[0], SLC_SLOT_MAKE(3, 3, SLC_SLOT_MARKED)) << "opened at 2 s";
}

TEST(Growth, keeps_what_is_overdue_overdue) {
    Words words{steady(1)};
    RingTransition before(words, kTimes, 1s);
    before.aim(Owners{2}, nobody, 2s, 1s);
    before.step(3s);
    Words children = grown(words, 1);
    RingTransition after(children, kTimes, before);
    EXPECT_TRUE(after.overdue(0));
    EXPECT_TRUE(after.overdue(1));
    after.swept({false, false}, 10s);
    EXPECT_FALSE(after.any_overdue());
}

TEST(Shrinking, is_for_settled_rings_that_repeat_themselves) {
    struct Row {
        const char* name;
        Words words;
        bool want;
    };
    const Row rows[] = {
        {"repeats itself", {steady(1), steady(2), steady(1), steady(2)}, true},
        {"does not", {steady(1), steady(2), steady(1), steady(3)}, false},
        {"is marked",
         {SLC_SLOT_MAKE(1, 1, SLC_SLOT_MARKED), steady(2), SLC_SLOT_MAKE(1, 1, SLC_SLOT_MARKED),
          steady(2)},
         false},
        {"has one owner", {steady(1), steady(1), steady(1), steady(1)}, true},
    };
    for (const Row& row : rows) EXPECT_EQ(can_shrink(row.words, 1), row.want) << row.name;
}

TEST(Untracked, rings_move_at_once) {
    One one(steady(1), {3s, 60s, false});
    one.aim(2);
    EXPECT_EQ(one.words[0], steady(2));
    EXPECT_TRUE(one.ring.settled());
}

TEST(Members, are_named_by_slots_and_concerned_by_what_they_owned) {
    Words words{steady(1), steady(2)};
    RingTransition ring(words, kTimes, 1s);
    ring.aim(Owners{2, 2}, nobody, 2s);
    ring.step(5s);
    EXPECT_TRUE(ring.names(1));
    EXPECT_EQ(ring.counts_of(1, false).open, 1u) << "silent connections may be its own";
    ring.step(62s);
    EXPECT_FALSE(ring.names(1));
    EXPECT_EQ(ring.counts_of(1, false).marked, 1u) << "no sweep has counted yet";
    ring.swept({true, false}, 63s);
    EXPECT_EQ(ring.counts_of(1, true).marked, 1u);
    EXPECT_EQ(ring.counts_of(1, false).marked, 0u) << "nothing is owed to it";
    EXPECT_EQ(ring.counts_of(3, true).marked, 0u);
    const auto all = ring.counts_by_member([](std::uint32_t) { return true; });
    EXPECT_EQ(all.at(1).marked, 1u);
    EXPECT_EQ(all.at(2).marked, 1u);
}

/// All slots of the largest ring at once, in processor time: others may be busy. The bound is ten
/// times what it takes.
TEST(LargestRing, is_aimed_and_stepped_in_milliseconds) {
    Words words(std::size_t{1} << SLC_MAX_RING_LOG2, steady(1));
    RingTransition ring(words, kTimes, 1s);
    const Owners owners(words.size(), 2);
    const auto timed = [](const char* what, const auto& work) {
        const std::clock_t before = std::clock();
        work();
        const auto took_ms = (std::clock() - before) * 1000 / CLOCKS_PER_SEC;
        testing::Test::RecordProperty(what, std::to_string(took_ms));
        EXPECT_LT(took_ms, 500) << what;
    };
    timed("aim", [&] { ring.aim(owners, nobody, 2s); });
    timed("step that moves nothing", [&] { ring.step(3s); });
    timed("step that moves all", [&] { ring.step(5s); });
    timed("step that closes all", [&] { ring.step(62s); });
    const std::vector<bool> foreign(words.size());
    timed("sweep that settles all", [&] { ring.swept(foreign, 63s); });
    timed("aim that changes nothing", [&] { ring.aim(owners, nobody, 64s); });
    EXPECT_TRUE(ring.settled());
}

}  // namespace
}  // namespace sluice::plan
