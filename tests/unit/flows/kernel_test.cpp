// SPDX-License-Identifier: Apache-2.0
// The flow table under two CPUs at once, in the kernel: the data plane's own functions, run by
// BPF_PROG_TEST_RUN (bench/bpf/flow.bpf.c). What was reported as remembered is there, once.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include "bench/flow_programs.h"

namespace sluice::bench {
namespace {

constexpr slc_u32 kPrevious = 1;
constexpr slc_u32 kCurrent = 2;
constexpr slc_u64 kOpen = SLC_SLOT_MAKE(kCurrent, kPrevious, SLC_SLOT_MARKED | SLC_SLOT_OPEN);
constexpr int kRounds = 300;

class TwoCpus : public testing::Test {
 protected:
    void SetUp() override {
        if (last_cpu() == 0) GTEST_SKIP() << "one CPU only";
        auto loaded = FlowPrograms::load(SLC_FLOW_MIN_LOG2, 0);
        ASSERT_TRUE(loaded) << loaded.error().what;
        programs_.emplace(std::move(*loaded));
        programs_->shared().account[1].share = kShare;
    }

    /// Each CPU sends `count` packets, one of each of its flows, from number `first[cpu]` on.
    void hammer(slc_u8 kind, std::array<slc_u64, 2> first, slc_u32 count) {
        programs_->shared().arrived = 0;
        for (const unsigned cpu : {0u, 1u}) {
            bench_flow_job& job = programs_->shared().job[cpu];
            job = {};
            job.stride = 1;
            job.flows = 1ull << 32;
            job.first = first[cpu];
            job.slot = kOpen;
            job.count = count;
            job.tick = tick_;
            job.gate = 2;
            job.kind = kind;
            job.insert = BENCH_FLOW_FIND_INSERT;
            job.keep = 1;
        }
        const Cores cores({0, 1});
        const auto ran = cores.run([&](unsigned) { return programs_->run(BENCH_FLOW_SLUICE); });
        ASSERT_TRUE(ran) << ran.error().what;
    }

    [[nodiscard]] bool inserted(unsigned cpu, slc_u32 packet) {
        return programs_->shared().outcome[cpu][packet] == SLC_FLOW_INSERTED;
    }
    /// Live entries of flow `number`, and the member of the first.
    std::pair<int, slc_u32> copies_of(slc_u64 number) {
        const bench_flow_key key = bench_flow_of(number);
        const slc_u64 hash = bench_flow_hash(&key);
        std::pair<int, slc_u32> out{0, 0};
        for (const slc_u64 entry :
             programs_->buckets()[slc_flow_bucket_of(hash, programs_->log2())].entry) {
            if (((entry ^ hash) & SLC_FLOW_FINGERPRINT_MASK) != 0) continue;
            if (!slc_flow_is_alive(entry, tick_)) continue;
            if (out.first++ == 0) out.second = SLC_FLOW_MEMBER_OF(entry);
        }
        return out;
    }
    /// Frees what expired: its age would wrap. What lives expires in the next round, and the CPUs
    /// replace it.
    void sweep() {
        slc_u64 entries = 0;
        for (slc_flow_bucket& bucket : programs_->buckets()) {
            for (slc_u64& entry : bucket.entry) {
                if (!slc_flow_is_alive(entry, tick_)) entry = 0;
                entries += entry != 0;
            }
        }
        programs_->shared().account[1].used = entries;
        programs_->shared().account[0].used = entries > kShare ? entries - kShare : 0;
    }
    void expect_exact_accounts() {
        slc_u64 entries = 0;
        for (const slc_flow_bucket& bucket : programs_->buckets())
            for (const slc_u64 entry : bucket.entry) entries += SLC_FLOW_MEMBER_OF(entry) != 0;
        ASSERT_EQ(programs_->shared().account[1].used, entries);
        ASSERT_EQ(programs_->shared().account[0].used, entries > kShare ? entries - kShare : 0);
    }

    static constexpr slc_u64 kShare = 200;
    std::optional<FlowPrograms> programs_;
    slc_u32 tick_ = 1000;
};

TEST_F(TwoCpus, lose_no_insert_of_flows_of_their_own) {
    constexpr slc_u32 kFlows = 400;  // of each: together more than the 512 places
    slc_u64 inserts = 0;
    slc_u64 refusals = 0;
    for (int round = 0; round < kRounds; ++round) {
        const slc_u64 first = std::uint64_t{kFlows} * 2 * round;
        ASSERT_NO_FATAL_FAILURE(hammer(SLC_FLOW_SYN, {first, first + kFlows}, kFlows));
        for (const unsigned cpu : {0u, 1u}) {
            for (slc_u32 i = 0; i < kFlows; ++i) {
                const auto [copies, member] = copies_of(first + cpu * kFlows + i);
                ASSERT_EQ(copies, inserted(cpu, i)) << "round " << round << ", packet " << i;
                ASSERT_TRUE(copies == 0 || member == kCurrent);
                (copies == 1 ? inserts : refusals) += 1;
            }
        }
        expect_exact_accounts();
        sweep();
        tick_ += SLC_FLOW_MAX_TICKS + 2;
    }
    EXPECT_GT(inserts, 1000u);
    EXPECT_GT(refusals, 1000u);
}

TEST_F(TwoCpus, duplicate_a_flow_only_when_both_insert_it_at_once) {
    constexpr slc_u32 kFlows = 100;
    slc_u64 none = 0;
    slc_u64 twice = 0;
    for (int round = 0; round < kRounds; ++round) {
        const slc_u64 first = std::uint64_t{kFlows} * round;
        ASSERT_NO_FATAL_FAILURE(hammer(SLC_FLOW_PACKET, {first, first}, kFlows));
        for (slc_u32 i = 0; i < kFlows; ++i) {
            const int made = inserted(0, i) + inserted(1, i);
            const auto [copies, member] = copies_of(first + i);
            ASSERT_EQ(copies, made) << "round " << round << ", packet " << i;
            ASSERT_TRUE(copies == 0 || member == kPrevious);
            none += made == 0;
            twice += made == 2;
        }
        expect_exact_accounts();
        for (slc_flow_bucket& bucket : programs_->buckets()) bucket = {};
        programs_->shared().account[0].used = programs_->shared().account[1].used = 0;
    }
    EXPECT_LT(none, kRounds * kFlows / 10) << "some buckets are full";
    std::printf("flows that both inserted at once: %llu of %u\n",
                static_cast<unsigned long long>(twice), kRounds * kFlows);
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (::geteuid() != 0) {
        std::printf("skipped: BPF programs need root\n");
        return 77;
    }
    return RUN_ALL_TESTS();
}
