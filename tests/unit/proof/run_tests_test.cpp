// SPDX-License-Identifier: Apache-2.0
// The tests of a configuration, through the programs themselves.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/packet/pcap.h"
#include "tests/unit/proof/rig.h"

namespace sluice::proof {
namespace {

constexpr const char* kHead = R"(
version: 2
node:
  interfaces: [sluice-none]
  icmp_rate: 1
  tunnel_source: {ipv4: 10.255.0.0/24, ipv6: "fd00:ff::/64"}
  flows: {entries: 512}
groups:
  web: {backends: [10.0.0.5, 10.0.0.6]}
  one: {backends: [10.0.0.7]}
services:
  - {name: web, vip: 192.0.2.10, protocol: tcp, port: 443, forward: ipip, group: web}
  - {name: dns, vip: 192.0.2.10, protocol: udp, port: 53, forward: gue, group: one}
  - {name: alt, vip: 192.0.2.10, protocol: udp, port: 54, forward: gre, group: one}
  - {name: far, vip: 192.0.2.11, protocol: udp, port: 53, forward: l2, group: one}
  - {name: here, vip: 192.0.2.12, protocol: tcp, port: 22, forward: local}
tests:
)";
constexpr int kTestsLine = 18;  // of the first line behind kHead

class RunTests : public testing::Test {
 protected:
    void SetUp() override { std::filesystem::create_directories(directory_); }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    ProofReport run(const std::string& tests) {
        const test::TwinRig rig(kHead + tests);
        kernel::Twin twin = rig_twin(rig);
        ProofReport out;
        const auto ran = run_tests(rig.config, "test.yaml", directory_, twin, names_of(rig), out);
        error_ = ran ? Error{} : ran.error();
        return out;
    }
    static kernel::Twin rig_twin(const test::TwinRig& rig) {
        return const_cast<test::TwinRig&>(rig).twin();
    }
    /// "name where: text" of each.
    std::vector<std::string> failures(const std::string& tests) {
        std::vector<std::string> out;
        const auto report = run(tests);
        EXPECT_EQ(error_.what, "");
        for (const auto& failure : report.failures)
            out.push_back(failure.test + " " + failure.where + ": " + failure.text);
        return out;
    }
    void capture(const std::string& name, const std::vector<std::string>& notations) {
        auto out = packet::PcapWriter::open(directory_ + "/" + name);
        ASSERT_TRUE(out);
        for (const auto& notation : notations) out->write(*packet::build(notation), "");
    }

    using Lines = std::vector<std::string>;
    std::string directory_ = testing::TempDir() + "/sluice-proof." + std::to_string(::getpid());
    Error error_;
};

TEST_F(RunTests, hold_where_the_configuration_does_what_it_should) {
    const auto report = run(R"(
  - name: web is answered
    packet: tcp 198.51.100.7:1234 > 192.0.2.10:443 syn
    expect: {verdict: forward, reason: forwarded, service: web, encapsulation: ipip}
  - name: a name is asked for
    packet: udp 198.51.100.7:1234 > 192.0.2.10:53 len=20
    expect: {service: dns, backend: 10.0.0.7, encapsulation: gue}
  - name: by another tunnel
    packet: udp 198.51.100.7:1234 > 192.0.2.10:54 len=20
    expect: {service: alt, backend: 10.0.0.7, encapsulation: gre, verdict: tx}
  - name: by the link
    packet: udp 198.51.100.7:1234 > 192.0.2.11:53 vlan=7
    expect: {service: far, backend: 10.0.0.7, encapsulation: l2}
  - name: delivered
    packet: tcp 198.51.100.7:1234 > 192.0.2.12:22 syn
    expect: {verdict: pass, reason: delivered_local, service: here, encapsulation: local}
  - name: odd flags
    packet: tcp 198.51.100.7:1234 > 192.0.2.10:443 syn+fin
    expect: {verdict: drop, reason: tcp_flags_invalid}
  - name: a stranger
    packet: tcp 198.51.100.7:1234 > 203.0.113.9:443 syn
    expect: {verdict: pass, reason: not_ours}
  - name: an error of a router
    packet: >-
      icmp 203.0.113.1 > 192.0.2.10 frag-needed mtu=1400
      of ( udp 192.0.2.10:53 > 198.51.100.7:1234 len=1400 df )
    expect: {reason: forwarded_icmp_error, service: dns, backend: 10.0.0.7}
)");
    EXPECT_EQ(error_.what, "");
    EXPECT_EQ(report.tests, 8u);
    EXPECT_EQ(report.packets, 8u);
    for (const auto& failure : report.failures)
        ADD_FAILURE() << failure.test << " " << failure.where << ": " << failure.text;
}

TEST_F(RunTests, tell_what_was_expected_and_where) {
    const auto line = [](int number) { return std::to_string(kTestsLine + number); };
    EXPECT_EQ(failures("  - name: wrong backend\n"
                       "    packet: udp 198.51.100.7:1234 > 192.0.2.10:53\n"
                       "    expect: {backend: 10.0.0.6}\n"
                       "  - name: wrong port\n"
                       "    packet: udp 198.51.100.7:1234 > 192.0.2.10:55\n"
                       "    expect: {verdict: forward, service: dns}\n"),
              (Lines{"wrong backend test.yaml:" + line(1) +
                         ":13: expected backend 10.0.0.6, got 10.0.0.7 (forwarded)",
                     "wrong port test.yaml:" + line(4) +
                         ":13: expected verdict forward, got drop; expected service dns, got none "
                         "(no_such_port)"}));
}

TEST_F(RunTests, play_sequences_with_a_clock_of_their_own) {
    EXPECT_EQ(failures(R"(
  - name: the rate of answers
    sequence:
      - {packet: icmp 198.51.100.7 > 192.0.2.10 echo-request, expect: {reason: echo_replied}}
      - {packet: icmp 198.51.100.7 > 192.0.2.10 echo-request, expect: {reason: icmp_rate}}
      - after: 1s
        packet: icmp 198.51.100.7 > 192.0.2.10 echo-request
        expect: {reason: echo_replied}
  - name: a fragment follows its first one for a while
    sequence:
      - {packet: "udp 198.51.100.7:1 > 192.0.2.10:53 frag=0+ id=7 len=1480", expect: {backend: 10.0.0.7}}
      - after: 10s
        packet: udp 198.51.100.7:1 > 192.0.2.10:53 frag=1488 id=7 len=20
        expect: {reason: forwarded_fragment, backend: same}
      - after: 10s
        packet: udp 198.51.100.7:1 > 192.0.2.10:53 frag=1488 id=7 len=20
        expect: {reason: frag_unknown}
  - name: a connection stays
    sequence:
      - {packet: "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn", expect: {verdict: forward}}
      - {after: 5s, packet: "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack", expect: {backend: same}}
)"),
              Lines{});
}

TEST_F(RunTests, begin_each_test_on_cleared_state_and_name_the_packet_of_a_sequence) {
    const auto found = failures(R"(
  - name: first
    sequence:
      - {packet: "udp 198.51.100.7:1 > 192.0.2.10:53 frag=0+ id=7 len=1480", expect: {verdict: forward}}
      - {packet: "udp 198.51.100.7:1 > 192.0.2.10:53 frag=1488 id=8 len=20", expect: {backend: same}}
  - name: second
    packet: udp 198.51.100.7:1 > 192.0.2.10:53 frag=1488 id=7 len=20
    expect: {reason: frag_unknown}
)");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_TRUE(
        found[0].ends_with(": packet 2: expected backend 10.0.0.7 again, got none (frag_unknown)"))
        << found[0];
}

