// SPDX-License-Identifier: Apache-2.0
#include "cli/top_model.h"

#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

Json service(const char* name, std::uint64_t packets, std::uint64_t bytes, std::uint64_t drops) {
    return {
        {"name", name},   {"vip", "192.0.2.10"},     {"protocol", "tcp"},    {"port", "443"},
        {"group", "web"}, {"backends", 3u},          {"backends_ready", 2u}, {"packets", packets},
        {"bytes", bytes}, {"dropped_packets", drops}};
}

Json reason(const char* label, const char* outcome, std::uint64_t packets) {
    return {
        {"reason", label}, {"outcome", outcome}, {"packets", packets}, {"bytes", packets * 100}};
}

Json document(double seconds, Json services, Json reasons = Json::array()) {
    return {{"schema_version", 1u},
            {"time_ns", static_cast<std::uint64_t>(seconds * 1e9)},
            {"node", "edge-1"},
            {"generation", 7u},
            {"sampled_one_in", 1024u},
            {"services", std::move(services)},
            {"reasons", std::move(reasons)}};
}

/// The cells of one column, in the order of rows.
std::vector<std::string> column(const TopModel& model, const TopView& view, const char* heading) {
    const std::size_t index = column_named(view.pane, heading).value();
    std::vector<std::string> out;
    for (const auto& row : model.rows(view).rows) out.push_back(row[index].text);
    return out;
}

using Texts = std::vector<std::string>;

struct Rate {
    const char* name;
    Json before;  ///< Services.
    Json after;
    double seconds;
    std::string rate;  ///< Of the first service.
};

void PrintTo(const Rate& rate, std::ostream* out) {
    *out << rate.name;
}

class Rates : public testing::TestWithParam<Rate> {};

TEST_P(Rates, come_from_two_documents) {
    TopModel model;
    model.take(document(100, GetParam().before));
    model.take(document(100 + GetParam().seconds, GetParam().after));
    EXPECT_EQ(column(model, {}, "PACKETS/S"), Texts{GetParam().rate});
}

INSTANTIATE_TEST_SUITE_P(
    Top, Rates,
    testing::Values(
        Rate{"a_counter_that_grew", {service("a", 100, 0, 0)}, {service("a", 700, 0, 0)}, 2, "300"},
        Rate{"less_than_ten_has_a_decimal",
             {service("a", 0, 0, 0)},
             {service("a", 5, 0, 0)},
             2,
             "2.5"},
        Rate{"a_counter_that_stood", {service("a", 9, 0, 0)}, {service("a", 9, 0, 0)}, 2, "0"},
        Rate{"a_service_that_is_new_has_none_yet",
             {service("b", 1, 0, 0)},
             {service("a", 9, 0, 0)},
             2,
             ""},
        Rate{"a_counter_that_began_anew_has_none_and_never_a_negative_one",
             {service("a", 900, 0, 0)},
             {service("a", 7, 0, 0)},
             2,
             ""},
        Rate{"time_that_went_back_has_none",
             {service("a", 1, 0, 0)},
             {service("a", 9, 0, 0)},
             -50,
             ""},
        Rate{"the_largest_counter_is_exact",
             {service("a", 18'446'744'073'709'551'605u, 0, 0)},
             {service("a", 18'446'744'073'709'551'615u, 0, 0)},
             1,
             "10"}),
    [](const auto& rate) { return rate.param.name; });

TEST(TopModel, the_same_moment_is_no_news) {
    TopModel model;
    model.take(document(100, {service("a", 1, 0, 0)}));
    model.take(document(101, {service("a", 11, 0, 0)}));
    EXPECT_FALSE(model.take(document(101, {service("a", 11, 0, 0)})));
    EXPECT_EQ(column(model, {}, "PACKETS/S"), Texts{"10"});
}

TEST(TopModel, another_node_is_not_compared_with) {
    TopModel model;
    model.take(document(100, {service("a", 1, 0, 0)}));
    Json other = document(101, {service("a", 11, 0, 0)});
    other["node"] = "edge-2";
    model.take(other);
    EXPECT_FALSE(model.has_rates());
    EXPECT_EQ(column(model, {}, "PACKETS/S"), Texts{""});
}

TEST(TopModel, bytes_are_shown_as_bits) {
    TopModel model;
    model.take(document(100, {service("a", 0, 0, 0)}));
    model.take(document(101, {service("a", 10, 1000, 0)}));
    EXPECT_EQ(column(model, {}, "BITS/S"), Texts{"8.0k"});
}

TopModel three_services() {
    TopModel model;
    model.take(document(
        100, {service("beta", 0, 0, 0), service("alpha", 0, 0, 0), service("Gamma-web", 0, 0, 0)}));
    model.take(document(101, {service("beta", 50, 10, 9), service("alpha", 50, 30, 0),
                              service("Gamma-web", 70, 20, 3)}));
    return model;
}

struct Order {
    const char* name;
    const char* heading;  ///< Null: the pane's own.
    bool ascending;
    const char* filter;
    Texts services;
};

void PrintTo(const Order& order, std::ostream* out) {
    *out << order.name;
}

class Orders : public testing::TestWithParam<Order> {};

TEST_P(Orders, are_as_asked) {
    TopView view;
    if (GetParam().heading != nullptr) view.column = column_named(view.pane, GetParam().heading);
    view.ascending = GetParam().ascending;
    view.filter = GetParam().filter;
    const TopModel model = three_services();
    EXPECT_EQ(column(model, view, "SERVICE"), GetParam().services);
    EXPECT_EQ(model.rows(view).all, 3u);
}

