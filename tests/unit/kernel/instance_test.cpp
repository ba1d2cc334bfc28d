// SPDX-License-Identifier: Apache-2.0
#include "kernel/instance.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>

#include "config/parse.h"
#include "kernel/agent.h"
#include "kernel/bpffs.h"
#include "kernel/generation.h"
#include "kernel/instruction_set.h"
#include "namespaces.h"
#include "private_bpffs.h"

namespace sluice::kernel {
namespace {

std::string g_bpffs;

constexpr const char* kConfig = R"(
version: 1
node: {interfaces: [eth0]}
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 80, forward: ipip, backends: [10.0.0.5, 10.0.0.6]}
)";

plan::Image image_of(const char* text) {
    const auto outcome = config::parse(text, "test.yaml");
    plan::IdStore ids;
    return *plan::compile(outcome.config, ids, {});
}

StateSizes small_sizes() {
    return {2, 4, 1, 1, SLC_FRAG_MIN_BUCKETS};
}

Generation loaded(const StateMaps& state) {
    LoadOptions options;
    options.isa = *probe_instruction_set();
    auto generation = Generation::load(image_of(kConfig), state, options);
    EXPECT_TRUE(generation) << generation.error().what;
    return std::move(*generation);
}

slc_template any_template(std::uint8_t mark) {
    slc_template out{};
    out.ifindex = 1;
    out.len = 34;
    out.l2_len = 14;
    out.mtu = 1500;
    out.hdr[0] = mark;
    return out;
}

class InstanceTest : public testing::Test {
 protected:
    void SetUp() override {
        network_.run("ip link add eth0 type veth peer name peer0");
        network_.run("ip link set eth0 up && ip link set peer0 up");
        network_.enter();
    }
    void TearDown() override { ASSERT_TRUE(Instance::remove(g_bpffs + "/sluice", "test")); }

    Instance open() {
        return Instance::open(g_bpffs + "/sluice", "test", *probe_instruction_set()).value();
    }

    test::Namespace network_ = test::Namespace::create();
};

TEST_F(InstanceTest, attaches_swaps_and_is_found_again) {
    auto state = StateMaps::open("", small_sizes());
    ASSERT_TRUE(state);
    {
        Instance instance = open();
        const auto attached = instance.attach("eth0", AttachMode::automatic);
        ASSERT_TRUE(attached) << attached.error().what;
        EXPECT_FALSE(attached->generic);
        EXPECT_EQ(instance.next_generation(), 1u);
        for (const std::uint32_t number : {1u, 2u}) {
            const Generation generation = loaded(*state);
            ASSERT_TRUE(instance.keep(generation, number, "{}"));
            ASSERT_TRUE(instance.swap_to(generation));
        }
    }
    Instance again = open();
    EXPECT_EQ(again.next_generation(), 3u);
    EXPECT_EQ(list_pins(again.path() + "/gen"), (std::vector<std::string>{"1", "2"}));
    EXPECT_EQ(again.live_directory(), again.path() + "/gen/2");
    EXPECT_EQ(again.attached(), std::vector<std::string>{"eth0"});
    EXPECT_TRUE(again.is_attached("eth0"));
    const auto adopted = again.attach("eth0", AttachMode::automatic);
    ASSERT_TRUE(adopted) << adopted.error().what;
}

TEST_F(InstanceTest, remove_takes_everything_away) {
    ASSERT_TRUE(open().attach("eth0", AttachMode::native));
    ASSERT_TRUE(Instance::remove(g_bpffs + "/sluice", "test"));
    EXPECT_TRUE(list_pins(g_bpffs + "/sluice/test").empty());
    EXPECT_EQ(network_.output("ip link show eth0").find("xdp"), std::string::npos);
}

TEST_F(InstanceTest, belongs_to_one_at_a_time) {
    Instance instance = open();
    ASSERT_TRUE(instance.attach("eth0", AttachMode::native));
    const auto second = Instance::open(g_bpffs + "/sluice", "test", *probe_instruction_set());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::conflict);
    const auto removed = Instance::remove(g_bpffs + "/sluice", "test");
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code, Errc::conflict);
    EXPECT_TRUE(instance.is_attached("eth0"));
    EXPECT_TRUE(Instance::open(g_bpffs + "/sluice", "another", *probe_instruction_set()));
    EXPECT_TRUE(Instance::remove(g_bpffs + "/sluice", "another"));
}

TEST_F(InstanceTest, pins_that_cannot_be_opened_keep_the_links) {
    ASSERT_TRUE(open().attach("eth0", AttachMode::native));
    const std::string program = g_bpffs + "/sluice/test/root/slc_root";
    ASSERT_EQ(::rename(program.c_str(), (program + "_kept").c_str()), 0);
    ASSERT_EQ(::mkdir(program.c_str(), 0750), 0);  // No object, and not absent either.
    EXPECT_FALSE(Instance::open(g_bpffs + "/sluice", "test", *probe_instruction_set()));
    ASSERT_EQ(::rmdir(program.c_str()), 0);
    ASSERT_EQ(::rename((program + "_kept").c_str(), program.c_str()), 0);
    EXPECT_TRUE(open().is_attached("eth0"));
}

