// SPDX-License-Identifier: Apache-2.0
#include "control/node_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;

/// A state directory, and a clock that goes when it is told to.
class NodeDutyTest : public testing::Test {
 protected:
    NodeDutyTest() { std::filesystem::create_directories(folder_); }
    ~NodeDutyTest() override { std::filesystem::remove_all(folder_); }

    NodeDuty load() const {
        auto duty = NodeDuty::load(path_);
        EXPECT_TRUE(duty) << duty.error().what;
        return duty ? *duty : NodeDuty();
    }
    void order(NodeDuty& duty, NodeOrder what) const {
        const auto done = duty.order(what, 30s, now_);
        EXPECT_TRUE(done) << done.error().what;
    }
    static NodeOrder drain() {
        NodeOrder out;
        out.drain = true;
        return out;
    }

    std::filesystem::path folder_ = testing::TempDir() + "node_state." + std::to_string(::getpid());
    std::string path_ = folder_ / "node.json";
    NodeDuty::Time now_{1'800'000'000s};
};

TEST_F(NodeDutyTest, a_new_node_is_ready) {
    EXPECT_EQ(load().standing().state, NodeState::ready);
    EXPECT_FALSE(load().pass(now_, true));
}

TEST_F(NodeDutyTest, a_drain_ends_after_its_time_and_not_before) {
    NodeDuty duty = load();
    order(duty, drain());
    EXPECT_FALSE(duty.pass(now_ + 29s, true));
    EXPECT_EQ(duty.standing().state, NodeState::draining);
    EXPECT_TRUE(duty.pass(now_ + 30s, false));
    EXPECT_EQ(duty.standing().state, NodeState::drained);
    EXPECT_FALSE(duty.pass(now_ + 1000h, true));
}

TEST_F(NodeDutyTest, one_that_waits_for_quiet_ends_with_it_or_at_its_deadline) {
    NodeOrder what = drain();
    what.until_quiet = true;
    what.deadline = 10min;
    for (const bool is_quiet : {true, false}) {
        NodeDuty duty = load();
        order(duty, NodeOrder{});
        order(duty, what);
        EXPECT_FALSE(duty.pass(now_ + 29s, true)) << "routers need their time";
        EXPECT_FALSE(duty.pass(now_ + 40s, false));
        EXPECT_TRUE(duty.pass(is_quiet ? now_ + 41s : now_ + 10min, is_quiet));
        EXPECT_EQ(duty.standing().state, NodeState::drained);
    }
}

TEST_F(NodeDutyTest, a_deadline_cuts_the_time_short) {
    NodeDuty duty = load();
    NodeOrder what = drain();
    what.deadline = 5s;
    order(duty, what);
    EXPECT_TRUE(duty.pass(now_ + 5s, false));
}

TEST_F(NodeDutyTest, an_end_makes_it_ready_whether_it_was_drained_by_then_or_not) {
    for (const auto step : {10s, 60s}) {
        NodeDuty duty = load();
        NodeOrder what = drain();
        what.keep = 60s;
        order(duty, what);
        if (step == 60s) {
            EXPECT_TRUE(duty.pass(now_ + 30s, true));
            EXPECT_FALSE(duty.pass(now_ + 59s, true));
        }
        EXPECT_TRUE(duty.pass(now_ + 60s, true));
        EXPECT_EQ(duty.standing().state, NodeState::ready);
        EXPECT_FALSE(duty.standing().ready_at);
    }
}

TEST_F(NodeDutyTest, draining_again_does_not_begin_again) {
    NodeDuty duty = load();
    order(duty, drain());
    const auto end = duty.standing().withdraw_at;
    now_ += 20s;
    NodeOrder again = drain();
    again.keep = 1h;
    order(duty, again);
    EXPECT_EQ(duty.standing().withdraw_at, end);
    EXPECT_EQ(duty.standing().ready_at, now_ + 1h);
    EXPECT_TRUE(duty.pass(end, false));
    order(duty, drain());
    EXPECT_EQ(duty.standing().state, NodeState::drained);
    EXPECT_FALSE(duty.standing().ready_at) << "who drains it without an end means it";
}

TEST_F(NodeDutyTest, all_of_it_outlives_the_daemon) {
    NodeDuty duty = load();
    NodeOrder what = drain();
    what.until_quiet = true;
    what.deadline = 10min;
    what.keep = 2h;
    order(duty, what);
    EXPECT_EQ(load().standing(), duty.standing());
    EXPECT_TRUE(duty.pass(now_ + 10min, false));
    EXPECT_EQ(load().standing(), duty.standing());
    order(duty, NodeOrder{});
    EXPECT_EQ(load().standing(), duty.standing());
}

TEST_F(NodeDutyTest, an_order_that_cannot_be_kept_is_none) {
    NodeDuty duty = load();
    std::filesystem::remove_all(folder_);
    EXPECT_FALSE(duty.order(drain(), 30s, now_));
    EXPECT_EQ(duty.standing().state, NodeState::ready);
}

TEST_F(NodeDutyTest, what_it_did_not_write_is_said_and_taken_for_ready) {
    for (const char* text :
         {"", "[]", "{}", R"({"schema_version": 2})", R"({"schema_version": 1, "state": "gone"})",
          R"({"schema_version": 1, "state": "drained", "since": "now"})",
          R"({"schema_version": 1, "state": "drained", "since": 9223372036854775807})",
          R"({"schema_version": 1, "state": "drained", "colour": 1})"}) {
        std::ofstream(path_) << text;
        const auto duty = NodeDuty::load(path_);
        ASSERT_TRUE(duty) << text;
        EXPECT_EQ(duty->standing().state, NodeState::ready) << text;
    }
}

}  // namespace
}  // namespace sluice::control
