// SPDX-License-Identifier: Apache-2.0

/// Decisions as a stream, without a server, of the fake node's samples (tests/cli/fake_watch.h).

#include "api/observe_stream.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "api/routes.h"
#include "tests/cli/fake_node.h"
#include "tests/cli/fake_watch.h"

namespace sluice::api {
namespace {

using namespace sluice::test;
using Json = nlohmann::json;

/// Steps until nothing more comes.
std::vector<Json> lines_of(Stream& stream, FakeNode& node, int steps = 4) {
    std::string text;
    for (int i = 0; i < steps && !stream.done(); ++i) {
        EXPECT_TRUE(stream.step(node).has_value());
        text += stream.take();
    }
    std::vector<Json> out;
    std::istringstream in(text);
    std::string line;
    while (std::getline(in, line)) out.push_back(Json::parse(line));
    return out;
}

/// When each was sampled, in milliseconds; "lost 3" for what was not read.
std::vector<std::string> times_of(const std::vector<Json>& lines) {
    std::vector<std::string> out;
    for (const Json& line : lines)
        out.push_back(line.contains("lost") ? "lost " + std::to_string(line["lost"].get<int>())
                                            : line["time"].get<std::string>().substr(20, 3));
    return out;
}

std::vector<std::string> ask(const std::string& query) {
    FakeNode node(Scene::healthy);
    const Response response = answer({"GET", "/api/v1/observe" + query, ""}, node);
    EXPECT_NE(response.stream, nullptr) << response.body;
    return response.stream ? times_of(lines_of(*response.stream, node))
                           : std::vector<std::string>();
}

TEST(ObserveStream, tells_what_was_asked_for) {
    using Times = std::vector<std::string>;
    struct Case {
        const char* query;
        Times want;
    };
    const Case cases[] = {
        {"", {"000", "012", "020", "030", "040", "052"}},
        {"?last=2", {"040", "052"}},
        {"?last=0", {}},
        {"?follow=1", {"000", "012", "020", "030", "040", "052", "lost 3", "090"}},
        {"?follow=1&last=0", {"lost 3", "090"}},
        {"?verdict=drop", {"020", "040"}},
        {"?verdict=drop&last=1", {"040"}},
        {"?verdict=forward", {"000", "012", "030", "052"}},
        {"?verdict=redirect,drop", {"020", "040", "052"}},
        {"?not_verdict=drop", {"000", "012", "030", "052"}},
        {"?reason=no_backend", {"040"}},
        {"?from=198.51.100.0/24", {"000", "012", "052"}},
        {"?from=198.51.100.0/24&not_from=198.51.100.8", {"000", "012"}},
        {"?to=2001:db8::/32", {"040"}},
        {"?service=web,web6", {"000", "012", "040"}},
        {"?backend=web/10.0.0.6", {"052"}},
        {"?customer=acme", {"040"}},
        {"?interface=eth1", {"040"}},
        {"?not_interface=eth1&protocol=tcp&port=8080", {"020"}},
        {"?protocol=icmp", {"030"}},
        {"?count=2", {"000", "012"}},
        {"?count=1&follow=1&last=0", {"lost 3", "090"}},
        {"?count=3&last=4&follow=1", {"020", "030", "040"}},
    };
    for (const Case& test : cases) EXPECT_EQ(ask(test.query), test.want) << test.query;
}

/// Two CPUs take samples faster than they are read: there are always more.
class BusyNode : public FakeNode {
 public:
    BusyNode() : FakeNode(Scene::healthy) {}
    control::Observation& observation() override { return busy_; }

    static constexpr std::size_t kEach = 100;  // Of a CPU, in one read.