TEST_F(InstanceTest, link_that_cannot_be_opened_is_an_error) {
    EXPECT_FALSE(open().has_generation());
    EXPECT_TRUE(open().has_generation());  // Found: nothing may be concluded from no pins.
    const std::string link = g_bpffs + "/sluice/test/root/link_eth1";
    ASSERT_EQ(::mkdir(link.c_str(), 0750), 0);
    EXPECT_FALSE(Instance::open(g_bpffs + "/sluice", "test", *probe_instruction_set()));
}

TEST_F(InstanceTest, never_replaces_a_foreign_program) {
    auto other = BpfObject::open(ObjectName::root, *probe_instruction_set());
    ASSERT_TRUE(other);
    ASSERT_TRUE(other->leave_out_map(".rodata.node"));
    ASSERT_TRUE(other->load());
    const auto foreign = attach_xdp(other->program_fd("slc_root"), "eth0", AttachMode::native);
    ASSERT_TRUE(foreign);
    Instance instance = open();
    const auto attached = instance.attach("eth0", AttachMode::automatic);
    ASSERT_FALSE(attached);
    EXPECT_EQ(attached.error().code, Errc::conflict);
    EXPECT_NE(attached.error().hint.find("never replaces"), std::string::npos);
    EXPECT_TRUE(instance.attached().empty());
}

TEST_F(InstanceTest, missing_interface_is_named) {
    Instance instance = open();
    const auto attached = instance.attach("nowhere0", AttachMode::automatic);
    ASSERT_FALSE(attached);
    EXPECT_EQ(attached.error().code, Errc::not_found);
    EXPECT_NE(attached.error().what.find("nowhere0"), std::string::npos);
}

TEST_F(InstanceTest, follows_an_interface_that_was_made_anew) {
    Instance instance = open();
    ASSERT_TRUE(instance.attach("eth0", AttachMode::automatic));
    network_.run("ip link del eth0");
    EXPECT_FALSE(instance.is_attached("eth0"));
    network_.run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up");
    EXPECT_FALSE(instance.is_attached("eth0"));
    ASSERT_TRUE(instance.attach("eth0", AttachMode::automatic));
    EXPECT_TRUE(instance.is_attached("eth0"));
}

TEST_F(InstanceTest, generic_mode_by_choice) {
    Instance instance = open();
    const auto attached = instance.attach("eth0", AttachMode::generic);
    ASSERT_TRUE(attached) << attached.error().what;
    EXPECT_TRUE(attached->generic);
    EXPECT_FALSE(attached->fell_back);
}

TEST(Instance, directory_that_is_no_bpffs_is_refused) {
    const auto instance = Instance::open("/mnt/not-bpf", "test", InstructionSet::v3);
    ASSERT_FALSE(instance);
    EXPECT_EQ(instance.error().code, Errc::not_found);
    EXPECT_NE(instance.error().hint.find("mount -t bpf"), std::string::npos);
}

TEST(Generation, cells_move_are_reclaimed_and_run_out) {
    const auto state = StateMaps::open("", small_sizes());
    ASSERT_TRUE(state);
    Generation generation = loaded(*state);
    const auto first = any_template(1);
    ASSERT_TRUE(generation.set_cell(1, 0, &first));
    const auto cell = generation.members()[1].cell[0];
    EXPECT_NE(cell, 0u);
    EXPECT_EQ(generation.templates()[cell].hdr[0], 1);
    ASSERT_TRUE(generation.set_cell(1, 0, &first));
    EXPECT_EQ(generation.members()[1].cell[0], cell) << "the same header needs no new cell";
    const auto second = any_template(2);
    ASSERT_TRUE(generation.set_cell(1, 0, &second));
    EXPECT_NE(generation.members()[1].cell[0], cell) << "packets may still read the old one";
    bool ran_out = false;
    for (int i = 0; i < 1000 && !ran_out; ++i) {
        const auto next = any_template(static_cast<std::uint8_t>(i));
        const auto outcome = generation.set_cell(1, 0, &next);
        if (!outcome) {
            EXPECT_EQ(outcome.error().code, Errc::limit);
            ran_out = true;
        }
    }
    EXPECT_TRUE(ran_out);
    generation.reclaim();
    EXPECT_TRUE(generation.set_cell(1, 0, &first));
    ASSERT_TRUE(generation.set_cell(1, 0, nullptr));
    EXPECT_EQ(generation.members()[1].cell[0], 0u);
    EXPECT_FALSE(generation.set_cell(1u << 30, 0, nullptr));
}

