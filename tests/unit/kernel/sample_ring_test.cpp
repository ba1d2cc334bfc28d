// SPDX-License-Identifier: Apache-2.0

/// A ring of samples read behind its writer: everything comes once and in order, or is counted as
/// lost.

#include "kernel/sample_ring.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace sluice::kernel {
namespace {

constexpr std::size_t kLen = SLC_SAMPLES_PER_CPU;

/// What the data plane does (bpf/lib/note.h).
class Ring {
 public:
    Ring() : places_(kLen) {}

    void write() {
        slc_sample& place = places_[number_ % kLen];
        ++number_;
        const std::atomic_ref<slc_u64> seq(place.seq);
        seq.store(0, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        place.time_ns = number_;
        place.hash = static_cast<slc_u32>(number_);
        place.data[SLC_SAMPLE_LEN - 1] = static_cast<slc_u8>(number_);
        seq.store(number_, std::memory_order_release);
    }
    void write(std::size_t count) {
        while (count-- > 0) write();
    }
    /// The next sample, half-way.
    void begin() { std::atomic_ref<slc_u64>(places_[number_ % kLen].seq).store(0); }
    [[nodiscard]] std::span<slc_sample> places() { return places_; }

 private:
    std::vector<slc_sample> places_;
    std::uint64_t number_ = 0;
};

/// What one reader has got of a ring.
struct Reader {
    std::uint64_t seen = 0;
    std::uint64_t lost = 0;
    std::vector<slc_sample> got;
    bool is_cut = false;

    void read(Ring& ring, std::size_t limit = kLen) {
        is_cut = false;
        lost += read_behind(ring.places(), seen, limit, got, is_cut);
    }
};

TEST(SampleRing, an_empty_one_has_nothing_and_loses_nothing) {
    Ring ring;
    Reader reader;
    reader.read(ring);
    EXPECT_TRUE(reader.got.empty());
    EXPECT_EQ(reader.seen + reader.lost, 0u);
    EXPECT_EQ(newest_in(ring.places()), 0u);
}

TEST(SampleRing, each_comes_once_or_is_lost) {
    struct Case {
        const char* name;
        std::vector<std::size_t> writes;  ///< Before each read.
        std::uint64_t got;
        std::uint64_t lost;
    };
    const Case cases[] = {
        {"one_at_a_time", {1, 1, 1}, 3, 0},
        {"a_whole_ring", {kLen}, kLen, 0},
        {"a_ring_and_one_more", {kLen + 1}, kLen, 1},
        {"two_laps", {2 * kLen}, kLen, kLen},
        {"many_laps_and_a_half", {10 * kLen + 128}, kLen, 9 * kLen + 128},
        {"behind_what_was_read", {100, kLen}, 100 + kLen, 0},
        {"one_was_overwritten", {100, kLen + 1}, 100 + kLen, 1},
        {"nothing_new", {100, 0, 0}, 100, 0},
        {"nothing_new_after_a_lap", {3 * kLen, 0, 1}, kLen + 1, 2 * kLen},
    };
    for (const Case& test : cases) {
        Ring ring;
        Reader reader;
        std::size_t written = 0;
        for (const std::size_t count : test.writes) {
            ring.write(count);
            written += count;
            reader.read(ring);
            EXPECT_EQ(reader.got.size() + reader.lost, written) << test.name;
        }
        EXPECT_EQ(reader.got.size(), test.got) << test.name;
        EXPECT_EQ(reader.lost, test.lost) << test.name;
        EXPECT_EQ(newest_in(ring.places()), written) << test.name;
    }
}

TEST(SampleRing, one_that_is_being_written_is_waited_for) {
    Ring ring;
    Reader reader;
    ring.write(5);
    ring.begin();
    reader.read(ring);
    EXPECT_EQ(reader.got.size(), 5u);
    EXPECT_FALSE(reader.is_cut);
    ring.write();
    reader.read(ring);
    EXPECT_EQ(reader.got.size(), 6u);
    EXPECT_EQ(reader.lost, 0u);
}

TEST(SampleRing, what_gives_way_to_one_that_is_being_written_is_counted_when_it_is) {
    Ring ring;
    Reader reader;
    ring.write(kLen);
    ring.begin();
    reader.read(ring);
    EXPECT_TRUE(reader.got.empty());
    EXPECT_EQ(reader.lost, 0u);
    ring.write();
    reader.read(ring);
    EXPECT_EQ(reader.got.size(), kLen);
    EXPECT_EQ(reader.lost, 1u);
}

TEST(SampleRing, a_limit_is_a_pause) {
    Ring ring;
    Reader reader;
    ring.write(100);
    reader.read(ring, 40);
    EXPECT_EQ(reader.got.size(), 40u);
    EXPECT_TRUE(reader.is_cut);
    reader.read(ring, 60);
    EXPECT_TRUE(reader.is_cut);  // Whether there are more, nobody has looked.
    reader.read(ring, 60);
    EXPECT_FALSE(reader.is_cut);
    EXPECT_EQ(reader.got.size(), 100u);
}

TEST(SampleRing, a_writer_at_full_speed_is_followed_exactly) {
    Ring ring;
    Reader reader;
    std::atomic<bool> is_over = false;
    constexpr std::size_t kWrites = 400'000;
    std::thread writer([&] {
        for (std::size_t i = 0; i < kWrites; ++i) {
            ring.write();
            if (i % 8192 == 0) std::this_thread::yield();
        }
        is_over = true;
    });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    std::uint64_t before = 0;
    std::size_t whole = 0;
    while (reader.seen < kWrites && std::chrono::steady_clock::now() < deadline) {
        reader.got.clear();
        const std::uint64_t lost = reader.lost;
        reader.read(ring, 64);
        std::uint64_t skipped = 0;
        for (const slc_sample& sample : reader.got) {
            ASSERT_GT(sample.seq, before);
            skipped += sample.seq - before - 1;
            before = sample.seq;
            ++whole;
            // Nothing of it is another one's.
            ASSERT_EQ(sample.time_ns, sample.seq);
            ASSERT_EQ(sample.hash, static_cast<slc_u32>(sample.seq));
            ASSERT_EQ(sample.data[SLC_SAMPLE_LEN - 1], static_cast<slc_u8>(sample.seq));
        }
        // What was skipped was counted; what is counted behind the last one comes next time.
        ASSERT_LE(skipped, reader.lost);
        before = std::max(before, reader.seen);
        ASSERT_LE(lost, reader.lost);
    }
    writer.join();
    EXPECT_EQ(reader.seen, kWrites);
    EXPECT_EQ(whole + reader.lost, kWrites);
    EXPECT_GT(whole, 0u);
}

}  // namespace
}  // namespace sluice::kernel
