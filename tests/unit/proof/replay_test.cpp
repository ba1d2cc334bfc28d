// SPDX-License-Identifier: Apache-2.0
// Samples played to two twins, as a plan does it.
#include <gtest/gtest.h>

#include "tests/unit/proof/rig.h"
#include "tests/unit/proof/sample.h"

namespace sluice::proof {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr const char* kConfig = R"(
version: 1
node: {interfaces: [eth0], tunnel_source: {ipv4: 10.255.0.0/24}, flows: {entries: 512}}
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 443, forward: ipip, tracking: always,
     backends: [10.0.0.5, 10.0.0.6]}
)";

std::string client(int port, const char* flags) {
    return "tcp 198.51.100.7:" + std::to_string(port) + " > 192.0.2.10:443 " + flags;
}

class Replay : public testing::Test {
 protected:
    std::vector<ReplayAnswer> replayed(const std::vector<slc_sample>& samples, kernel::Twin& twin) {
        auto out = replay(samples, twin, names_of(rig_));
        EXPECT_TRUE(out) << out.error().what;
        return out ? *out : std::vector<ReplayAnswer>{};
    }

    test::TwinRig rig_{kConfig};
};

TEST_F(Replay, says_of_each_sample_what_becomes_of_it) {
    kernel::Twin twin = rig_.twin();
    twin.set_slots(rig_.all_slots("10.0.0.6"));
    slc_sample nothing{};
    const auto out = replayed(
        {sample_of(client(1, "syn")), nothing, sample_of("tcp 198.51.100.7:1 > 192.0.2.10:80 syn"),
         sample_of("ether 0x0806 len=46")},
        twin);
    ASSERT_EQ(out.size(), 4u);
    EXPECT_TRUE(out[0].ran);
    EXPECT_EQ(out[0].member, "web/10.0.0.6");
    EXPECT_EQ(out[0].rec.reason, SLC_REASON_FORWARDED);
    EXPECT_FALSE(out[1].ran);
    EXPECT_EQ(out[2].rec.reason, SLC_REASON_NO_SUCH_PORT);
    EXPECT_EQ(out[2].member, "");
    EXPECT_EQ(out[3].rec.reason, SLC_REASON_NOT_IP);
}

TEST_F(Replay, keeps_order_so_that_a_flow_is_remembered) {
    kernel::Twin twin = rig_.twin();
    const auto out = replayed(
        {sample_of(client(1, "syn"), 5 * kSecond), sample_of(client(1, "ack"), 6 * kSecond),
         sample_of(client(1, "ack"), 7200 * kSecond)},
        twin);
    EXPECT_EQ(out[0].rec.reason, SLC_REASON_FORWARDED);
    EXPECT_EQ(out[1].rec.reason, SLC_REASON_FORWARDED_REMEMBERED);
    EXPECT_EQ(out[2].rec.reason, SLC_REASON_FORWARDED_REMEMBERED);
}

// What a plan does: live flows on both sides, then the slots of today and of tomorrow.
TEST_F(Replay, shows_that_remembered_flows_stay_and_others_move) {
    std::vector<slc_sample> samples;
    for (int port = 1; port <= 40; ++port) {
        if (port <= 20) rig_.send_live(client(port, "syn"));
        samples.push_back(sample_of(client(port, "ack"), static_cast<std::uint64_t>(port)));
    }
    kernel::Twin twin = rig_.twin();
    std::vector<std::vector<ReplayAnswer>> answers;
    for (const auto& slots : {rig_.image.slots, rig_.all_slots("10.0.0.6")}) {
        twin.set_slots(slots);
        ASSERT_TRUE(twin.clear_state());
        twin.copy_flows(rig_.state->flows());
        answers.push_back(replayed(samples, twin));
    }
    ProofReport report;
    compare(samples, answers[0], answers[1], report);
    EXPECT_EQ(report.replayed, 40u);
    EXPECT_EQ(report.changed, 0u);
    std::uint64_t expected = 0;
    for (int port = 21; port <= 40; ++port)
        expected += answers[0][static_cast<std::size_t>(port) - 1].member == "web/10.0.0.5" ? 1 : 0;
    EXPECT_EQ(report.moved, expected);
    ASSERT_EQ(report.differences.size(), 1u);
    EXPECT_EQ(report.differences[0].was, "forwarded to web/10.0.0.5");
    EXPECT_EQ(report.differences[0].now, "forwarded to web/10.0.0.6");
    EXPECT_EQ(report.differences[0].count, expected);
    EXPECT_GT(expected, 0u);
}

}  // namespace
}  // namespace sluice::proof
