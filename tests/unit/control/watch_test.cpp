// SPDX-License-Identifier: Apache-2.0

/// What may be watched of a controller on the real kernel: what ids are called, samples, events.

#include <gtest/gtest.h>

#include <algorithm>

#include "base/log.h"
#include "observe/event_log.h"
#include "tests/unit/control/fixture.h"

namespace sluice::control {
namespace {

class WatchTest : public ControllerTest {
 protected:
    WatchTest() {
        log_also_to([this](LogLevel level, std::string_view name,
                           std::span<const LogField> fields) { log_.add(level, name, fields); });
        options_.events = &log_;
    }
    ~WatchTest() override { log_also_to({}); }

    /// "interface.attached eth0 native" for each event since the last call, with its first fields.
    std::vector<std::string> happened() {
        std::vector<std::string> out;
        for (const observe::Event& event : log_.after(seen_, observe::kEventsKept).events) {
            std::string line = event.name;
            for (std::size_t i = 0; i < std::min<std::size_t>(event.fields.size(), 2); ++i)
                line += " " + event.fields[i].second;
            out.push_back(line);
        }
        seen_ = log_.last();
        return out;
    }
    static bool holds(const std::vector<std::string>& lines, const std::string& wanted) {
        return std::find(lines.begin(), lines.end(), wanted) != lines.end();
    }
    /// How often one happened, by its name.
    static auto count(const std::vector<std::string>& lines, const std::string& name) {
        return std::count_if(lines.begin(), lines.end(),
                             [&](const std::string& line) { return line.starts_with(name + " "); });
    }

    observe::EventLog log_;
    std::uint64_t seen_ = 0;
};

TEST_F(WatchTest, generations_and_interfaces_say_what_happens_to_them) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    auto lines = happened();
    EXPECT_TRUE(holds(lines, "generation.loaded 1 1"));
    EXPECT_TRUE(holds(lines, "generation.swapped 1 1"));
    EXPECT_TRUE(holds(lines, "interface.attached eth0 native"));
    write("version: 1\nnode: {name: test, interfaces: [eth1]}\nservices:\n" +
          service("web", "10.0.0.5"));
    ASSERT_TRUE(controller_->apply_file());
    lines = happened();
    EXPECT_TRUE(holds(lines, "generation.swapped 2 2"));
    EXPECT_TRUE(holds(lines, "interface.attached eth1 native"));
    EXPECT_TRUE(holds(lines, "interface.detached eth0 "));
    // Each change leaves one more behind, until more are kept than may be.
    for (int rate = 1; rate < 8; ++rate) {
        write("version: 1\nnode: {name: test, interfaces: [eth1], icmp_rate: " +
              std::to_string(rate) + "}\nservices:\n" + service("web", "10.0.0.5"));
        ASSERT_TRUE(controller_->apply_file());
    }
    EXPECT_TRUE(holds(happened(), "generation.dropped 1"));
    EXPECT_EQ(&controller_->events(), &log_);
}

TEST_F(WatchTest, a_refused_change_swaps_nothing_and_says_so_nowhere) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    (void)happened();
    write("version: 1\nnode: {name: test, interfaces: [eth0, nowhere0]}\nservices:\n" +
          service("web", "10.0.0.6"));
    EXPECT_FALSE(controller_->apply_file());
    const auto lines = happened();
    EXPECT_EQ(count(lines, "generation.swapped"), 0);
    EXPECT_EQ(count(lines, "interface.attached"), 0);
    EXPECT_EQ(count(lines, "interface.detached"), 0);
}

TEST_F(WatchTest, an_interface_that_is_gone_is_told_once_and_so_is_its_return) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    (void)happened();
    network_.run("ip link del eth0");
    for (int i = 0; i < 3; ++i) controller_->on_tick();
    EXPECT_EQ(count(happened(), "interface.lost"), 1);
    network_.run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up");
    for (int i = 0; i < 3; ++i) controller_->on_tick();
    EXPECT_EQ(count(happened(), "interface.attached_again"), 1);
    network_.run("ip link del eth0");
    controller_->on_tick();
    EXPECT_EQ(count(happened(), "interface.lost"), 1);
}

TEST_F(WatchTest, a_backend_that_is_not_reached_any_more_is_a_warning) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    (void)happened();
    plan::NextHop lost;
    lost.state = plan::HopState::unresolved;
    fake_->set(*IpAddress::parse("10.0.0.5"), lost);
    controller_->on_network();
    fake_->set(*IpAddress::parse("10.0.0.5"), resolved());
    controller_->on_network();
    std::vector<LogLevel> levels;
    for (const observe::Event& event : log_.after(seen_, 10).events)
        if (event.name == "backend.next_hop") levels.push_back(event.level);
    EXPECT_EQ(levels, (std::vector<LogLevel>{LogLevel::warning, LogLevel::info}));
}

TEST_F(WatchTest, names_are_made_once_for_each_generation_and_outlive_it) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    EXPECT_TRUE(controller_->names()->services.empty());
    ASSERT_TRUE(controller_->apply_file());
    const auto first = controller_->names();
    EXPECT_EQ(first->generation, 1u);
    EXPECT_EQ(first->services, (std::unordered_map<std::uint32_t, std::string>{{1, "web"}}));
    EXPECT_EQ(first->backends.at(1), "web/10.0.0.5");
    ASSERT_EQ(first->interfaces.size(), 1u);
    EXPECT_EQ(first->interfaces.begin()->second, "eth0");
    EXPECT_GT(first->since_ns, 0u);
    EXPECT_EQ(controller_->names(), first) << "nothing has changed";

    write(kHead + service("shop", "10.0.0.6"));
    ASSERT_TRUE(controller_->apply_file());
    const auto second = controller_->names();
    EXPECT_EQ(second->generation, 2u);
    EXPECT_GT(second->since_ns, first->since_ns);
    // Samples of before are still called as they were.
    EXPECT_EQ(second->services.at(1), "web");
    EXPECT_EQ(second->services.at(2), "shop");
    EXPECT_EQ(second->backends.at(1), "web/10.0.0.5");
    EXPECT_EQ(second->backends.at(2), "shop/10.0.0.6");

    network_.run("ip link del eth0");
    network_.run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up");
    controller_->on_tick();
    const auto third = controller_->names();
    EXPECT_NE(third->interfaces, second->interfaces);
    EXPECT_EQ(third->generation, 2u);
    EXPECT_EQ(third->since_ns, second->since_ns);
}

TEST_F(WatchTest, a_change_in_place_has_its_names_at_once) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    const auto first = controller_->names();
    write(kHead + service("web", "10.0.0.5, 10.0.0.7"));
    ASSERT_TRUE(controller_->apply_file());
    const auto second = controller_->names();
    EXPECT_EQ(second->generation, 2u);
    EXPECT_GT(second->since_ns, first->since_ns);
    const bool is_named =
        std::any_of(second->backends.begin(), second->backends.end(),
                    [](const auto& each) { return each.second == "web/10.0.0.7"; });
    EXPECT_TRUE(is_named);
}

}  // namespace
}  // namespace sluice::control
