// SPDX-License-Identifier: Apache-2.0
#include "observe/table_watch.h"

#include <gtest/gtest.h>

#include <functional>

namespace sluice::observe {
namespace {

using std::chrono::seconds;

/// A table of 1,000 entries, fed once a second.
class Fed {
 public:
    /// One second later; what must be told.
    std::vector<TableNews> second(std::uint64_t entries) {
        now_ += seconds(1);
        reading.entries = entries;
        auto news = watch.feed(now_, std::span(&reading, 1));
        told_.insert(told_.end(), news.begin(), news.end());
        return news;
    }
    void seconds_of(int count, const std::function<std::uint64_t(int)>& entries) {
        for (int i = 0; i < count; ++i) second(entries(i));
    }
    [[nodiscard]] const TableView& view() const { return *watch.find(reading.name); }
    /// "filling high", "-" for relief.
    [[nodiscard]] std::string told() const {
        std::string out;
        for (const TableNews& news : told_)
            out += std::string(out.empty() ? "" : " ") +
                   (news.relieved ? "-" : name_of(news.view.level));
        return out;
    }

    TableWatch watch;
    TableReading reading{.name = "slc_flows", .capacity = 1000};

 private:
    TableWatch::Instant now_{1'000'000};
    std::vector<TableNews> told_;
};

struct Story {
    const char* name;
    int length;                                 ///< Seconds.
    std::function<std::uint64_t(int)> entries;  ///< In second i.
    std::string told;
};

void PrintTo(const Story& story, std::ostream* out) {
    *out << story.name;
}

class Stories : public testing::TestWithParam<Story> {};

TEST_P(Stories, are_told_once) {
    Fed table;
    table.seconds_of(GetParam().length, GetParam().entries);
    EXPECT_EQ(table.told(), GetParam().told);
}

const Story kStories[] = {
    {"an_empty_table_is_no_news", 100, [](int) { return 0u; }, ""},
    {"a_table_that_stands_at_three_quarters_is_no_news", 100, [](int) { return 750u; }, ""},
    {"four_fifths_is_high", 100, [](int) { return 800u; }, "high"},
    {"nineteen_of_twenty_is_critical_at_once", 100, [](int) { return 950u; }, "critical"},
    {"a_rise_is_told_at_each_level", 400, [](int i) { return std::min(400u + 2u * i, 990u); },
     "filling high critical"},
    // 0.5 a second: 1,000 s until full at half, 300 s at 850.
    {"a_slow_rise_is_high_before_it_is_filling", 700, [](int i) { return 500u + i / 2; }, "high"},
    // As a node that takes over: full in 20 s as it goes, and then it stops.
    {"a_first_burst_that_ends_below_half_is_no_news", 300,
     [](int i) { return std::min(50u * i, 480u); }, ""},
    {"between_the_thresholds_nothing_is_told_twice", 400,
     [](int i) { return i % 40 < 20 ? 760u : 810u; }, "high"},
    {"relief_comes_after_ten_seconds_below", 100, [](int i) { return i < 20 ? 900u : 500u; },
     "high -"},
    {"a_short_dip_is_no_relief", 100, [](int i) { return i % 20 < 5 ? 500u : 900u; }, "high"},
    {"what_comes_back_is_told_again", 120, [](int i) { return i % 60 < 30 ? 900u : 100u; },
     "high - high -"},
    {"a_rise_that_stops_is_relieved", 300,
     [](int i) { return i < 100 ? 200u + 5u * static_cast<unsigned>(i) : 700u; }, "filling -"},
};
INSTANTIATE_TEST_SUITE_P(Tables, Stories, testing::ValuesIn(kStories),
                         [](const auto& story) { return story.param.name; });

TEST(TableWatch, tells_rates_over_each_window) {
    Fed table;
    for (int i = 0; i < 400; ++i) {
        table.reading.inserts += 30;
        table.reading.expired += 20;
        table.reading.refused += i >= 340 ? 6 : 0;
        table.second(100);
    }
    EXPECT_DOUBLE_EQ(table.view().inserts[kShortWindow], 30);
    EXPECT_DOUBLE_EQ(table.view().inserts[kLongWindow], 30);
    EXPECT_DOUBLE_EQ(table.view().expired[kMiddleWindow], 20);
    EXPECT_DOUBLE_EQ(table.view().refused[kShortWindow], 6);
    EXPECT_NEAR(table.view().refused[kLongWindow], 6 * 60 / 300.0, 0.15);
    EXPECT_DOUBLE_EQ(table.view().growth[kMiddleWindow], 0);
    EXPECT_DOUBLE_EQ(table.view().pressure, 0.1);
}

TEST(TableWatch, says_when_a_table_that_grows_will_be_full) {
    Fed table;
    table.seconds_of(61, [](int i) { return 100u + 2u * static_cast<unsigned>(i); });
    ASSERT_TRUE(table.view().full_in);
    EXPECT_EQ(*table.view().full_in, seconds((1000 - 220) / 2));
}

TEST(TableWatch, says_never_of_a_table_that_stands_falls_or_takes_longer_than_a_day) {
    Fed standing, falling, slow;
    standing.seconds_of(100, [](int) { return 600u; });
    falling.seconds_of(100, [](int i) { return 900u - 2u * static_cast<unsigned>(i); });
    slow.reading.capacity = 100'000'000;
    slow.seconds_of(100, [](int i) { return static_cast<unsigned>(i); });
    EXPECT_FALSE(standing.view().full_in);
    EXPECT_FALSE(falling.view().full_in);
    EXPECT_FALSE(slow.view().full_in);
}

TEST(TableWatch, says_never_as_soon_as_a_rise_has_stopped_for_ten_seconds) {
    Fed table;
    table.seconds_of(80, [](int i) { return std::min(5u * static_cast<unsigned>(i), 300u); });
    EXPECT_GT(table.view().growth[kMiddleWindow], 0);
    EXPECT_FALSE(table.view().full_in);
}

TEST(TableWatch, says_now_of_a_full_table) {
    Fed table;
    table.seconds_of(20, [](int) { return 1000u; });
    ASSERT_TRUE(table.view().full_in);
    EXPECT_EQ(table.view().full_in->count(), 0);
}

TEST(TableWatch, draws_no_trend_from_less_than_five_seconds) {
    Fed table;
    table.seconds_of(5, [](int i) { return 600u + 10u * static_cast<unsigned>(i); });
    EXPECT_FALSE(table.view().full_in);
    table.seconds_of(1, [](int) { return 650u; });
    EXPECT_TRUE(table.view().full_in);
}

TEST(TableWatch, begins_anew_when_counters_do_or_the_table_is_another) {
    Fed table;
    for (int i = 0; i < 50; ++i) {
        table.reading.inserts += 100;
        table.second(700);
    }
    table.reading.inserts = 7;
    table.second(700);
    EXPECT_DOUBLE_EQ(table.view().inserts[kLongWindow], 0);
    table.reading.capacity = 2000;
    table.second(900);
    EXPECT_DOUBLE_EQ(table.view().growth[kLongWindow], 0);
    EXPECT_DOUBLE_EQ(table.view().pressure, 0.45);
}

TEST(TableWatch, forgets_tables_that_are_no_more) {
    TableWatch watch;
    const TableReading readings[] = {{.name = "a", .entries = 1, .capacity = 2},
                                     {.name = "b", .entries = 1, .capacity = 2}};
    (void)watch.feed(seconds(1), readings);
    (void)watch.feed(seconds(2), std::span(readings, 1));
    EXPECT_NE(watch.find("a"), nullptr);
    EXPECT_EQ(watch.find("b"), nullptr);
}

TEST(TableWatch, knows_nothing_of_a_table_without_room) {
    Fed table;
    table.reading.capacity = 0;
    EXPECT_TRUE(table.second(0).empty());
    EXPECT_DOUBLE_EQ(table.view().pressure, 0);
}

}  // namespace
}  // namespace sluice::observe
