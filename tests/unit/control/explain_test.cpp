// SPDX-License-Identifier: Apache-2.0

/// What the controller says that a packet would do, against the real kernel; and that nothing live
/// notices.

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>

#include "control/explanation.h"
#include "kernel/pinned_generation.h"
#include "packet/notation.h"
#include "tests/unit/control/fixture.h"

namespace sluice::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kSyn = "tcp 198.51.100.7:1234 > 192.0.2.10:80 syn";

std::string config_of(const std::string& backends, const std::string& tail = "") {
    return "version: 2\nnode: {name: test, interfaces: [eth0], sampling: 1}\ngroups:\n"
           "  web: {backends: [" +
           backends +
           "]}\nservices:\n  - {name: http, vip: 192.0.2.10, port: 80, group: web, customer: "
           "acme}\n" +
           tail;
}

class ExplainTest : public ControllerTest {
 protected:
    void SetUp() override {
        ControllerTest::SetUp();
        options_.clock = [this] { return clock_; };
        write(config_of("10.0.0.5, 10.0.0.6"));
        start();
        for (int i = 5; i < 10; ++i)
            fake_->set(*IpAddress::parse("10.0.0." + std::to_string(i)), resolved());
        const auto applied = controller_->apply_file();
        ASSERT_TRUE(applied) << applied.error().what;
    }
    void pass(milliseconds time) {
        const plan::Instant end = clock_ + time;
        while (clock_ < end) {
            clock_ += std::min<milliseconds>(Controller::kChangeTick * 4, end - clock_);
            controller_->on_change_tick();
        }
    }
    Result<Explanation> ask(const std::string& notation, const std::string& against = "",
                            const std::string& interface = "") {
        ExplanationRequest request;
        request.frame = *packet::build(notation);
        request.against = against;
        request.file = "/etc/sluice/new.yaml";
        request.interface = interface;
        return controller_->explain(request);
    }
    Walk walk(const std::string& notation) {
        const auto out = ask(notation);
        EXPECT_TRUE(out) << notation << ": " << out.error().what;
        return out ? out->now : Walk();
    }
    Result<ApplyReport> apply(const std::string& text, std::optional<Canary> canary = {}) {
        ApplyRequest request;
        request.text = text;
        request.file = "-";
        request.author = "test";
        request.canary = std::move(canary);
        return controller_->apply(request);
    }
    /// Everything that a packet could have changed.
    std::string traces() {
        const NodeStatus status = controller_->status();
        std::string out;
        for (const auto& reason : status.reasons)
            out += reason.label + " " + std::to_string(reason.traffic.packets) + "\n";
        for (const auto& each : status.services)
            out += each.name + " " + std::to_string(each.traffic.packets) + "\n";
        for (const auto& each : status.backends)
            out += each.address.text() + " " + std::to_string(each.traffic.packets) + "\n";
        const MapsStatus maps = controller_->maps();
        for (const auto& use : maps.maps.front().groups)
            out += use.name + " " + std::to_string(use.hits) + " " + std::to_string(use.misses) +
                   " " + std::to_string(use.inserts) + "\n";
        out += std::to_string(controller_->flows({}, FlowAction::count, 0)->matched);
        SampleCursor cursor;
        return out + " " + std::to_string(controller_->samples(cursor).samples.size());
    }

    plan::Instant clock_{std::chrono::hours(1)};
};

TEST_F(ExplainTest, a_packet_is_told_from_entry_to_exit) {
    const auto found = ask(kSyn);
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(found->packet, kSyn);
    EXPECT_EQ(found->interface, "eth0");
    const Walk& now = found->now;
    EXPECT_EQ(now.generation, 1U);
    EXPECT_EQ(now.reason, "forwarded");
    EXPECT_EQ(now.service, "http");
    EXPECT_EQ(now.group, "web");
    EXPECT_EQ(now.customer, "acme");
    EXPECT_TRUE(now.backend.starts_with("web/10.0.0.")) << now.backend;
    EXPECT_EQ(now.encapsulation, "ipip");
    EXPECT_EQ(now.steps.front().text,
              "received by eth0, the first of the node's interfaces; generation 1 takes it");
    EXPECT_TRUE(now.out_text.starts_with("ipip 10.0.0.1 > 10.0.0.")) << now.out_text;
    EXPECT_TRUE(now.out_text.ends_with(std::string("{ ") + kSyn + " }")) << now.out_text;
    EXPECT_FALSE(found->planned);
}

TEST_F(ExplainTest, nothing_live_notices) {
    const std::string before = traces();
    for (const char* notation : {kSyn, "tcp 198.51.100.7:1234 > 192.0.2.10:81 syn",
                                 "icmp 198.51.100.7 > 192.0.2.10 "
                                 "echo-request",
                                 "udp 198.51.100.7:53 > 192.0.2.99:53"}) {
        ASSERT_TRUE(ask(notation)) << notation;
        ASSERT_TRUE(ask(notation, config_of("10.0.0.5"))) << notation;
        ASSERT_TRUE(ask(notation, config_of("10.0.0.5", "tests: []\n"))) << notation;
    }
    EXPECT_EQ(traces(), before);
    EXPECT_EQ(controller_->status().generation, 1U);
}

