// SPDX-License-Identifier: Apache-2.0
// The proof twin: the same programs with a clock of the caller's, and nothing live moves.
#include "kernel/twin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "sluice/flow.h"
#include "tests/unit/kernel/twin_rig.h"

namespace sluice::kernel {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 1000 * kSecond;

constexpr const char* kConfig = R"(
version: 1
node:
  interfaces: [eth0]
  icmp_rate: 1
  tunnel_source: {ipv4: 10.255.0.0/24, ipv6: "fd00:ff::/64"}
  flows: {entries: 512}
groups:
  web: {backends: [10.0.0.5, 10.0.0.6, 10.0.0.7]}
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 443, forward: ipip, group: web,
     tracking: always}
  - {name: dns, vip: 192.0.2.10, protocol: udp, port: 53, forward: gue, group: web}
)";

constexpr const char* kSyn = "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn";
constexpr const char* kAck = "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack";

class TwinTest : public testing::Test {
 protected:
    TwinAnswer run(Twin& twin, const std::string& notation, std::uint64_t after_ns = 0,
                   std::uint32_t ifindex = 0) {
        const auto frame = packet::build(notation);
        EXPECT_TRUE(frame) << frame.error().what;
        auto answer = twin.run(*frame, kStart + after_ns, ifindex);
        EXPECT_TRUE(answer) << answer.error().what;
        return answer ? *answer : TwinAnswer{};
    }
    std::string backend(Twin& twin, const std::string& notation, std::uint64_t after_ns = 0) {
        return rig_.backend_of(run(twin, notation, after_ns).answer.rec.member);
    }
    std::uint16_t reason(Twin& twin, const std::string& notation, std::uint64_t after_ns = 0) {
        return run(twin, notation, after_ns).answer.rec.reason;
    }

    test::TwinRig rig_{kConfig};
};

TEST_F(TwinTest, answers_with_the_record_and_the_frame_that_would_leave) {
    Twin twin = rig_.twin();
    const TwinAnswer answer = run(twin, kSyn);
    EXPECT_EQ(answer.action, XDP_TX);
    EXPECT_EQ(answer.answer.rec.verdict, SLC_VERDICT_TX);
    EXPECT_EQ(answer.answer.rec.reason, SLC_REASON_FORWARDED);
    EXPECT_EQ(answer.answer.rec.service, rig_.image.service_ids[0]);
    EXPECT_NE(answer.answer.rec.member, 0u);
    EXPECT_EQ(answer.frame.size(), 14u + 20 + 40);
    const std::string told = packet::describe(answer.frame);
    EXPECT_TRUE(told.starts_with("ipip 10.255.0.")) << told;
    EXPECT_TRUE(told.ends_with(std::string("{ ") + kSyn + " }")) << told;
    EXPECT_EQ(reason(twin, "tcp 198.51.100.7:1234 > 192.0.2.10:80 syn"), SLC_REASON_NO_SUCH_PORT);
    EXPECT_EQ(reason(twin, "ether 0x0806 len=46"), SLC_REASON_NOT_IP);
    EXPECT_EQ(reason(twin, "udp 198.51.100.7:1234 > 192.0.2.10:53 len=3"), SLC_REASON_FORWARDED);
}

TEST_F(TwinTest, moves_nothing_that_is_live) {
    Twin twin = rig_.twin();
    const auto live = rig_.generation->live_bytes();
    const std::vector<std::byte> before(live.begin(), live.end());
    ASSERT_EQ(reason(twin, kSyn), SLC_REASON_FORWARDED);
    ASSERT_EQ(reason(twin, kAck), SLC_REASON_FORWARDED_REMEMBERED);
    ASSERT_EQ(reason(twin, "icmp 198.51.100.7 > 192.0.2.10 echo-request"), SLC_REASON_ECHO_REPLIED);
    EXPECT_TRUE(std::equal(live.begin(), live.end(), before.begin()));
    for (const slc_counter& counter : rig_.state->reasons()) EXPECT_EQ(counter.packets, 0u);
    for (const slc_service_counter& counter : rig_.state->services())
        EXPECT_EQ(counter.packets, 0u);
    for (const slc_flow_bucket& bucket : rig_.state->flows().current().buckets())
        for (const slc_u64 entry : bucket.entry) EXPECT_EQ(entry, 0u);
    EXPECT_TRUE(rig_.state->samples().read().empty());
}

