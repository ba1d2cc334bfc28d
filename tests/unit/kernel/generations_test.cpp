// SPDX-License-Identifier: Apache-2.0

/// Generations side by side in an instance, without a load balancer: programs that answer every
/// packet alike.

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "kernel/bpffs.h"
#include "kernel/instance.h"
#include "kernel/instruction_set.h"
#include "namespaces.h"
#include "private_bpffs.h"
#include "verdict_program.h"

namespace sluice::kernel {
namespace {

using test::verdict_of;
using test::VerdictProgram;

std::string g_bpffs;

using Frame = std::array<std::uint8_t, 64>;

/// An IPv4 packet from 198.51.x.y; `source` is x.y.
Frame frame_from(std::uint16_t source) {
    Frame out{};
    out[12] = 0x08;
    out[14] = 0x45;
    out[26] = 198;
    out[27] = 51;
    out[28] = static_cast<std::uint8_t>(source >> 8);
    out[29] = static_cast<std::uint8_t>(source);
    return out;
}

class GenerationsTest : public testing::Test {
 protected:
    void SetUp() override {
        network_.run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up");
        network_.run("ip link add eth1 type veth peer name peer1 && ip link set eth1 up");
        network_.enter();
    }
    void TearDown() override { ASSERT_TRUE(Instance::remove(base_, "test")); }

    Instance open() { return Instance::open(base_, "test", *probe_instruction_set()).value(); }
    std::string pin(const std::string& name) const { return base_ + "/test/" + name; }
    /// Verdict of a pinned root program.
    int answer(const char* root, const Frame& frame = frame_from(1)) const {
        const auto program = open_pin(pin(std::string("root/") + root));
        return program ? verdict_of(program->get(), frame) : -1;
    }
    /// "1 live 2 canary 3"
    static std::string state_of(const Instance& instance) {
        std::string out;
        for (const auto& each : instance.generations()) {
            if (!out.empty()) out += ' ';
            out += std::to_string(each.number);
            if (each.live) out += " live";
            if (each.canary) out += " canary";
        }
        return out;
    }

    std::string base_ = g_bpffs + "/sluice";
    test::Namespace network_ = test::Namespace::create();
    VerdictProgram drop_{XDP_DROP};
    VerdictProgram tx_{XDP_TX};
};

TEST_F(GenerationsTest, lie_side_by_side_and_one_store_moves_between_them) {
    Instance instance = open();
    EXPECT_EQ(answer("slc_root"), XDP_PASS) << "an empty slot leaves packets to Linux";
    ASSERT_TRUE(instance.keep(drop_, 7, R"({"of": "a"})"));
    ASSERT_TRUE(instance.keep(tx_, 12, R"({"of": "b"})"));
    EXPECT_EQ(state_of(instance), "7 12");
    EXPECT_EQ(instance.live_directory(), "");
    ASSERT_TRUE(instance.swap_to(drop_));
    EXPECT_EQ(answer("slc_root"), XDP_DROP);
    EXPECT_EQ(state_of(instance), "7 live 12");
    ASSERT_TRUE(instance.swap_to(tx_));
    EXPECT_EQ(answer("slc_root"), XDP_TX);
    EXPECT_EQ(state_of(instance), "7 12 live");
    EXPECT_EQ(instance.live_directory(), pin("gen/12"));
    EXPECT_EQ(instance.next_generation(), 13u);
    ASSERT_TRUE(instance.swap_to(drop_));
    EXPECT_EQ(state_of(instance), "7 live 12");
}

TEST_F(GenerationsTest, what_is_in_use_is_not_dropped) {
    Instance instance = open();
    ASSERT_TRUE(instance.keep(drop_, 1, "{}"));
    ASSERT_TRUE(instance.keep(tx_, 2, "{}"));
    ASSERT_TRUE(instance.swap_to(drop_));
    const auto refused = instance.drop(1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::conflict);
    ASSERT_TRUE(instance.drop(2));
    EXPECT_EQ(state_of(instance), "1 live");
    ASSERT_TRUE(instance.drop(2)) << "nothing to drop is no error";
}

TEST_F(GenerationsTest, meta_of_any_size_is_read_back_and_replaced_in_one_step) {
    Instance instance = open();
    const std::string large = "{\"text\": \"" + std::string(std::size_t{3} << 20, 'x') + "\"}";
    ASSERT_TRUE(instance.keep(drop_, 1, large));
    ASSERT_TRUE(instance.keep(tx_, 2, ""));
    EXPECT_EQ(instance.generations()[0].meta, large);
    EXPECT_EQ(instance.generations()[1].meta, "");
    ASSERT_TRUE(instance.set_meta(2, "{\"a\": 1}"));
    ASSERT_TRUE(instance.set_meta(1, "{}"));
    EXPECT_EQ(instance.generations()[0].meta, "{}");
    EXPECT_EQ(instance.generations()[1].meta, "{\"a\": 1}");
    EXPECT_EQ(list_pins(pin("gen/2")), (std::vector<std::string>{"meta", kEntryProgramPin}));
    const auto nobody = instance.set_meta(3, "{}");
    ASSERT_FALSE(nobody);
    EXPECT_EQ(nobody.error().code, Errc::not_found);
}

TEST_F(GenerationsTest, a_generation_is_pinned_whole_or_not_at_all) {
    Instance instance = open();
    VerdictProgram broken(XDP_TX);
    broken.fails = true;
    const auto kept = instance.keep(broken, 1, "{}");
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, Errc::limit);
    EXPECT_TRUE(list_pins(pin("gen")).empty());
    ASSERT_TRUE(instance.keep(drop_, 1, "{}"));
    const auto twice = instance.keep(tx_, 1, "{}");
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code, Errc::conflict);
    EXPECT_EQ(list_pins(pin("gen")), std::vector<std::string>{"1"});
}

