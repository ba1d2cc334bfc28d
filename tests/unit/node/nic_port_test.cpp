// SPDX-License-Identifier: Apache-2.0
//
// Tuning of a device that is really there: veth has queues and offloads that can be changed.
#include "node/nic_port.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/unique_fd.h"
#include "node/losses.h"
#include "node/tuning_log.h"
#include "tests/unit/kernel/namespaces.h"

namespace sluice::node {
namespace {

namespace fs = std::filesystem;
using test::Namespace;

constexpr const char* kOne = "rx 1 tx 1";
constexpr const char* kTwo = "rx 2 tx 1";

/// A program that passes everything, for as long as this lives.
class XdpPass {
 public:
    explicit XdpPass(const char* interface) {
        const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS},
                                 {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
        const UniqueFd program(
            bpf_prog_load(BPF_PROG_TYPE_XDP, "slc_test", "GPL", pass, std::size(pass), nullptr));
        EXPECT_TRUE(program.valid());
        link_.reset(bpf_link_create(program.get(), static_cast<int>(::if_nametoindex(interface)),
                                    BPF_XDP, nullptr));
        EXPECT_TRUE(link_.valid());
    }

 private:
    UniqueFd link_;
};

class NicPortTest : public ::testing::Test {
 protected:
    void SetUp() override {
        balancer.run(
            "ip link add up0 numrxqueues 2 numtxqueues 2 type veth peer name peer0 numrxqueues 2 "
            "numtxqueues 2");
        balancer.run("ethtool -L up0 rx 1 tx 1");
        balancer.run("ip link set up0 up");
        balancer.run("ip link set peer0 up");
        balancer.enter();
    }
    void TearDown() override { fs::remove_all(directory); }

    [[nodiscard]] TuningLog log() const {
        return TuningLog::open(directory, DeviceNumbers::here()).value();
    }
    /// Whatever the number of CPUs is here.
    static TuningPlan plan() {
        const auto nics = read_nics({"up0"});
        EXPECT_TRUE(nics.has_value()) << nics.error().what;
        if (!nics) return {};
        kernel::MachineLayout machine;
        machine.cpus = {0, 1};
        return plan_tuning(nics->front(), machine, {});
    }
    std::string channels(const std::string& interface) {
        return port.read(interface, "channels").value_or("");
    }

