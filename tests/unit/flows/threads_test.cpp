// SPDX-License-Identifier: Apache-2.0
// The flow table under two writers at once, in user space: what was reported as remembered is
// there, nothing is there twice that was not inserted twice, and accounts are counts.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "flow_rig.h"

namespace sluice::test {
namespace {

constexpr slc_u32 kBuckets = 64;
constexpr slc_u32 kFlows = kBuckets * 6;  ///< Of each thread: together more than there is room for.
constexpr slc_u32 kMoving = kBuckets * 4;  ///< Each twice fits into the buckets.
constexpr slc_u32 kThreads = 2;
constexpr int kRounds = 1000;

/// Flow `number` of a thread. Neighbours share a bucket, and both threads visit buckets in the same
/// order, so that they meet.
constexpr slc_u64 flow_of(slc_u32 thread, slc_u32 number, slc_u32 in_bucket) {
    return hash_in(number / in_bucket, 1 + thread * kFlows + number);
}
constexpr slc_u64 flow_of(slc_u32 thread, slc_u32 number) {
    return flow_of(thread, number, kFlows / kBuckets);
}

slc_u64 beyond_share(const Rig& rig) {
    const slc_account& account = rig.world.accounts[1];
    return account.used > account.share ? account.used - account.share : 0;
}

/// Runs `work(thread, round)` on all threads at once, and `check(round)` after each round, alone.
template <typename Work, typename Check>
void in_rounds(Work work, Check check) {
    std::atomic<slc_u32> arrived{0};
    const auto gather = [&](slc_u32 meeting) {
        arrived.fetch_add(1);
        while (arrived.load() < meeting * kThreads) std::this_thread::yield();
    };
    std::vector<std::thread> threads;
    for (slc_u32 thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (slc_u32 round = 0; round < kRounds; ++round) {
                gather(2 * round + 1);
                work(thread, static_cast<int>(round));
                gather(2 * round + 2);
                if (thread == 0) check(static_cast<int>(round));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}

slc_u64 copies_of(Rig& rig, Table& table, slc_u64 hash) {
    slc_u64 out = 0;
    for (const slc_u64 entry : table.bucket_of(hash).entry)
        out += ((entry ^ hash) & SLC_FLOW_FINGERPRINT_MASK) == 0 &&
               SLC_FLOW_MEMBER_OF(entry) != 0 && slc_flow_is_alive(entry, rig.tick);
    return out;
}

void expect_exact_accounts(const Rig& rig, slc_u64 entries) {
    ASSERT_EQ(rig.used(1), entries);
    ASSERT_EQ(rig.used(0), beyond_share(rig));
}

TEST(TwoThreads, lose_no_insert_of_flows_of_their_own) {
    Rig rig;
    rig.world.accounts[1].share = 100;
    std::array<std::array<bool, kFlows>, kThreads> inserted{};
    std::array<slc_u64, kThreads> inserts{};
    const auto work = [&](slc_u32 thread, int) {
        for (slc_u32 number = 0; number < kFlows; ++number) {
            const slc_flow_answer answer =
                rig.send(SLC_FLOW_PACKET, flow_of(thread, number), kOpen);
            inserted[thread][number] = answer.insert == SLC_FLOW_INSERTED;
            inserts[thread] += answer.insert == SLC_FLOW_INSERTED;
            // Renewals among the inserts, also of what is in the other's way.
            rig.send(SLC_FLOW_PACKET, flow_of(thread, number / 2), kMarked);
        }
    };
    const auto check = [&](int round) {
        for (slc_u32 thread = 0; thread < kThreads; ++thread) {
            for (slc_u32 number = 0; number < kFlows; ++number)
                ASSERT_EQ(copies_of(rig, rig.table, flow_of(thread, number)),
                          inserted[thread][number])
                    << "round " << round << ", thread " << thread << ", flow " << number;
        }
        // Every place was free when the round began.
        ASSERT_EQ(rig.table.count(), kBuckets * slc_u64{SLC_FLOW_WAYS});
        expect_exact_accounts(rig, rig.table.count());
        rig.tick += kEstablished + 2;
    };
    in_rounds(work, check);
    EXPECT_EQ(inserts[0] + inserts[1], slc_u64{kRounds} * kBuckets * SLC_FLOW_WAYS);
    EXPECT_GT(std::min(inserts[0], inserts[1]), 0u);
}

TEST(TwoThreads, duplicate_a_flow_only_when_both_insert_it_at_once) {
    Rig rig;
    std::array<std::array<slc_u64, kMoving>, kThreads> inserts{};
    slc_u64 twice = 0;
    const auto work = [&](slc_u32 thread, int) {
        for (slc_u32 number = 0; number < kMoving; ++number) {
            const slc_flow_answer answer = rig.send(SLC_FLOW_PACKET, flow_of(0, number, 4), kOpen);
            inserts[thread][number] += answer.insert == SLC_FLOW_INSERTED;
        }
    };
    const auto check = [&](int round) {
        for (slc_u32 number = 0; number < kMoving; ++number) {
            const slc_u64 made = inserts[0][number] + inserts[1][number];
            ASSERT_GE(made, 1u) << "round " << round << ", flow " << number;
            ASSERT_LE(made, slc_u64{kThreads}) << "round " << round << ", flow " << number;
            ASSERT_EQ(copies_of(rig, rig.table, flow_of(0, number, 4)), made)
                << "round " << round << ", flow " << number;
            twice += made > 1;
        }
        expect_exact_accounts(rig, rig.table.count());
        rig.table = Table(rig.table.log2);
        rig.world.accounts[0].used = rig.world.accounts[1].used = 0;
        inserts = {};
    };
    in_rounds(work, check);
    RecordProperty("inserted_twice_at_once", std::to_string(twice));
}

TEST(TwoThreads, of_which_one_sweeps_keep_accounts_exact) {
    Rig rig;
    rig.world.accounts[1].share = 100;
    slc_u64 inserts = 0;
    slc_u64 swept = 0;
    // Thread 0 sends, thread 1 frees what expired, as user space does.
    const auto work = [&](slc_u32 thread, int) {
        for (slc_u32 number = 0; thread == 0 && number < kFlows; ++number)
            inserts +=
                rig.send(SLC_FLOW_PACKET, flow_of(0, number), kOpen).insert == SLC_FLOW_INSERTED;
        for (slc_u32 bucket = 0; thread == 1 && bucket < kBuckets; ++bucket) {
            for (slc_u64& place : rig.table.buckets[bucket].entry) {
                const slc_u64 entry = *static_cast<volatile slc_u64*>(&place);
                if (SLC_FLOW_MEMBER_OF(entry) == 0 || !slc_flow_is_free(entry, rig.tick)) continue;
                if (__sync_val_compare_and_swap(&place, entry, 0) != entry) continue;
                slc_flow_release(&rig.world, rig.world.accounts.data(), entry);
                ++swept;
            }
        }
    };
    const auto check = [&](int) {
        expect_exact_accounts(rig, rig.table.count());
        for (slc_u32 number = 0; number < kFlows; ++number)
            ASSERT_EQ(copies_of(rig, rig.table, flow_of(0, number)), 1u);
        rig.tick += kEstablished + 2;
    };
    in_rounds(work, check);
    EXPECT_EQ(inserts, slc_u64{kRounds} * kFlows);
    EXPECT_GT(swept, 0u);
}

TEST(TwoThreads, move_flows_from_a_table_that_is_left_and_lose_none) {
    Rig rig;
    Table before(SLC_FLOW_MIN_LOG2 + 1);
    rig.old = &before;
    rig.world.accounts[1].share = 100;
    std::array<slc_u64, kThreads> wrong{};
    const auto fill = [&] {
        rig.table = Table(rig.table.log2);
        before = Table(before.log2);
        rig.world.accounts[0].used = rig.world.accounts[1].used = 0;
        for (slc_u32 number = 0; number < kMoving; ++number)
            rig.put(before, flow_of(0, number, 4), SLC_FLOW_ESTABLISHED, kAnother, 100,
                    rig.old_tick);
    };
    fill();
    const auto work = [&](slc_u32 thread, int) {
        for (slc_u32 number = 0; number < kMoving; ++number) {
            const slc_flow_answer answer = rig.send(SLC_FLOW_PACKET, flow_of(0, number, 4), kOpen);
            wrong[thread] += answer.member != kAnother || answer.how != SLC_FLOW_BY_MEMORY;
        }
    };
    const auto check = [&](int round) {
        ASSERT_EQ(before.count(), 0u) << "round " << round;
        for (slc_u32 number = 0; number < kMoving; ++number) {
            const slc_u64 copies = copies_of(rig, rig.table, flow_of(0, number, 4));
            ASSERT_GE(copies, 1u) << "round " << round << ", flow " << number;
            ASSERT_LE(copies, 2u) << "round " << round << ", flow " << number;
        }
        expect_exact_accounts(rig, rig.table.count());
        fill();
    };
    in_rounds(work, check);
    EXPECT_EQ(wrong[0] + wrong[1], 0u) << "packets of moving flows that went elsewhere";
}

}  // namespace
}  // namespace sluice::test