TEST_F(GenerationsTest, what_a_killed_process_left_half_made_is_not_listed_and_goes) {
    {
        Instance instance = open();
        ASSERT_TRUE(instance.keep(drop_, 3, "{}"));
        ASSERT_TRUE(instance.swap_to(drop_));
        for (const char* rest : {"gen/4_new", "gen/2_gone"}) {
            ASSERT_TRUE(make_pin_directory(pin(rest)));
            ASSERT_TRUE(tx_.pin(pin(rest)));
        }
        ASSERT_TRUE(make_pin(tx_.program_fd(), pin("gen/3/meta_new")));
        EXPECT_EQ(state_of(instance), "3 live");
        EXPECT_EQ(instance.next_generation(), 4u);
    }
    const Instance again = open();
    EXPECT_EQ(state_of(again), "3 live");
    EXPECT_EQ(list_pins(pin("gen")), std::vector<std::string>{"3"});
    EXPECT_EQ(list_pins(pin("gen/3")), (std::vector<std::string>{"meta", kEntryProgramPin}));
}

TEST_F(GenerationsTest, read_only_pins_refuse_a_change_and_keep_what_runs) {
    Instance instance = open();
    ASSERT_TRUE(instance.keep(drop_, 1, "{}"));
    ASSERT_TRUE(instance.swap_to(drop_));
    ASSERT_EQ(::mount(nullptr, g_bpffs.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
    EXPECT_FALSE(instance.keep(tx_, 2, "{}"));
    EXPECT_FALSE(instance.set_meta(1, "{\"a\": 1}"));
    EXPECT_FALSE(instance.drop(1)) << "what cannot be read may be what is live";
    ASSERT_EQ(::mount(nullptr, g_bpffs.c_str(), nullptr, MS_REMOUNT, nullptr), 0);
    EXPECT_EQ(answer("slc_root"), XDP_DROP);
    EXPECT_EQ(instance.generations()[0].meta, "{}");
    EXPECT_EQ(state_of(instance), "1 live");
}

class CanaryTest : public GenerationsTest {
 protected:
    /// Generation 1, dropping, is live on both interfaces; 2, which answers, is pinned.
    Instance with_two() {
        Instance instance = open();
        for (const char* interface : {"eth0", "eth1"})
            EXPECT_TRUE(instance.attach(interface, AttachMode::native));
        EXPECT_TRUE(instance.keep(drop_, 1, "{}"));
        EXPECT_TRUE(instance.keep(tx_, 2, "{}"));
        EXPECT_TRUE(instance.swap_to(drop_));
        return instance;
    }
    using Names = std::vector<std::string>;
};

TEST_F(CanaryTest, takes_one_interface_and_gives_it_back) {
    Instance instance = with_two();
    ASSERT_TRUE(instance.begin_canary(tx_, {{"eth1"}, 1}));
    EXPECT_EQ(state_of(instance), "1 live 2 canary");
    EXPECT_EQ(instance.canary_interfaces(), Names{"eth1"});
    EXPECT_EQ(answer("slc_root_canary"), XDP_TX);
    EXPECT_EQ(answer("slc_root_canary", Frame{}), XDP_TX) << "what is not IP too";
    EXPECT_EQ(answer("slc_root"), XDP_DROP);
    EXPECT_FALSE(instance.drop(2));
    const auto second = instance.begin_canary(tx_, {{"eth0"}, 1});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::conflict);
    ASSERT_TRUE(instance.end_canary());
    EXPECT_EQ(state_of(instance), "1 live 2");
    EXPECT_TRUE(instance.canary_interfaces().empty());
    EXPECT_EQ(answer("slc_root_canary"), -1);
    ASSERT_TRUE(instance.end_canary()) << "nothing to end is no error";
    EXPECT_TRUE(instance.is_attached("eth1"));
}

TEST_F(CanaryTest, takes_a_stable_share_of_source_addresses) {
    Instance instance = with_two();
    const auto takers = [&] {
        std::vector<bool> out;
        for (std::uint16_t source = 0; source < 4000; ++source)
            out.push_back(answer("slc_root_canary", frame_from(source)) == XDP_TX);
        return out;
    };
    ASSERT_TRUE(instance.begin_canary(tx_, {{}, 0.05}));
    EXPECT_EQ(instance.canary_interfaces(), (Names{"eth0", "eth1"}));
    EXPECT_EQ(answer("slc_root_canary", Frame{}), XDP_DROP) << "no source: no canary";
    const auto first = takers();
    const auto count = std::count(first.begin(), first.end(), true);
    EXPECT_GT(count, 140);  // 200 expected, 14 the deviation
    EXPECT_LT(count, 260);
    ASSERT_TRUE(instance.end_canary());
    ASSERT_TRUE(instance.begin_canary(tx_, {{}, 0.2}));
    const auto more = takers();
    EXPECT_GT(std::count(more.begin(), more.end(), true), 600);
    for (std::size_t i = 0; i < first.size(); ++i)
        EXPECT_TRUE(!first[i] || more[i]) << "who was in the smaller share is in the larger";
}

TEST_F(CanaryTest, is_promoted_without_going_back) {
    Instance instance = with_two();
    ASSERT_TRUE(instance.begin_canary(tx_, {{"eth0"}, 1}));
    ASSERT_TRUE(instance.swap_to(tx_));
    EXPECT_EQ(state_of(instance), "1 2 live canary");
    ASSERT_TRUE(instance.end_canary());
    EXPECT_EQ(state_of(instance), "1 2 live");
    ASSERT_TRUE(instance.drop(1));
}

TEST_F(CanaryTest, survives_a_restart) {
    ASSERT_TRUE(with_two().begin_canary(tx_, {{"eth1"}, 1}));
    Instance again = open();
    EXPECT_EQ(state_of(again), "1 live 2 canary");
    EXPECT_EQ(again.canary_interfaces(), Names{"eth1"});
    ASSERT_TRUE(again.end_canary());
    EXPECT_EQ(state_of(again), "1 live 2");
}

TEST_F(CanaryTest, that_was_half_begun_or_half_ended_is_undone_by_the_next_process) {
    ASSERT_TRUE(with_two().begin_canary(tx_, {{}, 1}));
    ASSERT_TRUE(move_pin(pin("root/slc_root_canary"), pin("root/slc_root_canary_new")));
    const Instance again = open();
    EXPECT_EQ(state_of(again), "1 live 2");
    EXPECT_TRUE(again.canary_interfaces().empty());
    const auto root = list_pins(pin("root"));
    EXPECT_EQ(root, (Names{"canary_key", "link_eth0", "link_eth1", "slc_root", "slc_root_missed",
                           "slc_root_progs"}));
}

TEST_F(CanaryTest, of_nothing_is_refused) {
    Instance instance = with_two();
    const auto nowhere = instance.begin_canary(tx_, {{"eth9"}, 1});
    ASSERT_FALSE(nowhere);
    EXPECT_EQ(nowhere.error().code, Errc::not_found);
    for (const double share : {0.0, -1.0, 1.5}) {
        const auto outcome = instance.begin_canary(tx_, {{}, share});
        ASSERT_FALSE(outcome) << share;
        EXPECT_EQ(outcome.error().code, Errc::invalid);
    }
    EXPECT_EQ(state_of(instance), "1 live 2");
}

TEST_F(CanaryTest, passes_over_an_interface_that_is_gone) {
    Instance instance = with_two();
    network_.run("ip link del eth1");
    ASSERT_TRUE(instance.begin_canary(tx_, {{}, 0.5}));
    EXPECT_EQ(instance.canary_interfaces(), Names{"eth0"});
    ASSERT_TRUE(instance.end_canary());
}

/// An instance as version 0.1 left it: a root program whose array has room for one generation.
class OldRootTest : public CanaryTest {
 protected:
    void SetUp() override {
        CanaryTest::SetUp();
        ASSERT_TRUE(make_pin_directory(pin("root")));
        ASSERT_TRUE(make_pin_directory(pin("gen/1")));
        ASSERT_TRUE(drop_.pin(pin("gen/1")));
        auto root = BpfObject::open(ObjectName::root, *probe_instruction_set());
        ASSERT_TRUE(root);
        ASSERT_TRUE(root->leave_out_map(".rodata.node"));
        ASSERT_TRUE(root->set_max_entries("slc_root_progs", 1));
        ASSERT_TRUE(root->load());
        for (const char* map : {"slc_root_progs", "slc_root_missed"})
            ASSERT_TRUE(make_pin(root->map_fd(map), pin(std::string("root/") + map)));
        ASSERT_TRUE(make_pin(root->program_fd("slc_root"), pin("root/slc_root")));
        const std::uint32_t slot = 0;
        const int live = drop_.program_fd();
        ASSERT_EQ(::bpf_map_update_elem(root->map_fd("slc_root_progs"), &slot, &live, BPF_ANY), 0);
        for (const char* interface : {"eth0", "eth1"}) {
            const auto link =
                attach_xdp(root->program_fd("slc_root"), interface, AttachMode::native);
            ASSERT_TRUE(link) << link.error().what;
            ASSERT_TRUE(make_pin(link->fd.get(), pin("root/link_" + std::string(interface))));
        }
        old_ = program_on("eth0");
    }
    std::uint32_t program_on(const std::string& interface) const {
        const auto link = open_pin(pin("root/link_" + interface));
        const auto id = link ? link_program(link->get()) : Result<std::uint32_t>(0);
        return id ? *id : 0;
    }
    static std::uint32_t id_of(const std::string& path) {
        const auto program = open_pin(path);
        bpf_prog_info info{};
        __u32 size = sizeof info;
        if (!program || ::bpf_obj_get_info_by_fd(program->get(), &info, &size) != 0) return 0;
        return info.id;
    }
    void expect_renewed(Instance& instance) {
        EXPECT_EQ(state_of(instance), "1 live");
        EXPECT_EQ(answer("slc_root"), XDP_DROP);
        EXPECT_NE(program_on("eth0"), old_);
        EXPECT_EQ(program_on("eth0"), id_of(pin("root/slc_root")));
        EXPECT_EQ(program_on("eth1"), id_of(pin("root/slc_root")));
        ASSERT_TRUE(instance.keep(tx_, 2, "{}"));
        const auto canary = instance.begin_canary(tx_, {{"eth1"}, 1});
        ASSERT_TRUE(canary) << canary.error().what;
        EXPECT_EQ(answer("slc_root_canary"), XDP_TX);
        ASSERT_TRUE(instance.end_canary());
        ASSERT_TRUE(instance.swap_to(tx_));
        EXPECT_EQ(answer("slc_root"), XDP_TX);
        EXPECT_EQ(list_pins(pin("root")), (Names{"canary_key", "link_eth0", "link_eth1", "slc_root",
                                                 "slc_root_missed", "slc_root_progs"}));
    }
    std::uint32_t old_ = 0;
};

TEST_F(OldRootTest, is_renewed_under_what_is_live) {
    Instance instance = open();
    expect_renewed(instance);
}

TEST_F(OldRootTest, renewing_that_was_killed_before_the_new_was_whole_begins_again) {
    const UniqueFd rest(::bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "rest", 4, 4, 2, nullptr));
    ASSERT_TRUE(make_pin(rest.get(), pin("root/slc_root_progs_new")));
    Instance instance = open();
    expect_renewed(instance);
}

