// SPDX-License-Identifier: Apache-2.0
#include "control/controller.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "kernel/bpffs.h"
#include "kernel/pinned_generation.h"
#include "tests/unit/control/fixture.h"

namespace sluice::control {
namespace {

TEST_F(ControllerTest, puts_a_configuration_into_force) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    const auto applied = controller_->apply_file();
    ASSERT_TRUE(applied) << applied.error().what;
    const NodeStatus status = controller_->status();
    EXPECT_EQ(status.generation, 1u);
    EXPECT_EQ(status.services.at(0).backends_ready, 1u);
    EXPECT_DOUBLE_EQ(status.backends.at(0).ring_share, 1.0);
    EXPECT_TRUE(status.interfaces.at(0).attached);
    EXPECT_FALSE(status.degraded);
    EXPECT_EQ(status.config_digest.size(), 64u);
}

TEST_F(ControllerTest, faulty_configuration_changes_nothing) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    const std::string faulty[] = {
        "version: 1\nnode: {name: test, interfaces: [eth0]}\nservices: [{name: x}]\n",
        "version: 1\nnode: {name: test, interfaces: [eth0, nowhere0]}\nservices:\n" +
            service("web", "10.0.0.6"),
        "version: 1\nnode: {name: test, interfaces: [eth1, nowhere0]}\nservices:\n" +
            service("web", "10.0.0.6"),
        "version: 1\nnode: {name: test, interfaces: [eth0], next: /none}\nservices:\n" +
            service("web", "10.0.0.6"),
        "version: 1\nnode: {name: other, interfaces: [eth0]}\nservices:\n" +
            service("web", "10.0.0.6"),
    };
    for (const std::string& text : faulty) {
        write(text);
        EXPECT_FALSE(controller_->apply_file()) << text;
        const NodeStatus status = controller_->status();
        EXPECT_EQ(status.generation, 1u) << text;
        EXPECT_FALSE(status.reload.success) << text;
        EXPECT_FALSE(status.reload.error.empty()) << text;
        EXPECT_EQ(status.backends.at(0).address.text(), "10.0.0.5") << text;
        EXPECT_EQ(status.interfaces.size(), 1u) << text;
        EXPECT_EQ(fake_->watched().size(), 1u) << text;
        EXPECT_TRUE(fake_->watched().contains(*IpAddress::parse("10.0.0.5"))) << text;
        EXPECT_EQ(kernel::list_pins(options_.bpffs + "/test/gen"), std::vector<std::string>{"1"});
        EXPECT_EQ(network_.output("ip link show eth1").find("xdp"), std::string::npos) << text;
    }
}

TEST_F(ControllerTest, state_directory_that_cannot_be_written_refuses_the_change) {
    write(kHead + service("web", "10.0.0.5"));
    options_.state_dir = "/proc/no-such";
    start();
    const auto applied = controller_->apply_file();
    ASSERT_FALSE(applied);
    EXPECT_NE(applied.error().what.find("/proc/no-such"), std::string::npos);
}

TEST_F(ControllerTest, interfaces_come_and_go_with_the_configuration) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    write("version: 1\nnode: {name: test, interfaces: [eth1]}\nservices:\n" +
          service("web", "10.0.0.5"));
    ASSERT_TRUE(controller_->apply_file());
    EXPECT_EQ(network_.output("ip link show eth0").find("xdp"), std::string::npos);
    EXPECT_NE(network_.output("ip link show eth1").find("xdp"), std::string::npos);
}

TEST_F(ControllerTest, refused_change_of_the_xdp_mode_is_taken_back) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    write(
        "version: 1\nnode: {name: test, interfaces: [eth0, nowhere0], xdp_mode: generic}\n"
        "services:\n" +
        service("web", "10.0.0.5"));
    EXPECT_FALSE(controller_->apply_file());
    const std::string link = network_.output("ip link show eth0");
    EXPECT_EQ(link.find("xdpgeneric"), std::string::npos) << link;
    EXPECT_NE(link.find("xdp"), std::string::npos) << link;
    EXPECT_EQ(controller_->status().interfaces.at(0).xdp_mode, "native");
}

