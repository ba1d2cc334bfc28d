// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice {
namespace {

constexpr std::chrono::system_clock::time_point kAt{std::chrono::milliseconds(1767225600123)};

struct Case {
    const char* name;
    std::string value;
    const char* logfmt;
    const char* json;
};

const Case kCases[] = {
    {"bare", "3", "k=3", R"("k":"3")"},
    {"empty", "", "k=\"\"", R"("k":"")"},
    {"blank", "a b", R"(k="a b")", R"("k":"a b")"},
    {"equals", "a=b", R"(k="a=b")", R"("k":"a=b")"},
    {"quote", "say \"x\"", R"(k="say \"x\"")", R"("k":"say \"x\"")"},
    {"backslash", "a\\b", R"(k="a\\b")", R"("k":"a\\b")"},
    {"forged_line", "x\nlevel=error event=fake", R"(k="x\nlevel=error event=fake")",
     R"("k":"x\nlevel=error event=fake")"},
    {"terminal_escape", "\x1b[31m", "k=\"\\u001b[31m\"", "\"k\":\"\\u001b[31m\""},
    {"utf8", "gr\xc3\xbc\xc3\x9f", "k=gr\xc3\xbc\xc3\x9f", "\"k\":\"gr\xc3\xbc\xc3\x9f\""},
};

TEST(Log, each_value_stays_one_field_of_one_line) {
    for (const Case& test : kCases) {
        const std::vector<LogField> fields = {{"k", test.value}};
        EXPECT_EQ(format_logfmt(kAt, LogLevel::info, "a.b", fields),
                  std::string("ts=2026-01-01T00:00:00.123Z level=info event=a.b ") + test.logfmt)
            << test.name;
        EXPECT_EQ(format_log_json(kAt, LogLevel::warning, "a.b", fields),
                  std::string(R"({"ts":"2026-01-01T00:00:00.123Z","level":"warning",)") +
                      R"("event":"a.b",)" + test.json + "}")
            << test.name;
    }
}

TEST(Log, an_event_is_limited_and_others_are_not) {
    std::vector<std::string> seen;
    log_to([&seen](LogLevel, std::string_view event, std::span<const LogField>) {
        seen.emplace_back(event);
    });
    for (unsigned i = 0; i < kLogBurst * 3; ++i) log_event(LogLevel::info, "noisy");
    log_event(LogLevel::info, "quiet");
    log_to({});
    ASSERT_EQ(seen.size(), kLogBurst + 1);
    EXPECT_EQ(seen.back(), "quiet");
}

TEST(Log, what_is_below_the_level_is_not_said) {
    std::vector<std::string> seen;
    log_to([&seen](LogLevel, std::string_view event, std::span<const LogField>) {
        seen.emplace_back(event);
    });
    log_setup(LogFormat::logfmt, LogLevel::warning);
    log_event(LogLevel::info, "below");
    log_event(LogLevel::error, "above", {{"k", "v"}});
    log_setup(LogFormat::logfmt, LogLevel::info);
    log_to({});
    EXPECT_EQ(seen, std::vector<std::string>{"above"});
}

TEST(Log, who_keeps_events_gets_those_of_level_info_and_above_as_often_as_they_may_be_said) {
    std::vector<std::string> written;
    std::vector<std::string> kept;
    log_to([&written](LogLevel, std::string_view event, std::span<const LogField>) {
        written.emplace_back(event);
    });
    log_also_to([&kept](LogLevel level, std::string_view event, std::span<const LogField> fields) {
        kept.push_back(std::string(name_of(level)) + " " + std::string(event) + " " +
                       std::string(fields.front().key) + "=" + fields.front().value);
    });
    log_setup(LogFormat::logfmt, LogLevel::error);
    for (unsigned i = 0; i < kLogBurst * 3; ++i) {
        log_event(LogLevel::debug, "noisy", {{"k", "v"}});  // Uses nothing up.
        log_event(LogLevel::info, "noisy", {{"k", "v"}});
    }
    log_event(LogLevel::debug, "below", {{"k", "v"}});
    log_event(LogLevel::info, "quiet", {{"k", "v"}});
    log_also_to({});
    log_event(LogLevel::error, "late", {{"k", "v"}});
    log_setup(LogFormat::logfmt, LogLevel::info);
    log_to({});
    // What is repeated does not push out what is said once.
    ASSERT_EQ(kept.size(), kLogBurst + 1);
    EXPECT_EQ(kept.front(), "info noisy k=v");
    EXPECT_EQ(kept.back(), "info quiet k=v");
    EXPECT_EQ(written, std::vector<std::string>{"late"});
}

}  // namespace
}  // namespace sluice