TEST_F(OldRootTest, renewing_that_was_killed_between_the_two_renames_is_finished) {
    // As it is then: the new array in its place, links on the new program, the program not yet.
    auto root = BpfObject::open(ObjectName::root, *probe_instruction_set());
    ASSERT_TRUE(root);
    ASSERT_TRUE(root->leave_out_map(".rodata.node"));
    ASSERT_TRUE(root->load());
    const std::uint32_t slot = 0;
    const int live = drop_.program_fd();
    ASSERT_EQ(::bpf_map_update_elem(root->map_fd("slc_root_progs"), &slot, &live, BPF_ANY), 0);
    ASSERT_TRUE(make_pin(root->map_fd("slc_root_progs"), pin("root/slc_root_progs_new")));
    ASSERT_TRUE(make_pin(root->program_fd("slc_root"), pin("root/slc_root_new")));
    for (const char* interface : {"eth0", "eth1"}) {
        const auto link = open_pin(pin("root/link_" + std::string(interface)));
        ASSERT_TRUE(link);
        ASSERT_TRUE(update_xdp(link->get(), root->program_fd("slc_root")));
    }
    ASSERT_TRUE(move_pin(pin("root/slc_root_progs_new"), pin("root/slc_root_progs")));
    Instance instance = open();
    expect_renewed(instance);
}

