// SPDX-License-Identifier: Apache-2.0
#include "kernel/talker_map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "kernel/row_reader.h"

namespace sluice::kernel {
namespace {

using std::chrono::seconds;

slc_talker talker(std::uint32_t address, std::uint32_t service, std::uint64_t packets) {
    slc_talker out{};
    out.addr_be[3] = address;
    out.service = service;
    out.packets = packets;
    out.bytes = packets * 100;
    out.dropped_packets = packets / 2;
    return out;
}

TalkerKey key(std::uint32_t address, std::uint32_t service) {
    return {{0, 0, 0, address}, service};
}

TEST(Talkers, are_summed_over_cpus_and_told_apart_by_service) {
    const TalkerWays before = {{1, talker(7, 1, 100)}, {9, talker(7, 1, 50)}};
    const TalkerWays after = {{1, talker(7, 1, 140)}, {9, talker(7, 1, 80)}, {12, talker(7, 2, 5)}};
    const auto found = talkers_between(before, after);
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found.at(key(7, 1)).packets, 70u);
    EXPECT_EQ(found.at(key(7, 1)).bytes, 7000u);
    EXPECT_EQ(found.at(key(7, 1)).dropped_packets, 35u);
    EXPECT_EQ(found.at(key(7, 2)).packets, 5u);
}

TEST(Talkers, a_way_that_changed_hands_begins_anew) {
    const TalkerWays before = {{1, talker(7, 1, 1000)}, {2, talker(8, 1, 1000)}};
    const TalkerWays after = {{1, talker(9, 1, 30)}, {2, talker(8, 1, 20)}};
    const auto found = talkers_between(before, after);
    EXPECT_EQ(found.size(), 2u);
    EXPECT_EQ(found.at(key(9, 1)).packets, 30u);
    EXPECT_EQ(found.at(key(8, 1)).packets, 20u) << "taken by another and back in between";
}

TEST(Talkers, who_says_nothing_more_is_none) {
    const TalkerWays both = {{1, talker(7, 1, 1000)}};
    EXPECT_TRUE(talkers_between(both, both).empty());
}

TEST(TalkerHistory, who_sends_most_now_stands_on_top_whatever_was_before) {
    TalkerHistory history;
    history.note(seconds(100), [] { return TalkerWays{{1, talker(7, 1, 1'000'000)}}; });
    const TalkerWays now = {{1, talker(7, 1, 1'000'010)}, {2, talker(8, 1, 500)}};
    const auto top = history.top(seconds(108), now, 10);
    EXPECT_EQ(history.window(seconds(108)), seconds(8));
    ASSERT_EQ(top.size(), 2u);
    EXPECT_EQ(top[0].key, key(8, 1));
    EXPECT_EQ(top[0].lately.packets, 500u);
    EXPECT_EQ(top[1].lately.packets, 10u);
    EXPECT_EQ(top[1].since_taken.packets, 1'000'010u);
    EXPECT_EQ(history.top(seconds(108), now, 1).size(), 1u);
}

TEST(TalkerHistory, compares_with_what_was_ten_to_fifteen_seconds_ago) {
    TalkerHistory history;
    int reads = 0;
    for (int second = 0; second < 100; ++second)
        history.note(seconds(second), [&] {
            ++reads;
            return TalkerWays{{1, talker(7, 1, static_cast<std::uint64_t>(second) * 10 + 1)}};
        });
    EXPECT_EQ(reads, 20) << "every five seconds";
    EXPECT_EQ(history.window(seconds(99)), seconds(14));
    const auto top = history.top(seconds(99), {{1, talker(7, 1, 991)}}, 1);
    EXPECT_EQ(top.at(0).lately.packets, 140u);
}

TEST(TalkerHistory, without_an_earlier_reading_the_largest_count_is_on_top) {
    const TalkerHistory history;
    const auto top = history.top(seconds(5), {{1, talker(7, 1, 3)}, {2, talker(8, 1, 9)}}, 10);
    EXPECT_EQ(history.window(seconds(5)).count(), 0);
    ASSERT_EQ(top.size(), 2u);
    EXPECT_EQ(top[0].key, key(8, 1));
    EXPECT_EQ(top[0].lately.packets, 0u);
}

TEST(Talkers, of_a_map_that_is_none_there_are_none) {
    EXPECT_TRUE(read_talkers(-1).empty());
}

/// Against the kernel; privileges are needed.
class TalkerMapTest : public testing::Test {
 protected:
    void SetUp() override {
        fd_ = UniqueFd(::bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "slc_talkers", 4,
                                        sizeof(slc_talker_bucket), SLC_TALKER_BUCKETS, nullptr));
        if (!fd_.valid()) GTEST_SKIP() << "no BPF here";
    }
    void put(std::uint32_t bucket, std::size_t cpu, std::size_t way, const slc_talker& value) {
        std::vector<slc_talker_bucket> cpus(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
        ASSERT_EQ(::bpf_map_lookup_elem(fd_.get(), &bucket, cpus.data()), 0);
        cpus.at(cpu).way[way] = value;
        ASSERT_EQ(::bpf_map_update_elem(fd_.get(), &bucket, cpus.data(), BPF_ANY), 0);
    }
    UniqueFd fd_;
};

TEST_F(TalkerMapTest, every_way_of_every_cpu_is_read_once_in_order) {
    const auto last_cpu = static_cast<std::size_t>(::libbpf_num_possible_cpus() - 1);
    put(0, 0, 0, talker(1, 1, 10));
    put(300, last_cpu, 3, talker(2, 1, 20));
    put(SLC_TALKER_BUCKETS - 1, 0, 2, talker(3, 0, 30));
    const TalkerWays ways = read_talkers(fd_.get());
    ASSERT_EQ(ways.size(), 3u);
    for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(ways[i].talker.addr_be[3], i + 1);
    EXPECT_TRUE(std::is_sorted(ways.begin(), ways.end(), [](const auto& left, const auto& right) {
        return left.number < right.number;
    }));
}

TEST_F(TalkerMapTest, rows_are_read_from_anywhere_to_anywhere) {
    for (const auto& [from, count] : {std::pair<std::uint32_t, std::uint32_t>{0, 1},
                                      {0, 512},
                                      {1, 3},
                                      {255, 2},
                                      {256, 256},
                                      {500, 12},
                                      {500, 100}}) {
        std::vector<std::uint32_t> seen;
        read_rows<slc_talker_bucket>(
            fd_.get(), from, count, [&](std::uint32_t index, const auto& cpus) {
                seen.push_back(index);
                EXPECT_EQ(cpus.size(), static_cast<std::size_t>(::libbpf_num_possible_cpus()));
            });
        std::vector<std::uint32_t> wanted;
        for (std::uint32_t i = from; i < std::min(from + count, 512u); ++i) wanted.push_back(i);
        EXPECT_EQ(seen, wanted) << from << " " << count;
    }
}

}  // namespace
}  // namespace sluice::kernel