TEST_F(RunTests, play_captures_whole_or_one_frame_of_them) {
    capture("some.pcapng", {"udp 198.51.100.7:1 > 192.0.2.10:53", "ether 0x0806 len=28",
                            "tcp 198.51.100.7:1 > 192.0.2.10:443 none"});
    const auto found = failures(R"(
  - {name: one, pcap: some.pcapng, frame: 3, expect: {verdict: drop, reason: tcp_flags_invalid}}
  - {name: all, pcap: some.pcapng, expect: {verdict: forward}}
)");
    ASSERT_EQ(found.size(), 2u);
    EXPECT_TRUE(found[0].ends_with(": frame 2: expected verdict forward, got pass (not_ip)"));
    EXPECT_TRUE(
        found[1].ends_with(": frame 3: expected verdict forward, got drop (tcp_flags_invalid)"));
    EXPECT_EQ(run("  - {name: all, pcap: some.pcapng, expect: {verdict: pass}}\n").packets,
              error_.what.empty() ? 3u : 0u);
}

TEST_F(RunTests, refuse_captures_that_cannot_be_played) {
    capture("some.pcapng", {"udp 198.51.100.7:1 > 192.0.2.10:53"});
    std::ofstream(directory_ + "/bad.pcap") << "no capture at all, whatever its name says";
    const std::string place = "test.yaml:" + std::to_string(kTestsLine) + ":21: ";
    run("  - {name: a, pcap: none.pcap, expect: {verdict: drop}}\n");
    EXPECT_EQ(error_.code, Errc::not_found);
    EXPECT_EQ(error_.what,
              place + "capture: open " + directory_ + "/none.pcap: No such file or directory");
    run("  - {name: a, pcap: bad.pcap, expect: {verdict: drop}}\n");
    EXPECT_EQ(error_.code, Errc::invalid);
    EXPECT_EQ(error_.what, place + directory_ + "/bad.pcap: neither pcap nor pcapng");
    run("  - {name: a, pcap: some.pcapng, frame: 2, expect: {verdict: drop}}\n");
    EXPECT_EQ(error_.code, Errc::invalid);
    EXPECT_EQ(error_.what, place + directory_ + "/some.pcapng has 1 frames");
    run("  - {name: a, packet: 'udp 198.51.100.7:1 > 192.0.2.10:53 cut=9', expect: {verdict: "
        "drop}}\n");
    EXPECT_EQ(error_.what,
              "test.yaml:18:23: a frame of 9 bytes: no interface receives less than 14");
}

}  // namespace
}  // namespace sluice::proof