INSTANTIATE_TEST_SUITE_P(
    Top, Orders,
    testing::Values(
        Order{"most_packets_first_and_equals_by_name",
              nullptr,
              false,
              "",
              {"Gamma-web", "alpha", "beta"}},
        Order{"drops", "DROPS/S", false, "", {"beta", "Gamma-web", "alpha"}},
        Order{"the_other_way_round", "BITS/S", true, "", {"beta", "Gamma-web", "alpha"}},
        Order{"texts_from_a_to_z", "SERVICE", false, "", {"Gamma-web", "alpha", "beta"}},
        Order{"texts_from_z_to_a", "SERVICE", true, "", {"beta", "alpha", "Gamma-web"}},
        Order{"headings_in_any_case", "drops/s", false, "", {"beta", "Gamma-web", "alpha"}},
        Order{"a_filter_in_any_case", nullptr, false, "MMA-w", {"Gamma-web"}},
        Order{
            "a_filter_on_another_column", nullptr, false, "192.0", {"Gamma-web", "alpha", "beta"}},
        Order{"a_filter_that_only_a_number_holds", nullptr, false, "70", {}}),
    [](const auto& order) { return order.param.name; });

TEST(TopModel, drops_are_the_first_reasons) {
    TopModel model;
    model.take(document(100, Json::array(),
                        {reason("forwarded", "forwarded", 0), reason("not_ours", "passed", 0),
                         reason("no_such_port", "dropped", 0), reason("land", "dropped", 0)}));
    model.take(document(101, Json::array(),
                        {reason("forwarded", "forwarded", 900), reason("not_ours", "passed", 50),
                         reason("no_such_port", "dropped", 2), reason("land", "dropped", 8)}));
    TopView view{.pane = TopPane::reasons};
    EXPECT_EQ(column(model, view, "REASON"),
              (Texts{"land", "no_such_port", "forwarded", "not_ours"}));
    view.column = column_named(view.pane, "PACKETS/S");
    EXPECT_EQ(column(model, view, "REASON"),
              (Texts{"forwarded", "not_ours", "land", "no_such_port"}));
    const TopHead head = model.head();
    EXPECT_DOUBLE_EQ(head.packets_per_s.value(), 960);
    EXPECT_DOUBLE_EQ(head.bits_per_s.value(), 768'000);
    EXPECT_DOUBLE_EQ(head.drops_per_s.value(), 10);
}

TEST(TopModel, maps_say_when_they_are_full) {
    const auto map = [](const char* name, double pressure, Json trend) {
        return Json{{"name", name},     {"kind", "state"},      {"entries", 1u},
                    {"capacity", 100u}, {"pressure", pressure}, {"trend", std::move(trend)}};
    };
    const auto trend = [](Json full_in) {
        return Json{
            {"level", "none"}, {"full_in_s", std::move(full_in)}, {"growth_per_s", {1.5, 1, 0}}};
    };
    Json node = document(100, Json::array());
    node["maps"] = {map("never", 0.2, trend(nullptr)), map("now", 1, trend(0u)),
                    map("later", 0.5, trend(250u)), map("unwatched", 0.1, nullptr)};
    TopModel model;
    model.take(node);
    TopView view{
        .pane = TopPane::maps, .column = column_named(TopPane::maps, "FULL_IN"), .ascending = true};
    EXPECT_EQ(column(model, view, "FULL_IN"), (Texts{"", "now", "4m10s", "never"}));
    EXPECT_EQ(column(model, view, "USED"), (Texts{"10.0%", "100.0%", "50.0%", "20.0%"}));
    EXPECT_EQ(column(model, view, "GROWTH/S"), (Texts{"", "1.5", "1.5", "1.5"}));
}

TEST(TopModel, talkers_bring_their_own_rates) {
    Json node = document(100, Json::array());
    const auto talker = [](const char* source, const char* name, double rate) {
        return Json{{"source", source},      {"service", name},          {"packets", 4096u},
                    {"packets_per_s", rate}, {"bytes_per_s", rate * 10}, {"dropped_per_s", 0}};
    };
    node["talkers"] = {talker("198.51.100.7", "web", 12), talker("198.51.100.7", "dns", 1200)};
    TopModel model;
    model.take(node);
    const TopView view{.pane = TopPane::talkers};
    EXPECT_EQ(column(model, view, "SERVICE"), (Texts{"dns", "web"}));
    EXPECT_EQ(column(model, view, "PACKETS/S"), (Texts{"1.2k", "12"}));
    EXPECT_EQ(column(model, view, "BITS/S"), (Texts{"96k", "960"}));
}

TEST(TopModel, a_document_without_what_is_asked_for_has_no_rows) {
    TopModel model;
    EXPECT_TRUE(model.rows({}).rows.empty());
    model.take(Json{{"time_ns", 5u}, {"services", "none"}, {"maps", Json::object()}});
    for (std::size_t i = 0; i < kTopPanes; ++i)
        EXPECT_TRUE(model.rows({.pane = static_cast<TopPane>(i)}).rows.empty());
}

TEST(TopModel, prints_numbers_and_nulls) {
    const Json out = three_services().document();
    EXPECT_EQ(out["generation"], 7);
    EXPECT_EQ(out["services"][0]["service"], "Gamma-web");
    EXPECT_EQ(out["services"][0]["packets_per_s"], 70);
    EXPECT_EQ(out["services"][0]["packets"], 70);
    EXPECT_EQ(out["services"][0]["backends_ready"], 2);
    TopModel once;
    once.take(document(100, {service("a", 1, 0, 0)}));
    EXPECT_TRUE(once.document()["services"][0]["packets_per_s"].is_null());
    EXPECT_TRUE(once.document()["packets_per_s"].is_null());
}

}  // namespace
}  // namespace sluice::cli