TEST_F(TwinTest, goes_by_the_clock_that_it_is_given) {
    Twin twin = rig_.twin();
    const char* kFirst = "udp 198.51.100.7:1234 > 192.0.2.10:53 frag=0+ id=7 len=1480";
    const char* kLater = "udp 198.51.100.7 > 192.0.2.10 frag=1488 id=7 len=20";
    EXPECT_EQ(reason(twin, kLater), SLC_REASON_FRAG_UNKNOWN);
    EXPECT_EQ(reason(twin, kFirst), SLC_REASON_FORWARDED);
    EXPECT_EQ(reason(twin, kLater, 14 * kSecond), SLC_REASON_FORWARDED_FRAGMENT);
    EXPECT_EQ(reason(twin, kLater, 17 * kSecond), SLC_REASON_FRAG_UNKNOWN);
}

TEST_F(TwinTest, has_limiters_of_its_own_that_clearing_fills) {
    Twin twin = rig_.twin();
    const char* kEcho = "icmp 198.51.100.7 > 192.0.2.10 echo-request";
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(reason(twin, kEcho), SLC_REASON_ECHO_REPLIED);
        EXPECT_EQ(reason(twin, kEcho), SLC_REASON_ICMP_RATE);
        EXPECT_EQ(reason(twin, kEcho, kSecond), SLC_REASON_ECHO_REPLIED);
        ASSERT_TRUE(twin.clear_state());
    }
}

TEST_F(TwinTest, forgets_flows_and_fragments_when_it_is_cleared) {
    Twin twin = rig_.twin();
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(reason(twin, kAck), SLC_REASON_FORWARDED);
        EXPECT_EQ(reason(twin, kAck), SLC_REASON_FORWARDED_REMEMBERED);
        ASSERT_TRUE(twin.clear_state());
    }
}

TEST_F(TwinTest, has_the_slots_that_it_is_given) {
    Twin twin = rig_.twin();
    for (const char* owner : {"10.0.0.7", "10.0.0.5"}) {
        twin.set_slots(rig_.all_slots(owner));
        ASSERT_TRUE(twin.clear_state());
        EXPECT_EQ(backend(twin, kSyn), owner);
    }
    const std::vector<std::uint64_t> none(rig_.image.rings.size(), 0);
    twin.set_rings(none);
    EXPECT_EQ(reason(twin, "tcp 198.51.100.8:1 > 192.0.2.10:443 syn"), SLC_REASON_NO_BACKEND);
    twin.copy_live(*rig_.generation);
    EXPECT_EQ(reason(twin, "tcp 198.51.100.8:1 > 192.0.2.10:443 syn"), SLC_REASON_FORWARDED);
}

TEST_F(TwinTest, remembers_the_live_flows_that_were_copied_and_what_they_use) {
    for (int port = 1; port <= 20; ++port)
        rig_.send_live("tcp 198.51.100.7:" + std::to_string(port) + " > 192.0.2.10:443 syn");
    Twin twin = rig_.twin();
    twin.set_slots(rig_.all_slots("10.0.0.6"));
    ASSERT_TRUE(twin.clear_state());
    EXPECT_EQ(backend(twin, "tcp 198.51.100.7:1 > 192.0.2.10:443 ack"), "10.0.0.6");
    ASSERT_TRUE(twin.clear_state());
    twin.copy_flows(rig_.state->flows());
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto since_start = static_cast<std::uint64_t>(now.tv_sec) * kSecond - kStart;
    int elsewhere = 0;
    for (int port = 1; port <= 20; ++port) {
        const TwinAnswer answer =
            run(twin, "tcp 198.51.100.7:" + std::to_string(port) + " > 192.0.2.10:443 ack",
                since_start);
        EXPECT_EQ(answer.answer.rec.reason, SLC_REASON_FORWARDED_REMEMBERED) << port;
        elsewhere += rig_.backend_of(answer.answer.rec.member) != "10.0.0.6" ? 1 : 0;
    }
    EXPECT_GT(elsewhere, 0);
    EXPECT_EQ(rig_.generation->accounts()[1].used, 20u);
}