    Namespace balancer = Namespace::create();
    std::string directory =
        (fs::temp_directory_path() / ("sluice-port-" + std::to_string(::getpid()))).string();
    KernelNicPort port;
};

TEST_F(NicPortTest, queues_are_set_and_put_back) {
    const TuningPlan planned = plan();
    // Before them VLAN tags, which veth keeps beside the frame.
    ASSERT_FALSE(planned.steps.empty());
    EXPECT_EQ(planned.steps.back().present, kOne);
    EXPECT_EQ(planned.steps.back().wanted, kTwo);
    EXPECT_TRUE(planned.steps.back().resets_link);
    {
        TuningLog record = log();
        const auto outcomes = apply_tuning({planned}, port, record);
        ASSERT_TRUE(outcomes.has_value());
        for (const TuningOutcome& one : *outcomes)
            EXPECT_EQ(one.end, TuningEnd::made) << one.setting << one.error;
        EXPECT_EQ(record.settings().back().made, kTwo);
    }
    EXPECT_EQ(channels("up0"), kTwo);
    EXPECT_TRUE(plan().steps.empty());
    const auto undone = undo_tuning(directory);
    ASSERT_TRUE(undone.has_value());
    for (const TuningOutcome& one : *undone)
        EXPECT_EQ(one.end, TuningEnd::undone) << one.setting << one.error;
    EXPECT_EQ(channels("up0"), kOne);
    EXPECT_TRUE(undo_tuning(directory)->empty());
}

TEST_F(NicPortTest, queues_are_set_though_the_peer_receives_by_one_and_has_xdp) {
    balancer.run("ethtool -L peer0 rx 1");
    const XdpPass pass("peer0");
    TuningLog record = log();
    const auto outcomes = apply_tuning({plan()}, port, record);
    ASSERT_TRUE(outcomes.has_value());
    for (const TuningOutcome& one : *outcomes)
        EXPECT_EQ(one.end, TuningEnd::made) << one.setting << one.error;
    EXPECT_EQ(channels("up0"), kTwo);
}

TEST_F(NicPortTest, a_renamed_device_is_put_back_and_a_removed_one_is_gone) {
    TuningLog record = log();
    ASSERT_TRUE(apply_tuning({plan()}, port, record).has_value());
    balancer.run("ip link set up0 down");
    balancer.run("ip link set up0 name lan0");
    EXPECT_EQ(undo_tuning(port, record, false)->front().interface, "lan0");
    EXPECT_EQ(channels("lan0"), kOne);

    balancer.run("ip link set lan0 name up0");
    ASSERT_TRUE(apply_tuning({plan()}, port, record).has_value());
    balancer.run("ip link del up0");
    EXPECT_EQ(undo_tuning(port, record, false)->front().end, TuningEnd::gone);
    EXPECT_TRUE(record.settings().empty());
}

TEST_F(NicPortTest, offloads_are_set_and_what_is_not_there_is_said_so) {
    const std::string before = port.read("up0", "feature rx-gro").value();
    const std::string other = before == "on" ? "off" : "on";
    ASSERT_TRUE(port.write("up0", "feature rx-gro", other).has_value());
    EXPECT_EQ(port.read("up0", "feature rx-gro").value(), other);
    for (const char* setting : {"feature frobnicate", "rings", "hash udp4", "affinity 0", "frob"})
        EXPECT_EQ(port.read("up0", setting).error().code, Errc::unsupported) << setting;
    EXPECT_FALSE(port.write("up0", "feature frobnicate", "on").has_value());
    EXPECT_FALSE(port.write("up0", "rings", "rx 1024 tx 1024").has_value());
    EXPECT_FALSE(port.write("up0", "channels", "rx 7 tx 7").has_value());
    for (const char* setting : {"channels", "rings", "spread", "feature rx-gro", "hash udp4"})
        EXPECT_EQ(port.read("nosuch0", setting).error().code, Errc::not_found) << setting;
    EXPECT_EQ(port.name_of(::if_nametoindex("up0")), "up0");
    EXPECT_EQ(port.name_of(99999), std::nullopt);
    EXPECT_EQ(read_nics({"nosuch0"}).error().code, Errc::not_found);
}

TEST_F(NicPortTest, a_device_that_is_down_is_not_one_without_a_setting) {
    balancer.run("ip link set up0 down");
    for (const char* setting : {"rings", "hash udp4", "affinity 0"}) {
        const auto read = port.read("up0", setting);
        ASSERT_FALSE(read) << setting;
        EXPECT_EQ(read.error().code, Errc::unreachable) << setting;
        EXPECT_EQ(read.error().what, "up0 does not say while it is down");
    }
    EXPECT_EQ(port.read("up0", "channels").value_or(""), kOne);

    // As if it had been tuned while it was up.
    TuningLog record = log();
    ASSERT_TRUE(
        record.begin({"up0", ::if_nametoindex("up0"), "affinity 0", "0-1", "0", ""}).has_value());
    EXPECT_EQ(undo_tuning(port, record, false)->front().end, TuningEnd::failed);
    EXPECT_EQ(record.settings().size(), 1u);
    balancer.run("ip link set up0 up");
    EXPECT_EQ(undo_tuning(port, record, false)->front().end, TuningEnd::gone);
    EXPECT_TRUE(record.settings().empty());
}

TEST_F(NicPortTest, queues_do_not_change_once_xdp_is_attached) {
    // veth takes XDP only with as many receive queues as the peer sends by.
    balancer.run("ethtool -L peer0 tx 1");
    const XdpPass pass("up0");
    EXPECT_TRUE(port.has_xdp("up0"));
    EXPECT_FALSE(port.has_xdp("peer0"));
    const TuningPlan planned = plan();
    for (const TuningStep& step : planned.steps) EXPECT_NE(step.setting, "channels");
    ASSERT_EQ(planned.refused.size(), 1u);
    EXPECT_EQ(planned.refused[0].step.setting, "channels");
    // And that is true.
    EXPECT_FALSE(port.write("peer0", "channels", "rx 2 tx 2").has_value());
}

TEST_F(NicPortTest, what_veth_lost_is_read_from_its_driver) {
    const auto counts = read_losses({"up0", "nosuch0"});
    ASSERT_TRUE(counts.has_value());
    EXPECT_EQ(counts->interfaces[0].driver, "veth");
    bool has_queue = false;
    for (const NicCounter& counter : counts->nic)
        has_queue = has_queue || (counter.queue && counter.source == NicSource::driver);
    EXPECT_TRUE(has_queue);
}

}  // namespace
}  // namespace sluice::node

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string refused = sluice::test::namespaces_refused();
    if (!refused.empty()) {
        std::printf("skipped: %s\n", refused.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