class InstancesTest : public GenerationsTest {};

TEST_F(InstancesTest, are_listed_with_what_they_hold) {
    EXPECT_TRUE(Instance::list(g_bpffs + "/none")->empty());
    Instance instance = open();
    ASSERT_TRUE(instance.attach("eth0", AttachMode::native));
    ASSERT_TRUE(instance.keep(drop_, 4, "{\"a\": 1}"));
    ASSERT_TRUE(instance.swap_to(drop_));
    {
        auto other = Instance::open(base_, "other", *probe_instruction_set());
        ASSERT_TRUE(other) << other.error().what;
    }
    ASSERT_TRUE(make_pin_directory(base_ + "/foreign/things"));
    const auto all = Instance::list(base_);
    ASSERT_TRUE(all) << all.error().what;
    ASSERT_EQ(all->size(), 2u);
    EXPECT_EQ((*all)[0].node, "other");
    EXPECT_FALSE((*all)[0].in_use);
    EXPECT_EQ((*all)[1].node, "test");
    EXPECT_TRUE((*all)[1].in_use);
    EXPECT_EQ((*all)[1].interfaces, std::vector<std::string>{"eth0"});
    ASSERT_EQ((*all)[1].generations.size(), 1u);
    EXPECT_TRUE((*all)[1].generations[0].live);
    EXPECT_EQ((*all)[1].generations[0].meta, "{\"a\": 1}");
    ASSERT_TRUE(Instance::remove(base_, "other"));
    EXPECT_EQ(Instance::list(base_)->size(), 1u);
    ASSERT_TRUE(remove_pins(base_ + "/foreign"));
}

