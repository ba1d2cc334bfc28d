// SPDX-License-Identifier: Apache-2.0
//
// Facts about the kernel at hand: that probing tells the truth about what the test itself has set
// up, and that it changes nothing.
#include "kernel/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <linux/if_link.h>
#include <chrono>

#include <array>
#include <cstdio>

#include "kernel/doctor.h"
#include "kernel/instruction_set.h"
#include "tests/unit/kernel/namespaces.h"

namespace sluice::kernel {
namespace {

using test::Namespace;

class ProbeTest : public testing::Test {
 protected:
    void SetUp() override {
        balancer.run("ip link add up0 numrxqueues 2 numtxqueues 2 type veth peer name peer0");
        balancer.run("ip link set up0 up");
        balancer.enter();
    }
    InterfaceFacts facts(const std::string& name) {
        auto all = probe_interfaces({name});
        EXPECT_TRUE(all) << all.error().what;
        return all ? all->front() : InterfaceFacts{};
    }
    Namespace balancer = Namespace::create();
};

TEST_F(ProbeTest, kernel_facts_agree_with_the_loader_and_with_each_other) {
    const KernelFacts got = probe_kernel("/proc/nothing/here");
    EXPECT_GE(got.major, 6u);
    EXPECT_EQ(got.privilege, "");
    ASSERT_EQ(got.loads, Answer::yes) << got.load_error;
    EXPECT_EQ(got.frags, Answer::yes);
    EXPECT_EQ(got.program_array, Answer::yes);
    EXPECT_EQ(got.buff_len, Answer::yes);
    EXPECT_EQ(got.load_bytes, Answer::yes);
    EXPECT_EQ(got.coarse_clock, Answer::yes);
    EXPECT_EQ(got.large_map, Answer::yes);
    EXPECT_EQ(got.managed_neighbours, Answer::yes);
    EXPECT_NE(got.jit, Answer::unknown);
    const auto isa = probe_instruction_set();
    ASSERT_TRUE(isa);
    EXPECT_EQ(got.isa_v4, *isa == InstructionSet::v4 ? Answer::yes : Answer::no);
    // Both came with Linux 6.6.
    const bool since_6_6 = got.major > 6 || got.minor >= 6;
    EXPECT_EQ(got.isa_v4, since_6_6 ? Answer::yes : Answer::no);
    EXPECT_EQ(got.tcx, since_6_6 ? Answer::yes : Answer::no);
    EXPECT_EQ(got.bpffs_existing, "/proc");
    EXPECT_FALSE(got.bpffs_mounted);
}

TEST_F(ProbeTest, probing_leaves_no_neighbour_behind) {
    const std::string before = balancer.output("ip neigh show nud all");
    probe_kernel("/sys/fs/bpf");
    EXPECT_EQ(balancer.output("ip neigh show nud all"), before);
}

TEST_F(ProbeTest, veth_is_described) {
    balancer.run("ip link set up0 mtu 9000");
    InterfaceFacts got = facts("up0");
    // The kernel finds out that a new link has no carrier a little later.
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (got.link && got.link->running && std::chrono::steady_clock::now() < until)
        got = facts("up0");
    ASSERT_TRUE(got.link);
    EXPECT_EQ(got.driver, "veth");
    EXPECT_EQ(driver_of("up0"), "veth");
    EXPECT_EQ(got.link->kind, "veth");
    EXPECT_EQ(got.link->mtu, 9000u);
    EXPECT_TRUE(got.link->up);
    EXPECT_FALSE(got.link->running);
    EXPECT_EQ(got.rx_queues, 2u);
    EXPECT_TRUE(got.rx_vlan);
    EXPECT_EQ(got.xdp_program, "");
    // Where the kernel can tell (6.3), it tells that veth has XDP; unknown is said, not guessed.
    if (got.xdp_features) {
        EXPECT_NE(*got.xdp_features & kXdpBasic, 0u);
    } else {
        const KernelFacts kernel = probe_kernel("/");
        EXPECT_TRUE(kernel.major == 6 && kernel.minor < 3) << kernel.release;
    }
}

TEST_F(ProbeTest, offloads_are_read_after_ethtool_changed_them) {
    balancer.run("ethtool -K up0 rxvlan off");
    ASSERT_TRUE(facts("up0").rx_vlan);
    EXPECT_FALSE(facts("up0").rx_vlan->active);
    balancer.run("ethtool -K up0 rxvlan on");
    EXPECT_TRUE(facts("up0").rx_vlan->active);
}

TEST_F(ProbeTest, foreign_program_is_found_with_its_name) {
    std::array<bpf_insn, 2> program{};
    program[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    program[0].imm = 2;
    program[1].code = BPF_JMP | BPF_EXIT;
    const UniqueFd fd(bpf_prog_load(BPF_PROG_TYPE_XDP, "somebody_else", "GPL", program.data(),
                                    program.size(), nullptr));
    ASSERT_TRUE(fd.valid());
    ASSERT_EQ(bpf_xdp_attach(static_cast<int>(facts("up0").link->ifindex), fd.get(),
                             XDP_FLAGS_SKB_MODE, nullptr),
              0);
    const InterfaceFacts got = facts("up0");
    EXPECT_EQ(got.link->xdp_mode, "generic");
    EXPECT_NE(got.link->xdp_prog_id, 0u);
    EXPECT_EQ(got.xdp_program, "somebody_else");
}

TEST_F(ProbeTest, without_names_every_ethernet_interface_is_examined) {
    const auto all = probe_interfaces({});
    ASSERT_TRUE(all);
    std::vector<std::string> names;
    for (const auto& one : *all) names.push_back(one.name);
    EXPECT_EQ(names, (std::vector<std::string>{"peer0", "up0"}));
}

TEST_F(ProbeTest, a_missing_interface_is_a_finding_not_an_error) {
    const auto report = examine({{"up0", "eth7"}, "/sys/fs/bpf/sluice"});
    ASSERT_TRUE(report);
    EXPECT_EQ(report->worst(), CheckStatus::fail);
    EXPECT_EQ(report->checks.back().id, "interface.exists");
    EXPECT_EQ(report->checks.back().subject, "eth7");
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string refused = sluice::test::namespaces_refused();
    if (!refused.empty()) {
        std::printf("skipped: unit_probe: %s\n", refused.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