TEST_F(ControllerTest, next_hops_are_followed) {
    write(kHead + service("web", "10.0.0.5, 10.0.0.6"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    EXPECT_EQ(controller_->status().services.at(0).backends_ready, 1u);
    fake_->set(*IpAddress::parse("10.0.0.6"), resolved());
    controller_->on_network();
    EXPECT_EQ(controller_->status().services.at(0).backends_ready, 2u);
    plan::NextHop lost;
    lost.state = plan::HopState::unresolved;
    lost.why = "neighbour 10.0.0.5 on eth0 does not answer";
    fake_->set(*IpAddress::parse("10.0.0.5"), lost);
    controller_->on_network();
    const NodeStatus status = controller_->status();
    EXPECT_EQ(status.services.at(0).backends_ready, 1u);
    EXPECT_EQ(status.backends.at(0).why, lost.why);
}

TEST_F(ControllerTest, ends_of_tunnels_follow_the_addresses_of_the_node) {
    write(
        "version: 1\nnode: {name: test, interfaces: [eth0], decap: {from: [10.255.0.0/24]}}\n"
        "services:\n" +
        service("web", "10.0.0.5"));
    start();
    fake_->set_local_addresses({*IpAddress::parse("10.0.0.1")});
    ASSERT_TRUE(controller_->apply_file());
    controller_->on_tick();
    const auto live = [this] { return *kernel::find_live_generation(options_.bpffs, "test"); };
    const std::string first = live();
    fake_->set_local_addresses({*IpAddress::parse("10.0.0.1"), *IpAddress::parse("10.0.0.2")});
    controller_->on_tick();
    const std::string second = live();
    EXPECT_NE(second, first);
    EXPECT_EQ(controller_->status().generation, 1u) << "of the same configuration";
    controller_->on_tick();
    EXPECT_EQ(live(), second) << "once for each change";
}

TEST_F(ControllerTest, many_changes_of_a_next_hop_never_run_out_of_cells) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    for (int i = 0; i < 300; ++i) {
        plan::NextHop hop = resolved();
        hop.destination.bytes[5] = static_cast<std::uint8_t>(i);
        fake_->set(*IpAddress::parse("10.0.0.5"), hop);
        controller_->on_network();
        ASSERT_EQ(controller_->status().services.at(0).backends_ready, 1u);
        ASSERT_EQ(controller_->status().backends.at(0).next_mac, hop.destination);
    }
}

TEST_F(ControllerTest, new_controller_adopts_links_and_ids_of_the_one_before) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    const auto id = controller_->status().backends.at(0).member;
    controller_.reset();
    EXPECT_NE(network_.output("ip link show eth0").find("xdp"), std::string::npos);
    write(kHead + service("web", "10.0.0.4, 10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    const NodeStatus status = controller_->status();
    EXPECT_EQ(status.generation, 2u);
    EXPECT_EQ(status.backends.at(1).member, id);
}

TEST_F(ControllerTest, detach_removes_everything) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    controller_.reset();
    ASSERT_TRUE(Controller::detach(options_));
    EXPECT_TRUE(kernel::list_pins(options_.bpffs).empty());
    EXPECT_EQ(network_.output("ip link show eth0").find("xdp"), std::string::npos);
}

TEST_F(ControllerTest, corrupt_ids_are_refused_by_name) {
    write(kHead + service("web", "10.0.0.5"));
    start();
    ASSERT_TRUE(controller_->apply_file());
    controller_.reset();
    std::ofstream("/mnt/state/ids.json") << "{\"services\": 3}";
    start();
    const auto applied = controller_->apply_file();
    ASSERT_FALSE(applied);
    EXPECT_NE(applied.error().what.find("/mnt/state/ids.json"), std::string::npos);
}

}  // namespace
}  // namespace sluice::control
