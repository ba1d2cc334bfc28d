// SPDX-License-Identifier: Apache-2.0
#include "control/counter_ledger.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "control/kept_counters.h"

namespace sluice::control {
namespace {

using Words = CounterLedger::Words;

/// What the ledger says a cell's holder has counted, when it says `raw`.
std::uint64_t count_of(const CounterLedger& ledger, std::uint32_t id, std::uint64_t raw,
                       CellKind kind = CellKind::member) {
    const auto found = ledger.cells(kind).find(id);
    if (found == ledger.cells(kind).end() || found->second.offset.empty()) return raw;
    return raw + found->second.offset[0];
}

TEST(CounterLedger, nothing_is_kept_while_no_cell_changes_hands) {
    CounterLedger ledger;
    EXPECT_TRUE(ledger.cells(CellKind::service).empty());
    EXPECT_FALSE(ledger.take_changed());
}

TEST(CounterLedger, a_name_does_not_begin_with_anothers_count) {
    CounterLedger ledger;
    ledger.hand_over(CellKind::member, 5, "a", "b", Words{400});
    EXPECT_EQ(count_of(ledger, 5, 400), 0u);
    EXPECT_EQ(count_of(ledger, 5, 407), 7u);
    EXPECT_TRUE(ledger.take_changed());
    EXPECT_FALSE(ledger.take_changed());
}

TEST(CounterLedger, a_name_that_comes_back_to_another_cell_goes_on) {
    CounterLedger ledger;
    ledger.hand_over(CellKind::member, 5, "a", "b", Words{400});
    ledger.hand_over(CellKind::member, 9, "x", "a", Words{2});
    EXPECT_EQ(count_of(ledger, 9, 2), 400u);
    EXPECT_EQ(count_of(ledger, 9, 5), 403u);
    ledger.hand_over(CellKind::member, 5, "b", "x", Words{410});
    EXPECT_EQ(count_of(ledger, 5, 410), 2u) << "x had 2 where a is now";
    ledger.hand_over(CellKind::member, 7, "y", "b", Words{1});
    EXPECT_EQ(count_of(ledger, 7, 1), 10u);
}

TEST(CounterLedger, the_first_holder_of_a_fresh_cell_has_all_of_it) {
    CounterLedger ledger;
    ledger.hand_over(CellKind::interface, 3, "", "eth0", Words{8});
    EXPECT_EQ(count_of(ledger, 3, 9, CellKind::interface), 9u);
}

TEST(CounterLedger, an_interface_that_is_made_again_goes_on_in_its_new_row) {
    CounterLedger ledger;
    ledger.hand_over(CellKind::interface, 3, "", "eth0", Words{8});
    ledger.hand_over(CellKind::interface, 3, "", "", Words{10});
    EXPECT_EQ(ledger.find(CellKind::interface, "eth0"), nullptr);
    ledger.hand_over(CellKind::interface, 4, "", "eth0", Words{1});
    ASSERT_NE(ledger.find(CellKind::interface, "eth0"), nullptr);
    EXPECT_EQ(*ledger.find(CellKind::interface, "eth0"), 4u);
    EXPECT_EQ(count_of(ledger, 4, 1, CellKind::interface), 11u) << "what it counted unseen too";
    ledger.hand_over(CellKind::interface, 3, "", "eth1", Words{12});
    EXPECT_EQ(count_of(ledger, 3, 12, CellKind::interface), 2u);
}

TEST(CounterLedger, handing_a_cell_to_its_holder_changes_nothing) {
    CounterLedger ledger;
    ledger.hand_over(CellKind::interface, 3, "", "eth0", Words{8});
    const std::string before = ledger.to_text();
    (void)ledger.take_changed();
    ledger.hand_over(CellKind::interface, 3, "", "eth0", Words{100});
    EXPECT_EQ(ledger.to_text(), before);
    EXPECT_FALSE(ledger.take_changed());
}

TEST(CounterLedger, what_the_ledger_knows_of_a_cell_counts_more_than_what_it_is_told) {
    // Ids were kept, and then the change that gave the cell to "b" failed: "c" gets it instead.
    CounterLedger ledger;
    ledger.hand_over(CellKind::member, 5, "a", "b", Words{400});
    ledger.hand_over(CellKind::member, 5, "a", "c", Words{400});
    EXPECT_EQ(count_of(ledger, 5, 403), 3u);
    ledger.hand_over(CellKind::member, 6, "z", "a", Words{0});
    EXPECT_EQ(count_of(ledger, 6, 0), 400u) << "once, not twice";
}

/// Names wander between cells at random; each must count what packets it has had.
TEST(CounterLedger, counts_are_right_whatever_the_order) {
    std::mt19937 random(20260101);
    std::map<std::string, std::uint64_t> truth;
    std::vector<std::uint64_t> raw(6);
    std::vector<std::string> holder(raw.size());
    CounterLedger ledger;
    for (int step = 0; step < 5000; ++step) {
        const std::uint32_t cell = random() % raw.size();
        const std::string name = "n" + std::to_string(random() % 12);
        const bool is_held = std::find(holder.begin(), holder.end(), name) != holder.end();
        if (random() % 3 == 0 && !is_held) {
            ledger.hand_over(CellKind::member, cell, holder[cell], name, Words{raw[cell]});
            holder[cell] = name;
        }
        if (random() % 50 == 0) ledger = *CounterLedger::from_text(ledger.to_text());
        const std::uint64_t packets = random() % 100;
        if (holder[cell].empty()) continue;
        raw[cell] += packets;
        truth[holder[cell]] += packets;
        ASSERT_EQ(count_of(ledger, cell, raw[cell]), truth[holder[cell]]) << "step " << step;
    }
}

TEST(CounterLedger, departed_names_are_bounded_and_the_first_are_forgotten) {
    CounterLedger ledger;
    const auto name = [](std::size_t i) { return "n" + std::to_string(i); };
    const std::size_t most = CounterLedger::kMaxDeparted;
    for (std::size_t i = 0; i <= most + 1; ++i)
        ledger.hand_over(CellKind::member, 1, name(i), name(i + 1), Words{10 * (i + 1)});
    ledger.hand_over(CellKind::member, 2, "x", name(0), Words{0});
    EXPECT_EQ(count_of(ledger, 2, 0), 0u);
    ledger.hand_over(CellKind::member, 3, "y", name(most), Words{0});
    EXPECT_EQ(count_of(ledger, 3, 0), 10u);
}

TEST(CounterLedger, counters_of_others_go_on_when_they_begin_anew_or_wrap) {
    CounterLedger ledger;
    EXPECT_EQ(ledger.steady("eth0//rx", 100), 100u);
    EXPECT_EQ(ledger.steady("eth0//rx", 150), 150u);
    EXPECT_FALSE(ledger.take_changed());
    EXPECT_EQ(ledger.steady("eth0//rx", 20), 170u) << "the interface was made again";
    EXPECT_TRUE(ledger.take_changed());
    auto again = CounterLedger::from_text(ledger.to_text());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->steady("eth0//rx", 25), 175u) << "after a restart";
    const std::uint64_t near = 0xfffffff0u;
    EXPECT_EQ(ledger.steady("cpu/0", near, 32), near);
    EXPECT_EQ(ledger.steady("cpu/0", 16, 32), near + 32);
}

TEST(CounterLedger, counters_of_others_go_on_when_they_begin_anew_while_nobody_reads_them) {
    CounterLedger ledger;
    ledger.steady("eth0//rx", 100);
    ledger.steady("eth0//rx", 30);
    ledger.steady("eth0//rx", 500);
    const std::uint64_t near = 0xfffffff0u;
    ledger.steady("cpu/0", near, 32);
    auto next = CounterLedger::from_text(ledger.to_text());
    ASSERT_TRUE(next);
    EXPECT_EQ(next->steady("eth0//rx", 20), 620u) << "600 were told";
    EXPECT_EQ(next->steady("cpu/0", 16, 32), near + 32) << "it wrapped";
    auto later = CounterLedger::from_text(next->to_text());
    ASSERT_TRUE(later);
    EXPECT_EQ(later->steady("eth0//rx", 70), 670u) << "it went on";
}

TEST(CounterLedger, what_was_read_is_kept_when_asked_for_and_what_began_anew_always) {
    CounterLedger ledger;
    ledger.steady("eth0//rx", 100);
    EXPECT_FALSE(ledger.take_changed());
    EXPECT_TRUE(ledger.take_changed(true)) << "not forgotten by the question before";
    EXPECT_FALSE(ledger.take_changed(true));
    ledger.steady("eth0//rx", 100);
    EXPECT_FALSE(ledger.take_changed(true)) << "nothing new";
    ledger.steady("eth0//rx", 3);
    EXPECT_TRUE(ledger.take_changed());
    EXPECT_FALSE(ledger.take_changed(true));
}

TEST(CounterLedger, what_it_did_not_write_is_refused) {
    for (const char* text :
         {"", "[]", "{}", "{\"services\":{}}",
          R"({"services":{"cells":[[1,2,3]],"departed":[]},"members":{"cells":[],"departed":[]},)"
          R"("customers":{"cells":[],"departed":[]},"policies":{"cells":[],"departed":[]},)"
          R"("interfaces":{"cells":[],"departed":[]},"steady":{}})",
          R"({"services":{"cells":[],"departed":[]},"members":{"cells":[],"departed":[]},)"
          R"("customers":{"cells":[],"departed":[]},"policies":{"cells":[],"departed":[]},)"
          R"("interfaces":{"cells":[],"departed":[]},"steady":{"eth0//rx":[1]}})"}) {
        const auto read = CounterLedger::from_text(text);
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code, Errc::invalid);
    }
}

class KeptCountersTest : public testing::Test {
 protected:
    void TearDown() override { std::remove(path_.c_str()); }
    std::string path_ = "/tmp/sluice-kept-" + std::to_string(::getpid());
};

TEST_F(KeptCountersTest, totals_go_on_in_the_next_process) {
    {
        auto kept = KeptCounters::open(path_);
        ASSERT_TRUE(kept);
        EXPECT_EQ(kept->fold(Kept::cpu_us, 30), 30u);
        EXPECT_EQ(kept->fold(Kept::cpu_us, 50), 50u);
        EXPECT_EQ(kept->fold(Kept::flows_cut, 2), 2u);
    }
    auto kept = KeptCounters::open(path_);
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->fold(Kept::cpu_us, 7), 57u);
    EXPECT_EQ(kept->fold(Kept::flows_cut, 0), 2u);
    EXPECT_EQ(kept->fold(Kept::samples_lost, 0), 0u);
}