 private:
    struct Busy : FakeObservation {
        control::SampleBatch samples(control::SampleCursor& cursor) override {
            control::SampleCursor first;
            const slc_sample sample = fake_samples(first).samples.front();
            control::SampleBatch out;
            cursor.seen.resize(2);
            for (std::uint32_t cpu = 0; cpu < 2; ++cpu) {
                cursor.seen[cpu] += kEach;
                out.samples.insert(out.samples.end(), kEach, sample);
                out.cpus.insert(out.cpus.end(), kEach, cpu);
            }
            out.is_cut = true;
            return out;
        }
    } busy_;
};

TEST(ObserveStream, what_was_there_comes_to_an_end_however_fast_more_comes) {
    // Three reads take all of two rings.
    constexpr int kReads = (SLC_SAMPLES_PER_CPU + BusyNode::kEach - 1) / BusyNode::kEach;
    const std::pair<const char*, std::size_t> cases[] = {
        {"", 2 * kReads * BusyNode::kEach},
        {"?last=5", 5},
        {"?count=7", 7},
        {"?follow=1&last=5", 5},
    };
    for (const auto& [query, want] : cases) {
        BusyNode node;
        const Response response = answer({"GET", std::string("/api/v1/observe") + query, ""}, node);
        ASSERT_NE(response.stream, nullptr) << query;
        EXPECT_EQ(lines_of(*response.stream, node, kReads).size(), want) << query;
        EXPECT_NE(response.stream->done(), response.stream->is_live()) << query;
    }
}

TEST(ObserveStream, a_line_carries_the_whole_decision) {
    FakeNode node(Scene::healthy);
    const Response response = answer({"GET", "/api/v1/observe?reason=no_backend", ""}, node);
    ASSERT_NE(response.stream, nullptr);
    const auto lines = lines_of(*response.stream, node);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0], Json::parse(R"({
        "schema_version": 1, "time": "2026-01-01T00:00:00.040000000Z", "cpu": 1, "queue": 1,
        "generation": 3, "interface": "eth1", "verdict": "drop", "stage": "pick",
        "reason": "no_backend", "service": "web6", "backend": "", "customer": "acme",
        "policy": "strict", "mitigation": "",
        "packet": "udp [2001:db8::7]:5353 > [2001:db8:a::10]:443 len=1200", "protocol": "udp",
        "source": "2001:db8::7", "source_port": 5353, "destination": "2001:db8:a::10",
        "destination_port": 443, "len": 1262, "hash": "1f2e3d4c", "extra": true})"));
}

TEST(ObserveStream, names_of_any_bytes_make_a_document) {
    observe::Decision decision;
    decision.service = "a\"b\\c\n\x1b\xff\xc3\xbc";
    const Json line = Json::parse(decision_json(decision, "x"));
    EXPECT_EQ(line["service"], "a\"b\\c\n\x1b\xef\xbf\xbd\xc3\xbc");
    EXPECT_TRUE(line["generation"].is_null());
    EXPECT_TRUE(line["source_port"].is_null());
}

TEST(ObserveStream, is_live_only_when_it_follows) {
    EXPECT_FALSE(ObserveStream({}).is_live());
    ObserveRequest request;
    request.follow = true;
    FakeNode node(Scene::healthy);
    ObserveStream stream(std::move(request));
    EXPECT_TRUE(stream.is_live());
    lines_of(stream, node);
    EXPECT_FALSE(stream.done());
    EXPECT_EQ(stream.pause(), ObserveStream::kPoll);
}

TEST(ObserveStream, a_wrong_question_is_refused_by_its_key) {
    const std::tuple<const char*, unsigned, const char*> cases[] = {
        {"?verdict=dropped", 400,
         "observe: query: verdict: 'dropped' is not one of drop, pass, tx, redirect, forward"},
        {"?not_port=x", 400, "observe: query: port: 'x' is no port"},
        {"?service=web,", 400, "observe: query: service: an empty word"},
        {"?last=-1", 400,
         "observe: query: last: '-1' is not a whole number from 0 to 18446744073709551615"},
        {"?count=0", 400,
         "observe: query: count: '0' is not a whole number from 1 to 18446744073709551615"},
        {"?not_last=1", 400, "observe: query: unknown key 'not_last'"},
        {"?servce=web", 400, "observe: query: unknown key 'servce'"},
    };
    FakeNode node(Scene::healthy);
    for (const auto& [query, status, what] : cases) {
        const Response response = answer({"GET", std::string("/api/v1/observe") + query, ""}, node);
        EXPECT_EQ(response.status, status) << query;
        ASSERT_EQ(response.stream, nullptr) << query;
        EXPECT_EQ(Json::parse(response.body)["message"], what) << query;
    }
}

TEST(ObserveStream, an_unknown_name_is_not_found) {
    FakeNode node(Scene::healthy);
    const Response response = answer({"GET", "/api/v1/observe?service=wob", ""}, node);
    ASSERT_NE(response.stream, nullptr);
    const auto stepped = response.stream->step(node);
    ASSERT_FALSE(stepped.has_value());
    EXPECT_EQ(stepped.error().code, Errc::not_found);
    EXPECT_EQ(stepped.error().what, "filter: no service 'wob'");
}

}  // namespace
}  // namespace sluice::api
