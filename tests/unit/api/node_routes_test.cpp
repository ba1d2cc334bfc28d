// SPDX-License-Identifier: Apache-2.0
#include "api/node_routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "control/metrics_source.h"
#include "tests/cli/fake_node.h"

namespace sluice::api {
namespace {

using Json = nlohmann::ordered_json;
using test::FakeNode;
using test::Scene;

TEST(NodeRoutes, losses_come_with_all_layers_and_the_sum_of_what_is_lost_in_each) {
    FakeNode node(Scene::degraded);
    const Response response = answer({"GET", "/api/v1/node/drops", ""}, node);
    EXPECT_EQ(response.status, 200u);
    const Json json = Json::parse(response.body);
    std::vector<std::string> layers;
    for (const Json& layer : json["layers"])
        layers.push_back(layer["layer"].get<std::string>() + " " + layer["packets"].dump());
    const std::vector<std::string> want = {"hardware 31234693", "driver 66", "xdp 17", "cpu 44",
                                           "decision 51241"};
    EXPECT_EQ(layers, want);
    const Json loss = {
        {"layer", "hardware"},
        {"interface", "eth0"},
        {"queue", 0},
        {"cpu", nullptr},
        {"counter", "rx_missed"},
        {"source", "driver"},
        {"packets", 120},
        {"is_loss", true},
        {"remedy",
         "the NIC's ring was full: more queues, larger rings or more CPUs (sluice node "
         "tune)"}};
    EXPECT_EQ(json["losses"][0], loss);
    const Json interface = {{"name", "eth0"}, {"driver", "virtio_net"}, {"is_known", true}};
    EXPECT_EQ(json["interfaces"][0], interface);
    EXPECT_EQ(json["interfaces"][1]["is_known"], false);
}

TEST(NodeRoutes, the_page_is_only_read) {
    FakeNode node(Scene::healthy);
    EXPECT_EQ(answer({"POST", "/api/v1/node/drops", ""}, node).status, 405u);
    EXPECT_EQ(answer({"GET", "/api/v1/node/dropz", ""}, node).status, 404u);
}

}  // namespace
}  // namespace sluice::api