TEST(Generation, next_that_is_not_there_is_named) {
    const auto state = StateMaps::open("", small_sizes());
    ASSERT_TRUE(state);
    LoadOptions options;
    options.isa = *probe_instruction_set();
    options.next = g_bpffs + "/none";
    const auto generation = Generation::load(image_of(kConfig), *state, options);
    ASSERT_FALSE(generation);
    EXPECT_EQ(generation.error().code, Errc::not_found);
    EXPECT_NE(generation.error().what.find(options.next), std::string::npos);
}

TEST(Generation, small_configuration_loads_fewer_instructions_than_a_full_one) {
    const auto state = StateMaps::open("", {16, 16, 4, 4, SLC_FRAG_MIN_BUCKETS});
    ASSERT_TRUE(state);
    LoadOptions options;
    options.isa = *probe_instruction_set();
    const auto small = loaded(*state);
    const auto full = Generation::load(image_of(R"(
version: 1
node: {interfaces: [eth0], decap: {from: [10.255.0.0/24], addresses: [10.0.0.1]}}
services:
  - {name: a, vip: 192.0.2.0/28, protocol: tcp, port: 80-90, forward: gre, backends: [10.0.0.5]}
  - {name: b, vip: "2001:db8::1", protocol: udp, port: any, forward: gue, customer: acme, backends: ["fd00::5"]}
)"),
                                       *state, options);
    ASSERT_TRUE(full) << full.error().what;
    // The steady path of IPv6 is a program of its own.
    const auto steady = [](const Generation& generation) {
        std::uint32_t sum = 0;
        for (const auto& program : generation.programs())
            if (program.name == "slc_lb" || program.name == "slc_lb6") sum += program.instructions;
        return sum;
    };
    EXPECT_LT(2 * steady(small), steady(*full));
    EXPECT_LT(small.programs().size(), full->programs().size());
}

TEST(BpfObject, telling_line_skips_the_statistics) {
    EXPECT_EQ(telling_line("func#0 @0\n5: (61) r1 = *(u32 *)(r1 +0)\ninvalid access to packet\n"
                           "processed 6 insns (limit 1000000)\n"),
              "5: (61) r1 = *(u32 *)(r1 +0) / invalid access to packet");
    EXPECT_EQ(telling_line(""), "");
    EXPECT_EQ(telling_line("processed 6 insns\n"), "");
}

class AgentTest : public InstanceTest {
 protected:
    AgentTest() {
        options_.interfaces = {"eth0"};
        options_.vips = {*IpPrefix::parse("192.0.2.10")};
        options_.from = {*IpPrefix::parse("10.255.0.0/24")};
        options_.bpffs = g_bpffs + "/agent";
    }
    bool attached() {
        return network_.output("ip link show eth0").find("xdp") != std::string::npos;
    }
    AgentOptions options_;
};

TEST_F(AgentTest, attaches_counts_and_goes) {
    {
        const auto agent = Agent::open(options_);
        ASSERT_TRUE(agent) << agent.error().what;
        EXPECT_TRUE(attached());
        const auto counters = Agent::counters_of(options_.bpffs);
        ASSERT_TRUE(counters) << counters.error().what;
        EXPECT_FALSE(counters->empty());
    }
    EXPECT_FALSE(attached());
    EXPECT_FALSE(Agent::counters_of(options_.bpffs));
}

TEST_F(AgentTest, belongs_to_one_at_a_time) {
    const auto agent = Agent::open(options_);
    ASSERT_TRUE(agent) << agent.error().what;
    const auto second = Agent::open(options_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::conflict);
    const auto removed = Agent::remove(options_.bpffs);
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code, Errc::conflict);
    EXPECT_TRUE(attached());
}

TEST_F(AgentTest, takes_over_what_an_earlier_one_kept) {
    {
        auto agent = Agent::open(options_);
        ASSERT_TRUE(agent) << agent.error().what;
        ASSERT_TRUE(agent->keep());
    }
    EXPECT_TRUE(attached()) << "kept agents go on without their process";
    {
        const auto next = Agent::open(options_);
        ASSERT_TRUE(next) << next.error().what;
        EXPECT_TRUE(attached());
    }
    EXPECT_FALSE(attached());
    ASSERT_TRUE(Agent::remove(options_.bpffs)) << "nothing to remove is no error";
}

TEST_F(AgentTest, follows_an_interface_that_was_made_anew) {
    auto agent = Agent::open(options_);
    ASSERT_TRUE(agent) << agent.error().what;
    EXPECT_TRUE(agent->attach_again().empty());
    network_.run("ip link del eth0");
    EXPECT_EQ(agent->attach_again(), std::vector<std::string>{"eth0"});
    network_.run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up");
    EXPECT_TRUE(agent->attach_again().empty());
    EXPECT_TRUE(attached());
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    std::string why = sluice::test::namespaces_refused();
    if (why.empty()) sluice::kernel::g_bpffs = sluice::test::private_bpffs(why);
    if (sluice::kernel::g_bpffs.empty()) {
        std::printf("skipped: unit_instance: %s\n", why.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
