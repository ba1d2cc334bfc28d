// SPDX-License-Identifier: Apache-2.0
#include "base/duration.h"

#include <gtest/gtest.h>

#include <limits>

namespace sluice {
namespace {

TEST(Duration, units_are_read_alone_and_together) {
    const struct {
        const char* text;
        std::int64_t seconds;
    } cases[] = {
        {"0s", 0},        {"1s", 1},        {"75s", 75},          {"15m", 900},
        {"2h", 7'200},    {"1d", 86'400},   {"1m30s", 90},        {"1d2h3m4s", 93'784},
        {"1h0m1s", 3601}, {"90m", 5'400},   {"1d90s", 86'490},    {"100000s", 100'000},
        {"0d", 0},        {"36h", 129'600}, {"365d", 31'536'000},
    };
    for (const auto& item : cases) {
        const auto duration = parse_duration(item.text);
        ASSERT_TRUE(duration.has_value()) << item.text;
        EXPECT_EQ(duration->count(), item.seconds) << item.text;
    }
}

TEST(Duration, anything_else_is_refused) {
    for (const char* text :
         {"",      "75",   "s",    "1",    "1m30", "30s1m", "1s1s", "1m 30s", " 1s",
          "1s ",   "-1s",  "+1s",  "1.5h", "1ms",  "1S",    "1w",   "01s",    "00s",
          "1m05s", "0x1s", "1e3s", "1,5s", "1:30", "inf",   "1h-1s"}) {
        const auto duration = parse_duration(text);
        ASSERT_FALSE(duration.has_value()) << text;
        EXPECT_EQ(duration.error().code, Errc::invalid);
        EXPECT_EQ(duration.error().what, "is not a duration, as in 75s, 15m, 2h, 1d or 1m30s")
            << text;
    }
    EXPECT_FALSE(parse_duration(std::string_view("1s\0", 3)).has_value());
}

TEST(Duration, what_does_not_fit_is_refused_and_never_wraps) {
    const auto most = parse_duration("9223372036854775807s");
    ASSERT_TRUE(most.has_value());
    EXPECT_EQ(most->count(), std::numeric_limits<std::int64_t>::max());
    for (const char* text :
         {"9223372036854775808s", "153722867280912931m", "106751991167301d",
          "1m9223372036854775807s", "99999999999999999999999999s", "213503982334602d1s"}) {
        const auto duration = parse_duration(text);
        ASSERT_FALSE(duration.has_value()) << text;
        EXPECT_EQ(duration.error().what, "is more seconds than can be counted") << text;
    }
}

TEST(Duration, is_written_in_few_characters) {
    const struct {
        std::int64_t seconds;
        const char* text;
    } cases[] = {
        {0, "0s"},
        {1, "1s"},
        {60, "1m"},
        {75, "75s"},
        {90, "90s"},
        {100, "1m40s"},
        {120, "2m"},
        {899, "14m59s"},
        {900, "15m"},
        {3'600, "1h"},
        {3'601, "1h1s"},
        {3'661, "1h1m1s"},
        {5'400, "90m"},
        {7'200, "2h"},
        {86'400, "1d"},
        {86'401, "1d1s"},
        {100'000, "1d3h46m40s"},
        {360'000, "4d4h"},
        {8'640'000, "100d"},
    };
    for (const auto& item : cases)
        EXPECT_EQ(text_of_duration(std::chrono::seconds(item.seconds)), item.text);
}

TEST(Duration, what_was_written_reads_back) {
    const auto check = [](std::int64_t seconds) {
        const auto read = parse_duration(text_of_duration(std::chrono::seconds(seconds)));
        ASSERT_TRUE(read.has_value()) << seconds;
        EXPECT_EQ(read->count(), seconds);
    };
    for (std::int64_t seconds = 0; seconds < 200'000; seconds += 7) check(seconds);
    for (int bit = 0; bit < 63; ++bit) check((std::int64_t{1} << bit) + bit);
    check(std::numeric_limits<std::int64_t>::max());
}

TEST(Duration, milliseconds_are_read_where_seconds_are_too_coarse) {
    const struct {
        const char* text;
        std::int64_t milliseconds;
        const char* written;
    } cases[] = {
        {"1ms", 1, "1ms"},      {"250ms", 250, "250ms"},
        {"1000ms", 1000, "1s"}, {"1500ms", 1500, "1500ms"},
        {"2s", 2000, "2s"},     {"1m30s", 90'000, "90s"},
        {"0s", 0, "0s"},
    };
    for (const auto& item : cases) {
        const auto duration = parse_millis(item.text);
        ASSERT_TRUE(duration.has_value()) << item.text;
        EXPECT_EQ(duration->count(), item.milliseconds) << item.text;
        EXPECT_EQ(text_of_millis(*duration), item.written);
    }
    for (const char* text : {"", "ms", "0ms", "01ms", "-1ms", "1.5ms", "1s500ms", "1", "ms1",
                             "4294967296ms", "9223372036854775807s"})
        EXPECT_FALSE(parse_millis(text).has_value()) << text;
}

}  // namespace
}  // namespace sluice