TEST_F(ExplainTest, a_flow_in_a_change_is_told_as_it_is_remembered) {
    ASSERT_TRUE(apply(config_of("{address: 10.0.0.5, state: drain}, 10.0.0.6")));
    pass(milliseconds(500));
    int remembered = 0, old = 0;
    for (int port = 1000; port < 1040; ++port) {
        const std::string tuple = "tcp 198.51.100.7:" + std::to_string(port) + " > 192.0.2.10:80 ";
        const Walk syn = walk(tuple + "syn");
        const Walk ack = walk(tuple + "ack");
        remembered += syn.steps.size() > ack.steps.size() ? 0 : 1;
        old += ack.reason == "forwarded_previous" ? 1 : 0;
        if (ack.reason == "forwarded_previous") {
            EXPECT_EQ(ack.backend, "web/10.0.0.5");
            EXPECT_FALSE(ack.assumptions.empty());
        }
        EXPECT_EQ(walk(tuple + "ack").reason, ack.reason) << "asking leaves no trace";
    }
    EXPECT_GT(old, 0);
    EXPECT_LT(old, 40);
    EXPECT_GT(remembered, 0);
    EXPECT_EQ(controller_->flows({}, FlowAction::count, 0)->matched, 0U);
}

TEST_F(ExplainTest, a_planned_configuration_is_compared_and_not_applied) {
    const auto moved = ask(kSyn, config_of("10.0.0.7"));
    ASSERT_TRUE(moved) << moved.error().what;
    ASSERT_TRUE(moved->planned);
    EXPECT_EQ(moved->planned->backend, "web/10.0.0.7");
    EXPECT_EQ(moved->planned->generation, 0U);
    ASSERT_FALSE(moved->differences.empty());
    EXPECT_EQ(moved->differences.front(),
              "backend " + moved->now.backend + ", planned web/10.0.0.7");
    const auto gone = ask(kSyn,
                          "version: 2\nnode: {name: test, interfaces: [eth0]}\nservices:\n"
                          "  - {name: other, vip: 192.0.2.11, port: 80, backends: "
                          "[10.0.0.5]}\n");
    ASSERT_TRUE(gone) << gone.error().what;
    EXPECT_EQ(gone->planned->reason, "not_ours");
    const auto same = ask(kSyn, config_of("10.0.0.5, 10.0.0.6", "tests: []\n"));
    ASSERT_TRUE(same) << same.error().what;
    EXPECT_TRUE(same->differences.empty()) << same->differences.front();
    EXPECT_EQ(controller_->status().generation, 1U);
    EXPECT_EQ(controller_->status().backends.size(), 2U);
    EXPECT_EQ(walk(kSyn).backend, moved->now.backend);
}

TEST_F(ExplainTest, a_backend_that_has_not_answered_is_told) {
    plan::NextHop lost;
    lost.state = plan::HopState::unresolved;
    lost.why = "neighbour 10.0.0.9 on eth0 does not answer";
    fake_->set(*IpAddress::parse("10.0.0.9"), lost);
    const std::string text = config_of("10.0.0.9");
    const auto planned = ask(kSyn, text);
    ASSERT_TRUE(planned) << planned.error().what;
    EXPECT_EQ(planned->planned->reason, "forwarded");
    ASSERT_FALSE(planned->planned->assumptions.empty());
    EXPECT_NE(planned->planned->assumptions.back().find("web/10.0.0.9 has not answered yet"),
              std::string::npos);
    ASSERT_TRUE(apply(text));
    pass(seconds(2000));
    const Walk now = walk(kSyn);
    EXPECT_EQ(now.reason, "backend_unresolved");
    EXPECT_EQ(now.backend, "web/10.0.0.9");
    EXPECT_EQ(now.steps[now.steps.size() - 2].text,
              "web/10.0.0.9 cannot be reached: neighbour 10.0.0.9 on eth0 does not answer");
}

TEST_F(ExplainTest, faulty_questions_are_refused) {
    EXPECT_EQ(ask(kSyn, "version: 2\n").error().code, Errc::invalid);
    EXPECT_EQ(ask(kSyn, "", "nowhere0").error().code, Errc::not_found);
    EXPECT_EQ(ask("ether 0x0806 cut=10").error().code, Errc::invalid);
    EXPECT_EQ(controller_->status().generation, 1U);
}

TEST_F(ExplainTest, an_interface_without_sluice_is_said_to_be_one) {
    const auto found = ask(kSyn, "", "eth1");
    ASSERT_TRUE(found) << found.error().what;
    ASSERT_FALSE(found->now.assumptions.empty());
    EXPECT_NE(found->now.assumptions.back().find("Sluice is not on eth1"), std::string::npos);
}

TEST_F(ExplainTest, the_canary_explains_the_packets_of_its_clients) {
    ASSERT_TRUE(apply(config_of("10.0.0.7"), Canary{{}, 0.5}));
    int taken = 0;
    for (int client = 1; client <= 40; ++client) {
        const Walk now =
            walk("tcp 198.51.100." + std::to_string(client) + ":1234 > 192.0.2.10:80 syn");
        const bool is_canary = now.generation == 2;
        taken += is_canary ? 1 : 0;
        EXPECT_EQ(now.generation, is_canary ? 2U : 1U);
        EXPECT_NE(now.steps.front().text.find("canary"), std::string::npos);
        if (!is_canary) {
            EXPECT_NE(now.backend, "web/10.0.0.7");
        }
    }
    EXPECT_GT(taken, 5);
    EXPECT_LT(taken, 35);
    ASSERT_TRUE(controller_->end_canary(false));
    EXPECT_EQ(walk(kSyn).generation, 1U);
    ASSERT_TRUE(apply(config_of("10.0.0.7"), Canary{{"eth0"}, 0}));
    EXPECT_EQ(walk(kSyn).generation, 3U);
}

}  // namespace
}  // namespace sluice::control