TEST_F(InstancesTest, that_are_half_there_are_removed_too) {
    {
        Instance instance = open();
        ASSERT_TRUE(instance.attach("eth0", AttachMode::native));
    }
    for (const char* part : {"root/slc_root", "root/slc_root_progs", "state", "gen"})
        ASSERT_TRUE(remove_pins(pin(part)));
    EXPECT_EQ(Instance::list(base_)->size(), 1u);
    ASSERT_TRUE(Instance::remove(base_, "test"));
    EXPECT_TRUE(Instance::list(base_)->empty());
    EXPECT_EQ(network_.output("ip link show eth0").find("xdp"), std::string::npos);
}

TEST_F(InstancesTest, what_is_no_instance_is_never_removed) {
    ASSERT_TRUE(make_pin_directory(base_ + "/foreign/things"));
    const auto foreign = Instance::remove(base_, "foreign");
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, Errc::conflict);
    for (const char* name : {"", ".", "..", "foreign/things", "../sluice"}) {
        const auto outcome = Instance::remove(base_, name);
        ASSERT_FALSE(outcome) << name;
        EXPECT_EQ(outcome.error().code, Errc::invalid);
    }
    EXPECT_EQ(list_pins(base_ + "/foreign"), std::vector<std::string>{"things"});
    ASSERT_TRUE(remove_pins(base_ + "/foreign"));
    ASSERT_EQ(::mkdir("/mnt/elsewhere", 0700), 0);
    ASSERT_EQ(::mkdir("/mnt/elsewhere/gen", 0700), 0);
    EXPECT_FALSE(Instance::remove("/mnt", "elsewhere")) << "not on a BPF file system";
    EXPECT_EQ(list_pins("/mnt/elsewhere"), std::vector<std::string>{"gen"});
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    std::string why = sluice::test::namespaces_refused();
    if (why.empty()) sluice::kernel::g_bpffs = sluice::test::private_bpffs(why);
    if (sluice::kernel::g_bpffs.empty()) {
        std::printf("skipped: unit_generations: %s\n", why.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