TEST_F(TwinTest, asks_the_table_that_is_being_left_too) {
    rig_.send_live(kSyn);
    ASSERT_TRUE(*rig_.state->flows().fit({8, 29}));
    rig_.load();
    Twin twin = rig_.twin();
    twin.copy_flows(rig_.state->flows());
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto since_start = static_cast<std::uint64_t>(now.tv_sec) * kSecond - kStart;
    EXPECT_EQ(reason(twin, kAck, since_start), SLC_REASON_FORWARDED_REMEMBERED);
}

TEST_F(TwinTest, gives_unresolved_members_a_template) {
    test::TwinRig rig(kConfig, {"10.0.0.5"});
    Twin twin = rig.twin();
    twin.set_slots(rig.all_slots("10.0.0.6"));
    EXPECT_EQ(reason(twin, kSyn), SLC_REASON_BACKEND_UNRESOLVED);
    const IpAddress address = *IpAddress::parse("10.0.0.6");
    const std::uint32_t variant = SLC_VARIANT(SLC_FORWARD_IPIP, 0);
    twin.set_cell(rig.member_of("10.0.0.6"), variant, rig.template_of(address, variant));
    ASSERT_TRUE(twin.clear_state());
    EXPECT_EQ(reason(twin, kSyn), SLC_REASON_FORWARDED);
    EXPECT_EQ(rig.generation->members()[rig.member_of("10.0.0.6")].cell[variant], 0u);
    slc_member record = rig.generation->members()[rig.member_of("10.0.0.6")];
    twin.set_member(rig.member_of("10.0.0.6"), record);
    EXPECT_EQ(reason(twin, kAck), SLC_REASON_BACKEND_UNRESOLVED);
}

TEST_F(TwinTest, takes_jumbo_frames) {
    Twin twin = rig_.twin();
    const TwinAnswer answer = run(twin, "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack len=8000 df");
    EXPECT_EQ(answer.answer.rec.reason, SLC_REASON_FORWARDED);
    EXPECT_EQ(answer.frame.size(), 14u + 20 + 40 + 8000);
    const TwinAnswer longest = run(twin, "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack df len=16330");
    EXPECT_EQ(longest.answer.rec.reason, SLC_REASON_TOO_BIG_REPLIED);
}

TEST_F(TwinTest, comes_by_the_interface_that_is_given_if_there_is_one) {
    Twin twin = rig_.twin();
    EXPECT_EQ(run(twin, kSyn, 0, 1).answer.rec.verdict, SLC_VERDICT_TX);
    EXPECT_EQ(run(twin, kSyn, 0, 999999).answer.rec.verdict, SLC_VERDICT_TX);
}

TEST_F(TwinTest, refuses_what_no_interface_receives) {
    Twin twin = rig_.twin();
    const std::vector<std::uint8_t> frame(13);
    const auto answer = twin.run(frame, kStart);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::invalid);
    EXPECT_EQ(answer.error().what, "a frame of 13 bytes: no interface receives less than 14");
}

}  // namespace
}  // namespace sluice::kernel

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string why = sluice::test::missing_privilege();
    if (!why.empty()) {
        std::printf("skipped: unit_twin: %s\n", why.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
