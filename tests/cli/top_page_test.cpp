// SPDX-License-Identifier: Apache-2.0
#include "cli/top_page.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

Json node(std::uint64_t seconds, int services) {
    Json list = Json::array();
    for (int i = 0; i < services; ++i)
        list.push_back({{"name", "service-" + std::to_string(100 + i)},
                        {"vip", "192.0.2.10"},
                        {"protocol", "tcp"},
                        {"port", "443"},
                        {"group", "web"},
                        {"backends", 2u},
                        {"backends_ready", 2u},
                        {"packets", seconds * static_cast<std::uint64_t>(1000 + i)},
                        {"bytes", 0},
                        {"dropped_packets", 0}});
    return {
        {"time_ns", seconds * 1'000'000'000},
        {"node", "edge-1"},
        {"generation", 7u},
        {"sampled_one_in", 1024u},
        {"services", std::move(list)},
        {"reasons",
         {{{"reason", "forwarded"},
           {"outcome", "forwarded"},
           {"packets", seconds * 900},
           {"bytes", 0}},
          {{"reason", "land"}, {"outcome", "dropped"}, {"packets", seconds * 100}, {"bytes", 0}}}}};
}

TopModel model_of(int services) {
    TopModel out;
    out.take(node(1, services));
    out.take(node(2, services));
    return out;
}

std::string text_of(const std::vector<TopLine>& lines) {
    std::string out;
    for (const TopLine& line : lines) {
        std::string text;
        for (const TopSegment& segment : line) text += segment.text;
        text.resize(text.find_last_not_of(' ') + 1);
        out += text + "\n";
    }
    return out;
}

std::string page_of(const TopModel& model, const TopUi& ui, std::size_t width, std::size_t height) {
    return text_of(page(model, ui, width, height));
}

void type(TopUi& ui, std::string_view text) {
    for (const char c : text) press(ui, TopKey::character, c, 100, 10);
}

TEST(TopPage, shows_what_there_is) {
    EXPECT_EQ(page_of(model_of(2), {}, 100, 10), R"(sluice top  edge-1  generation 7  every 1s
1.0k packets/s  0 bits/s  100 drops/s (10.0%)  samples 1 in 1024
[1 Services] 2 Backends  3 Reasons  4 Talkers  5 Maps  6 Interfaces

SERVICE      VIP         PROTO  PORT  PACKETS/S v  BITS/S  DROPS/S  BACKENDS  PACKETS
service-101  192.0.2.10  tcp    443          1.0k       0        0       2/2     2.0k
service-100  192.0.2.10  tcp    443          1.0k       0        0       2/2     2.0k


q quit  ? help  Tab view  < > sort  r reverse  / filter  Space pause  + - interval
)");
}

TEST(TopPage, leaves_columns_out_on_a_narrow_terminal) {
    EXPECT_EQ(page_of(model_of(1), {}, 46, 8), R"(sluice top  edge-1  generation 7  every 1s
1.0k packets/s  0 bits/s  100 drops/s (10.0%)~
[1 Services] 2  3  4  5  6

SERVICE      PACKETS/S v  BITS/S  DROPS/S
service-100         1.0k       0        0

q quit  ? help  Tab view  < > sort  r reverse~
)");
    EXPECT_EQ(page_of(model_of(1), {}, 20, 7), R"(sluice top  edge-1 ~
1.0k packets/s  0 b~
[1 Services] 2  3  ~

SERVICE  PACKETS/S v
servic~         1.0k
q quit  ? help  Tab~
)");
}

TEST(TopPage, fits_any_terminal) {
    const TopModel model = model_of(30);
    for (const bool help : {false, true})
        for (std::size_t width = 0; width <= 120; ++width)
            for (std::size_t height = 0; height <= 12; ++height) {
                TopUi ui;
                ui.help = help;
                ui.filter = "s";
                ui.trouble = width % 2 == 0 ? "sluiced does not answer" : "";
                const auto lines = page(model, ui, width, height);
                ASSERT_LE(lines.size(), height);
                for (const TopLine& line : lines) {
                    std::size_t len = 0;
                    for (const TopSegment& segment : line) len += segment.text.size();
                    ASSERT_LE(len, width) << text_of({line}) << " in " << width;
                }
            }
}

TEST(TopPage, says_that_nobody_answers_and_keeps_what_it_knows) {
    TopUi ui;
    ui.trouble = "sluiced does not answer";
    const std::string text = page_of(model_of(1), ui, 80, 8);
    EXPECT_NE(text.find("every 1s  sluiced does not answer\n"), std::string::npos) << text;
    EXPECT_NE(text.find("service-100"), std::string::npos);
    // On a narrow terminal too.
    EXPECT_NE(page_of(model_of(1), ui, 40, 8).find("sluiced does not answer\n"), std::string::npos);
}

TEST(TopPage, says_that_it_waits_before_there_are_rates) {
    TopModel model;
    EXPECT_NE(page_of(model, {}, 80, 8).find("waiting for rates"), std::string::npos);
    model.take(node(1, 1));
    const std::string text = page_of(model, {}, 80, 8);
    EXPECT_NE(text.find("waiting for rates"), std::string::npos);
    EXPECT_NE(text.find("- packets/s"), std::string::npos);
}

TEST(TopPage, control_characters_never_reach_the_terminal) {
    Json bad = node(1, 1);
    bad["services"][0]["name"] = "a\x1b[2Jb\xc3\xa4";
    TopModel model;
    model.take(bad);
    EXPECT_NE(page_of(model, {}, 100, 8).find("a?[2Jb??"), std::string::npos);
}

TEST(TopKeys, choose_views) {
    TopUi ui;
    type(ui, "3");
    EXPECT_EQ(ui.pane, TopPane::reasons);
    press(ui, TopKey::tab, 0, 1, 10);
    EXPECT_EQ(ui.pane, TopPane::talkers);
    press(ui, TopKey::left, 0, 1, 10);
    press(ui, TopKey::back_tab, 0, 1, 10);
    EXPECT_EQ(ui.pane, TopPane::backends);
    type(ui, "1");
    press(ui, TopKey::back_tab, 0, 1, 10);
    EXPECT_EQ(ui.pane, TopPane::interfaces);
    type(ui, "790");
    EXPECT_EQ(ui.pane, TopPane::interfaces);
}

TEST(TopKeys, sort_within_the_columns) {
    TopUi ui;
    type(ui, ">");
    EXPECT_EQ(ui.orders[0].column, column_named(TopPane::services, "BITS/S"));
    type(ui, ">>>>>>>>>>");
    EXPECT_EQ(ui.orders[0].column, column_named(TopPane::services, "PACKETS"));
    type(ui, "<<<<<<<<<<<<<<<");
    EXPECT_EQ(ui.orders[0].column, 0u);
    type(ui, "r");
    EXPECT_TRUE(ui.view().ascending);
    type(ui, "2");  // Each view has its own.
    EXPECT_FALSE(ui.view().ascending);
    EXPECT_FALSE(ui.view().column);
}

TEST(TopKeys, type_a_filter_in_which_keys_are_letters) {
    TopUi ui;
    type(ui, "/q1x");
    press(ui, TopKey::backspace, 0, 1, 10);
    EXPECT_EQ(ui.filter, "q1");
    EXPECT_FALSE(ui.quit);
    press(ui, TopKey::enter, 0, 1, 10);
    type(ui, "2");
    EXPECT_EQ(ui.filter, "q1");
    EXPECT_EQ(ui.pane, TopPane::backends);
    press(ui, TopKey::escape, 0, 1, 10);
    EXPECT_EQ(ui.filter, "");
    type(ui, "/" + std::string(500, 'a'));
    EXPECT_EQ(ui.filter.size(), 64u);
    press(ui, TopKey::escape, 0, 1, 10);
    EXPECT_FALSE(ui.typing);
    EXPECT_EQ(ui.filter, "");
}

TEST(TopKeys, scroll_no_further_than_there_are_rows) {
    TopUi ui;
    press(ui, TopKey::page_down, 0, 25, 10);
    EXPECT_EQ(ui.scroll, 10u);
    press(ui, TopKey::page_down, 0, 25, 10);
    EXPECT_EQ(ui.scroll, 15u);
    press(ui, TopKey::down, 0, 25, 10);
    EXPECT_EQ(ui.scroll, 15u);
    press(ui, TopKey::page_up, 0, 25, 10);
    press(ui, TopKey::up, 0, 25, 10);
    EXPECT_EQ(ui.scroll, 4u);
    press(ui, TopKey::home, 0, 25, 10);
    EXPECT_EQ(ui.scroll, 0u);
    press(ui, TopKey::end, 0, 25, 10);
    EXPECT_EQ(ui.scroll, 15u);
    press(ui, TopKey::up, 0, 3, 10);  // Rows have gone.
    EXPECT_EQ(ui.scroll, 0u);
}

TEST(TopKeys, pause_help_interval_and_quit) {
    TopUi ui;
    type(ui, "++-");
    EXPECT_EQ(ui.interval_s, 2u);
    type(ui, "----");
    EXPECT_EQ(ui.interval_s, 1u);
    type(ui, std::string(100, '+'));
    EXPECT_EQ(ui.interval_s, kTopMostInterval);
    type(ui, " ");
    EXPECT_TRUE(ui.paused);
    type(ui, "?");
    EXPECT_TRUE(ui.help);
    type(ui, " ");  // Back, and nothing else.
    EXPECT_FALSE(ui.help);
    EXPECT_TRUE(ui.paused);
    press(ui, TopKey::other, 0, 1, 10);
    EXPECT_FALSE(ui.quit);
    type(ui, "q");
    EXPECT_TRUE(ui.quit);
}

}  // namespace
}  // namespace sluice::cli
