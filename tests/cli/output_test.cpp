// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "cli/table.h"

namespace sluice::cli {
namespace {

TEST(ShortNumber, is_cut_at_each_magnitude_and_never_rounded_up) {
    struct Case {
        std::uint64_t value;
        const char* want;
    };
    const Case cases[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1.0k"},
        {1049, "1.0k"},
        {9999, "9.9k"},
        {10'000, "10k"},
        {999'999, "999k"},
        {1'000'000, "1.0M"},
        {12'345'678, "12M"},
        {1ull << 40, "1.0T"},
        {999'999'999'999'999, "999T"},
        {std::numeric_limits<std::uint64_t>::max(), "18E"},
    };
    for (const Case& test : cases) EXPECT_EQ(short_number(test.value), test.want) << test.value;
}

TEST(Table, aligns_words_left_and_numbers_right_without_trailing_blanks) {
    Table table({"NAME", "PACKETS", "WHY"});
    table.add({cell("a"), number_cell(5), cell("")});
    table.add({cell("longer"), number_cell(12'345), cell("no route")});
    EXPECT_EQ(table.text(),
              "NAME    PACKETS  WHY\n"
              "a             5  -\n"
              "longer      12k  no route\n");
}

TEST(Yaml, quotes_what_could_be_read_as_something_else) {
    const Json document = {
        {"plain", "web"},         {"number", 42},
        {"text_number", "42"},    {"boolean", "yes"},
        {"nothing", ""},          {"colon", "a: b"},
        {"line", "a\nb"},         {"list", {"x", "no"}},
        {"empty", Json::array()}, {"nested", {{{"k", 1}, {"l", {{"m", true}}}}, "y"}},
    };
    EXPECT_EQ(yaml_text(document),
              "plain: web\n"
              "number: 42\n"
              "text_number: \"42\"\n"
              "boolean: \"yes\"\n"
              "nothing: \"\"\n"
              "colon: \"a: b\"\n"
              "line: \"a\\nb\"\n"
              "list:\n"
              "  - x\n"
              "  - \"no\"\n"
              "empty: []\n"
              "nested:\n"
              "  - k: 1\n"
              "    l:\n"
              "      m: true\n"
              "  - \"y\"\n");
}

TEST(Nearest, finds_slips_and_leaves_strangers) {
    const std::vector<std::string> names = {"status", "service", "backend", "web/10.0.0.5"};
    EXPECT_EQ(nearest("statsu", names), "status");
    EXPECT_EQ(nearest("servce", names), "service");
    EXPECT_EQ(nearest("web/10.0.0.6", names), "web/10.0.0.5");
    EXPECT_EQ(nearest("frobnicate", names), "");
    EXPECT_EQ(nearest("", names), "");
    EXPECT_EQ(nearest(std::string(100'000, 'x'), names), "");
}

TEST(Document, members_of_another_type_are_nothing) {
    const Json document = {{"text", 7}, {"number", "7"}, {"negative", -7}, {"flag", 1}};
    EXPECT_EQ(text_at(document, "text"), "");
    EXPECT_EQ(number_at(document, "number"), 0u);
    EXPECT_EQ(number_at(document, "negative"), 0u);
    EXPECT_FALSE(flag_at(document, "flag"));
    EXPECT_TRUE(member_at(document, "absent").is_null());
    EXPECT_TRUE(member_at(Json::array(), "absent").is_null());
}

TEST(Document, of_another_schema_is_refused_by_name) {
    EXPECT_TRUE(parse_document(R"({"schema_version": 1})").has_value());
    const auto later = parse_document(R"({"schema_version": 2})");
    ASSERT_FALSE(later.has_value());
    EXPECT_EQ(later.error().what, "the daemon speaks schema_version 2, this command 1");
    for (const char* text : {"", "[]", "{", "null"})
        EXPECT_EQ(parse_document(text).error().what, "the daemon's answer is not a JSON object")
            << text;
}

}  // namespace
}  // namespace sluice::cli
