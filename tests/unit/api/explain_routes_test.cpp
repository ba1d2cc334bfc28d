// SPDX-License-Identifier: Apache-2.0
#include "api/explain_routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/config_request.h"
#include "tests/cli/fake_node.h"

namespace sluice::api {
namespace {

using Json = nlohmann::json;
using test::FakeNode;
using test::Scene;

constexpr const char* kSyn = R"({"packet": "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn"})";

struct Case {
    const char* name;
    const char* method;
    std::string body;
    unsigned status;
    const char* message = "";
};

const Case kCases[] = {
    {"notation", "POST", kSyn, 200},
    {"bytes", "POST",
     R"({"packet": "450000280001000040068e8ac6336407c000020a04d201bb00000000000000005002)"
     R"(00ff00000000"})",
     200},
    {"interface", "POST", R"({"packet": "ether 0x0806", "interface": "eth1"})", 200},
    {"against", "POST", R"({"packet": "ether 0x0806", "against": {"text": "x", "file": "f"}})",
     200},
    {"by_get", "GET", "", 405, "/api/v1/explain does not take GET"},
    {"no_json", "POST", "{", 400, "request: the body is not JSON"},
    {"nothing", "POST", "{}", 400, "request: no packet"},
    {"unknown_key", "POST", R"({"packet": "ether 0x0806", "frame": 1})", 400,
     "request: unknown key 'frame'"},
    {"packet_is_a_number", "POST", R"({"packet": 7})", 400, "request: packet: not a string"},
    {"faulty_packet", "POST", R"({"packet": "tcp 198.51.100.7:1 > 192.0.2.10:443 sny"})", 400,
     "packet: 'sny' is nothing that tcp has"},
    {"name_too_long", "POST", R"({"packet": "ether 0x0806", "interface": "0123456789abcdef"})", 400,
     "request: interface: longer than 15 bytes"},
    {"relative_directory", "POST",
     R"({"packet": "ether 0x0806", "against": {"text": "x", "directory": "etc"}})", 400,
     "request: against.directory: not an absolute path"},
    {"against_nothing", "POST", R"({"packet": "ether 0x0806", "against": {"file": "f"}})", 400,
     "request: against without a text"},
    {"no_such_interface", "POST", R"({"packet": "ether 0x0806", "interface": "eth9"})", 404,
     "no interface eth9"},
};

class ExplainRoute : public testing::TestWithParam<Case> {};

TEST_P(ExplainRoute, answers) {
    FakeNode node(Scene::healthy);
    const Case& row = GetParam();
    const Response response = answer({row.method, std::string(kExplainPath), row.body}, node);
    EXPECT_EQ(response.status, row.status) << response.body;
    const Json document = Json::parse(response.body);
    EXPECT_EQ(document.value("message", ""), row.message);
    EXPECT_EQ(response.order, "") << "it is no change";
}

INSTANTIATE_TEST_SUITE_P(Table, ExplainRoute, testing::ValuesIn(kCases),
                         [](const auto& row) { return row.param.name; });

TEST(ExplainRoute, tells_the_walk) {
    FakeNode node(Scene::healthy);
    const Response response = answer({"POST", std::string(kExplainPath), kSyn}, node);
    const Json document = Json::parse(response.body);
    EXPECT_EQ(document["schema_version"], 1);
    EXPECT_EQ(document["packet"]["text"], "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn");
    EXPECT_EQ(document["packet"]["bytes"], 54);
    EXPECT_EQ(document["packet"]["hex"].get<std::string>().size(), 108U);
    EXPECT_EQ(document["now"]["generation"], 3);
    EXPECT_EQ(document["now"]["backend"], "web/10.0.0.5");
    EXPECT_EQ(document["now"]["hash"], "0123456789abcdef");
    EXPECT_EQ(document["now"]["slot"], 17);
    EXPECT_EQ(document["now"]["steps"][0]["stage"], "entry");
    EXPECT_EQ(document["now"]["out"]["bytes"], 74);
    EXPECT_TRUE(document["planned"].is_null());
    EXPECT_TRUE(document["differences"].empty());
}

TEST(ExplainRoute, may_carry_a_configuration) {
    EXPECT_EQ(max_body_len(kExplainPath), kMaxConfigBodyLen);
}

TEST(ExplainBody, is_read_as_it_was_written) {
    ExplainBody body;
    body.packet = "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn";
    body.request.interface = "eth1";
    body.request.against = "version: 2\n\"quoted\"\n";
    body.request.file = "/etc/sluice/new.yaml";
    body.request.directory = "/etc/sluice";
    const auto written = explain_body(body);
    ASSERT_TRUE(written) << written.error().what;
    const auto read = parse_explain(*written);
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(read->packet, body.packet);
    EXPECT_EQ(read->request.interface, body.request.interface);
    EXPECT_EQ(read->request.against, body.request.against);
    EXPECT_EQ(read->request.file, body.request.file);
    EXPECT_EQ(read->request.directory, body.request.directory);
}

}  // namespace
}  // namespace sluice::api
