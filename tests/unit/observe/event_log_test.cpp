// SPDX-License-Identifier: Apache-2.0
#include "observe/event_log.h"

#include <gtest/gtest.h>

namespace sluice::observe {
namespace {

void add(EventLog& log, std::size_t count, const char* name = "a.b") {
    for (std::size_t i = 0; i < count; ++i) log.add(LogLevel::info, name, {});
}

TEST(EventLog, numbers_go_up_by_one) {
    EventLog log;
    EXPECT_EQ(log.last(), 0u);
    EXPECT_TRUE(log.after(0, 10).events.empty());
    add(log, 3);
    const EventPage page = log.after(1, 10);
    ASSERT_EQ(page.events.size(), 2u);
    EXPECT_EQ(page.events[0].number, 2u);
    EXPECT_EQ(page.events[1].number, 3u);
    EXPECT_EQ(page.missed, 0u);
    EXPECT_EQ(page.last, 3u);
    EXPECT_EQ(log.after(0, 1).events.size(), 1u);
    EXPECT_TRUE(log.after(3, 10).events.empty());
    EXPECT_TRUE(log.after(99, 10).events.empty());
}

TEST(EventLog, what_was_given_up_is_counted) {
    EventLog log;
    add(log, kEventsKept + 10);
    const EventPage page = log.after(4, 1);
    EXPECT_EQ(page.missed, 6u);
    ASSERT_EQ(page.events.size(), 1u);
    EXPECT_EQ(page.events[0].number, 11u);
    EXPECT_EQ(log.after(10, 1).missed, 0u);
    EXPECT_EQ(log.after(0, kEventsKept * 2).events.size(), kEventsKept);
}

TEST(EventLog, the_last_of_a_kind_are_found_among_others) {
    EventLog log;
    add(log, 2, "x");
    add(log, 3, "y");
    add(log, 1, "x");
    const auto is_x = [](const Event& event) { return event.name == "x"; };
    EXPECT_EQ(log.before_last(1, is_x), 5u);
    EXPECT_EQ(log.before_last(2, is_x), 1u);
    EXPECT_EQ(log.before_last(99, is_x), 0u);
    EXPECT_EQ(log.before_last(0, is_x), 6u);
    EXPECT_EQ(EventLog().before_last(5, is_x), 0u);
    add(log, kEventsKept, "y");
    EXPECT_EQ(log.before_last(1, is_x), 6u) << "begins with what is kept";
}

TEST(EventLog, a_long_value_is_cut_at_a_whole_character) {
    EventLog log;
    const std::string value = std::string(kMaxEventValue - 1, 'x') + "\xc3\xbc";
    const std::string fits(kMaxEventValue, 'y');
    log.add(LogLevel::info, "a", std::vector<LogField>{{"long", value}, {"fits", fits}});
    const EventPage page = log.after(0, 1);
    EXPECT_EQ(page.events[0].fields[0].second, std::string(kMaxEventValue - 1, 'x') + "...");
    EXPECT_EQ(page.events[0].fields[1].second, fits);
}

}  // namespace
}  // namespace sluice::observe
