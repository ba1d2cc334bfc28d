// SPDX-License-Identifier: Apache-2.0
//
// Plans for NICs that are described here, not for the one at hand.
#include "node/tuning.h"

#include <gtest/gtest.h>

namespace sluice::node {
namespace {

using kernel::CpuList;
using kernel::HashedFlow;

CpuList cpus(std::uint32_t first, std::uint32_t count) {
    CpuList out;
    for (std::uint32_t i = 0; i < count; ++i) out.push_back(first + i);
    return out;
}

kernel::MachineLayout machine(std::uint32_t count) {
    kernel::MachineLayout out;
    out.cpus = cpus(0, count);
    out.numa = {{0, out.cpus}};
    return out;
}

/// Two nodes of four CPUs.
kernel::MachineLayout two_nodes() {
    kernel::MachineLayout out = machine(8);
    out.numa = {{0, cpus(0, 4)}, {1, cpus(4, 4)}};
    return out;
}

/// A 10G NIC as its driver sets it up on four CPUs, but for what a test changes.
TunedNic ixgbe() {
    TunedNic nic;
    nic.name = "eth0";
    nic.ifindex = 2;
    nic.driver = "ixgbe";
    nic.layout.channels = kernel::Channels{0, 0, 1, 4, 0, 0, 63};
    nic.layout.rings = kernel::RingSizes{512, 512, 4096, 4096};
    nic.layout.spread = kernel::ReceiveSpread{{0, 1, 2, 3, 0, 1, 2, 3}, {}};
    nic.layout.hashed = {{HashedFlow::tcp4, "sdfn"}, {HashedFlow::udp4, "sd"}};
    nic.layout.features = {{"rx-lro", {true, false}}, {"rx-vlan-hw-parse", {true, false}}};
    for (std::uint32_t queue = 0; queue < 4; ++queue)
        nic.layout.interrupts[queue] = {40 + queue, cpus(0, 4), {queue}};
    return nic;
}

/// A 100G NIC that is well but for its queues.
TunedNic mlx5() {
    TunedNic nic;
    nic.name = "eth0";
    nic.ifindex = 3;
    nic.driver = "mlx5_core";
    nic.layout.channels = kernel::Channels{0, 0, 0, 8, 0, 0, 8};
    nic.layout.rings = kernel::RingSizes{1024, 1024, 8192, 8192};
    nic.layout.numa_node = 1;
    for (std::uint32_t queue = 0; queue < 8; ++queue)
        nic.layout.interrupts[queue] = {80 + queue, {queue}, {queue}};
    return nic;
}

/// "setting: present -> wanted", " !" where the link is reset.
std::vector<std::string> steps_of(const TuningPlan& plan) {
    std::vector<std::string> out;
    for (const TuningStep& step : plan.steps) {
        EXPECT_NE(step.why, "") << step.setting;
        out.push_back(step.setting + ": " + step.present + " -> " + step.wanted +
                      (step.resets_link ? " !" : ""));
    }
    return out;
}

using Steps = std::vector<std::string>;

TEST(Tuning, ixgbe_as_its_driver_leaves_it) {
    const Steps want = {"feature rx-lro: on -> off !",
                        "feature rx-vlan-hw-parse: on -> off !",
                        "rings: rx 512 tx 512 -> rx 1024 tx 1024 !",
                        "hash udp4: sd -> sdfn",
                        "affinity 0: 0-3 -> 0",
                        "affinity 1: 0-3 -> 1",
                        "affinity 2: 0-3 -> 2",
                        "affinity 3: 0-3 -> 3"};
    EXPECT_EQ(steps_of(plan_tuning(ixgbe(), machine(4), {})), want);
}

TEST(Tuning, a_nic_that_is_well_needs_nothing) {
    TunedNic nic = mlx5();
    const TuningPlan plan = plan_tuning(nic, machine(8), {});
    EXPECT_TRUE(plan.steps.empty());
    EXPECT_TRUE(plan.refused.empty());
    EXPECT_TRUE(plan.notes.empty());
}

TEST(Tuning, new_queues_come_before_their_interrupts_whose_cpus_are_not_known_yet) {
    TunedNic nic = mlx5();
    nic.layout.channels->combined = 1;
    nic.layout.numa_node.reset();
    nic.layout.interrupts = {{0, {80, {0}, {0}}}};
    const Steps want = {"channels: combined 1 -> combined 2 !", "affinity 0:  -> 0",
                        "affinity 1:  -> 1"};
    EXPECT_EQ(steps_of(plan_tuning(nic, machine(2), {})), want);
}

TEST(Tuning, a_table_of_somebodys_own_gives_way_before_the_queues_change) {
    TunedNic nic = ixgbe();
    nic.layout.features.clear();
    nic.layout.hashed.clear();
    nic.layout.interrupts.clear();
    nic.layout.rings.reset();
    nic.layout.spread->table = {0, 0, 1, 1, 0, 0, 1, 1};
    const Steps want = {"spread: 0,0,1,1,0,0,1,1 -> equal",
                        "channels: other 1 combined 4 -> other 1 combined 2 !"};
    EXPECT_EQ(steps_of(plan_tuning(nic, machine(2), {})), want);
}

TEST(Tuning, queues_stay_on_the_nodes_cpus_unless_somebody_chose_more) {
    TunedNic nic = mlx5();
    const TuningPlan plan = plan_tuning(nic, two_nodes(), {});
    // Eight queues on eight CPUs were chosen; their interrupts move to the node's.
    EXPECT_EQ(plan.steps.front().setting, "affinity 0");
    EXPECT_EQ(plan.steps.front().wanted, "4");
    EXPECT_EQ(plan.notes, Steps{"8 queues, 4 CPUs on its NUMA node 1: --cpus 4-7 stays on the "
                                "node"});
    const TuningPlan on_node = plan_tuning(nic, two_nodes(), {.cpus = cpus(4, 4)});
    EXPECT_EQ(on_node.steps.front().wanted, "combined 4");
    nic.layout.channels->combined = 2;
    EXPECT_EQ(plan_tuning(nic, two_nodes(), {}).steps.front().wanted, "combined 4");
    EXPECT_EQ(plan_tuning(nic, two_nodes(), {.queues = 3}).steps.front().wanted, "combined 3");
}

TEST(Tuning, rings_that_were_full_grow_more_and_none_shrinks) {
    TunedNic nic = ixgbe();
    nic.layout = {};
    nic.layout.rings = kernel::RingSizes{2048, 512, 4096, 4096};
    EXPECT_EQ(steps_of(plan_tuning(nic, machine(4), {})),
              Steps{"rings: rx 2048 tx 512 -> rx 2048 tx 1024 !"});
    nic.rx_lost = 7;
    const TuningPlan plan = plan_tuning(nic, machine(4), {});
    EXPECT_EQ(steps_of(plan), Steps{"rings: rx 2048 tx 512 -> rx 4096 tx 1024 !"});
    EXPECT_EQ(plan.steps[0].why, "7 packets were lost to full rings");
    nic.layout.rings = kernel::RingSizes{256, 256, 256, 256};
    EXPECT_TRUE(plan_tuning(nic, machine(4), {}).steps.empty());
}

TEST(Tuning, what_resets_the_link_is_refused_while_xdp_handles_packets) {
    TunedNic nic = ixgbe();
    nic.has_xdp = true;
    nic.layout.channels->combined = 2;
    nic.layout.interrupts.erase(2);
    nic.layout.interrupts.erase(3);
    const TuningPlan plan = plan_tuning(nic, machine(4), {});
    // Interrupts of queues that will not be made are not planned for.
    const Steps want = {"hash udp4: sd -> sdfn", "affinity 0: 0-3 -> 0", "affinity 1: 0-3 -> 1"};
    TunedNic equal = nic;
    equal.layout.spread->table = {0, 1};
    EXPECT_EQ(steps_of(plan_tuning(equal, machine(4), {})), want);
    ASSERT_EQ(plan.refused.size(), 4u);
    EXPECT_EQ(plan.refused[2].step.setting, "channels");
    EXPECT_EQ(plan.refused[2].because,
              "it resets the link while XDP handles packets: --allow-reset");
    const TuningPlan allowed = plan_tuning(nic, machine(4), {.allow_reset = true});
    EXPECT_TRUE(allowed.refused.empty());
}

TEST(Tuning, virtio_net_refuses_other_queues_once_xdp_is_attached_whoever_allows_it) {
    TunedNic nic;
    nic.name = "eth0";
    nic.driver = "virtio_net";
    nic.layout.channels = kernel::Channels{0, 0, 0, 1, 0, 0, 4};
    EXPECT_EQ(steps_of(plan_tuning(nic, machine(4), {})),
              Steps{"channels: combined 1 -> combined 4"});
    nic.has_xdp = true;
    const TuningPlan plan = plan_tuning(nic, machine(4), {.allow_reset = true});
    EXPECT_TRUE(plan.steps.empty());
    ASSERT_EQ(plan.refused.size(), 1u);
    EXPECT_EQ(plan.refused[0].because,
              "virtio_net refuses it while XDP is attached: tune before sluiced attaches, or after "
              "sluice detach");
}

TEST(Tuning, ena_keeps_half_of_its_queues_for_what_xdp_sends) {
    TunedNic nic;
    nic.driver = "ena";
    nic.layout.channels = kernel::Channels{0, 0, 0, 8, 0, 0, 8};
    const TuningPlan plan = plan_tuning(nic, machine(8), {.cpus = cpus(0, 8)});
    EXPECT_EQ(plan.steps[0].wanted, "combined 4");
    EXPECT_EQ(plan.notes, Steps{"4 queues for 8 CPUs: it has no more"});
}

TEST(Tuning, veth_refuses_fewer_queues_once_xdp_is_attached) {
    TunedNic nic;
    nic.driver = "veth";
    nic.has_xdp = true;
    nic.layout.channels = kernel::Channels{2, 2, 0, 0, 2, 2, 0};
    const TuningPlan fewer = plan_tuning(nic, machine(1), {.allow_reset = true});
    ASSERT_EQ(fewer.refused.size(), 1u);
    EXPECT_EQ(fewer.refused[0].because,
              "veth refuses it while XDP is attached: tune before sluiced attaches, or after "
              "sluice detach");
    nic.layout.channels = kernel::Channels{1, 1, 0, 0, 2, 2, 0};
    EXPECT_EQ(plan_tuning(nic, machine(2), {.allow_reset = true}).steps.size(), 1u);
}

TEST(Tuning, veth_has_queues_of_two_kinds) {
    TunedNic nic;
    nic.driver = "veth";
    nic.layout.channels = kernel::Channels{1, 1, 0, 0, 2, 2, 0};
    EXPECT_EQ(steps_of(plan_tuning(nic, machine(2), {})),
              Steps{"channels: rx 1 tx 1 -> rx 2 tx 1 !"});
}

TEST(Tuning, what_cannot_be_changed_is_noted) {
    TunedNic nic = ixgbe();
    nic.layout.features = {{"rx-lro", {true, true}}};
    kernel::MachineLayout with_balancer = machine(4);
    with_balancer.irqbalance = true;
    EXPECT_EQ(plan_tuning(nic, with_balancer, {}).notes,
              (Steps{"rx-lro is on and cannot be turned off here: merged packets are too big to "
                     "forward, and refused by XDP",
                     "irqbalance runs and will move interrupts again: stop it, or ban these"}));
    EXPECT_EQ(plan_tuning({}, machine(4), {}).notes,
              Steps{"its driver has neither queues nor rings that can be changed"});
}

TEST(Tuning, values_survive_being_text) {
    const kernel::Channels channels{1, 2, 3, 4, 0, 0, 0};
    EXPECT_EQ(parse_channels(text_of(channels)).value(), channels);
    const kernel::RingSizes rings{512, 1024, 0, 0};
    EXPECT_EQ(parse_rings(text_of(rings)).value(), rings);
    const std::vector<std::uint32_t> table = {0, 1, 1};
    EXPECT_EQ(parse_table(text_of(table, 2)).value(), table);
    EXPECT_EQ(text_of({0, 1, 2, 0}, 3), "equal");
    EXPECT_TRUE(parse_table("equal")->empty());
    for (const char* wrong : {"rx", "rx 1 xx 2", "rx -1 tx 1", "rx 1 tx"})
        EXPECT_FALSE(parse_rings(wrong).has_value()) << wrong;
    EXPECT_FALSE(parse_table("0,x").has_value());
}

}  // namespace
}  // namespace sluice::node
