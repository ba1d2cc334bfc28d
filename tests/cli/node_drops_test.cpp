// SPDX-License-Identifier: Apache-2.0
#include "cli/node_drops.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice::cli {
namespace {

Json row(const char* layer, const Json& queue, std::uint64_t packets) {
    return {{"layer", layer}, {"interface", "eth0"},    {"queue", queue},
            {"cpu", nullptr}, {"counter", "rx_missed"}, {"packets", packets}};
}

Json document(const Json& losses) {
    return {{"layers", Json::array({{{"layer", "hardware"}, {"packets", 10 * losses.size()}}})},
            {"losses", losses}};
}

TEST(NodeDrops, rates_are_of_the_same_row_at_both_times) {
    const Json before = document(Json::array({row("hardware", 0, 100), row("hardware", 1, 50)}));
    const Json now =
        with_rates(before,
                   document(Json::array({row("hardware", 1, 53), row("hardware", 0, 300),
                                         row("hardware", nullptr, 8), row("driver", 0, 4)})),
                   2);
    EXPECT_EQ(now["losses"][0]["packets_per_second"], 1.5);
    EXPECT_EQ(now["losses"][1]["packets_per_second"], 100.0);
    EXPECT_EQ(now["losses"][2]["packets_per_second"], 4.0);
    EXPECT_EQ(now["losses"][3]["packets_per_second"], 2.0);
    EXPECT_EQ(now["layers"][0]["packets_per_second"], 10.0);
}

TEST(NodeDrops, counters_that_went_back_or_no_time_have_no_rate) {
    const Json before = document(Json::array({row("hardware", 0, 100)}));
    const Json after = document(Json::array({row("hardware", 0, 3)}));
    EXPECT_EQ(with_rates(before, after, 1)["losses"][0]["packets_per_second"], 0.0);
    EXPECT_EQ(with_rates(after, before, 0)["losses"][0]["packets_per_second"], 0.0);
    EXPECT_EQ(with_rates(Json::object(), after, 1)["losses"][0]["packets_per_second"], 3.0);
    EXPECT_EQ(with_rates(Json::object(), Json::object(), 1), Json::object());
}

}  // namespace
}  // namespace sluice::cli