TEST_F(KeptCountersTest, a_file_of_another_layout_begins_anew) {
    std::ofstream(path_) << std::string(1000, 'x');
    auto kept = KeptCounters::open(path_);
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->fold(Kept::cpu_us, 3), 3u);
}

TEST_F(KeptCountersTest, a_file_that_was_cut_short_is_made_whole_again) {
    {
        auto kept = KeptCounters::open(path_);
        ASSERT_TRUE(kept);
        EXPECT_EQ(kept->fold(Kept::flows_cut, 2), 2u);
        ASSERT_EQ(::truncate(path_.c_str(), 0), 0);
        EXPECT_EQ(kept->fold(Kept::cpu_us, 30), 30u);
    }
    auto kept = KeptCounters::open(path_);
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->fold(Kept::cpu_us, 0), 30u);
    EXPECT_EQ(kept->fold(Kept::flows_cut, 0), 2u);
}

TEST_F(KeptCountersTest, a_full_disk_is_an_error_and_not_the_end) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    auto kept = KeptCounters::open(path_);
    ASSERT_TRUE(kept);
    const rlimit none{0, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
    const std::uint64_t total = kept->fold(Kept::cpu_us, 3);
    const auto full = KeptCounters::open(path_ + ".full");
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::remove((path_ + ".full").c_str());
    EXPECT_EQ(total, 3u);
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().sys, EFBIG);
    // It is written when there is room again, though nothing has been counted since.
    EXPECT_EQ(kept->fold(Kept::flows_cut, 0), 0u);
    auto next = KeptCounters::open(path_);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->fold(Kept::cpu_us, 0), 3u);
}

TEST_F(KeptCountersTest, without_a_file_they_count_for_this_process) {
    KeptCounters kept;
    EXPECT_EQ(kept.fold(Kept::cpu_us, 3), 3u);
    EXPECT_EQ(kept.fold(Kept::cpu_us, 5), 5u);
    const auto nowhere = KeptCounters::open("/proc/nowhere/counters");
    ASSERT_FALSE(nowhere);
}

}  // namespace
}  // namespace sluice::control
