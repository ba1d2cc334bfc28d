// SPDX-License-Identifier: Apache-2.0
//
// Tunnels that end here: in the backend's agent, and in a balancer that is a backend too.
#include "plan/reasons.h"
#include "tests/packet/dissect.h"
#include "tests/packet/harness.h"
#include "tests/packet/table.h"
#include "tests/packet/tunnels.h"

namespace sluice::packet {
namespace {

class AgentRows : public testing::TestWithParam<Case> {};

TEST_P(AgentRows, Row) {
    static auto bench = AgentBench::open();
    ASSERT_TRUE(bench) << bench.error().what;
    const Case& row = GetParam();
    const Bytes in = row.in.bytes();
    ReasonReader reasons((*bench)->reasons_fd());
    const auto run = test_run((*bench)->program_fd(), in);
    ASSERT_TRUE(run) << run.error().what;
    const auto moves = reasons.moves();
    ASSERT_EQ(moves.size(), 1U);
    EXPECT_EQ(label_of(moves[0].reason), std::string(label_of(row.want.reason)));
    EXPECT_EQ(moves[0].packets, 1U);
    EXPECT_EQ(moves[0].bytes, in.size());
    EXPECT_EQ(name_of(run->verdict), std::string(name_of(row.want.verdict)));
    EXPECT_TRUE(plan::is_agent_reason(static_cast<slc_reason>(moves[0].reason)));
    if (row.want.verdict == Verdict::drop) return;
    const Bytes want = row.want.frame ? row.want.frame->bytes() : in;
    EXPECT_EQ(diff(want, run->frame), "");
    if (row.want.frame) record("agent_" + row.name, *row.want.frame, run->frame, row.inner_sums);
}

std::vector<Case> agent_rows() {
    return stripped("agent", kDecapGuePort) + marked("agent") +
           not_stripped("agent", kDecapGuePort);
}

INSTANTIATE_TEST_SUITE_P(Packets, AgentRows, testing::ValuesIn(agent_rows()), name_of_row);

/// What only the balancer can be asked.
std::vector<Case> balancer_rows() {
    const char* config = "decap.yaml";
    const Packet outer_end = ip4({.src = "10.255.0.9", .dst = "10.0.0.1"});
    const Packet to_prefix = ip4({.dst = "192.0.2.200"}) / udp({.dport = 53}) / payload(5);
    const Packet to_drain = ip4() / tcp({.dport = 81});
    const Packet guarded = ip4({.dst = "198.51.100.200"}) / tcp();
    const Packet good = ip4() / tcp();
    return {
        {.name = "inner_to_a_vip_prefix",
         .config = config,
         .in = eth() / outer_end / to_prefix,
         .want = pass(Reason::DECAPSULATED, eth() / to_prefix)},
        // Whether a port is served is Linux's to say: never balanced again.
        {.name = "inner_to_a_port_without_service",
         .config = config,
         .in = eth() / outer_end / to_drain,
         .want = pass(Reason::DECAPSULATED, eth() / to_drain)},
        {.name = "inner_to_a_protected_prefix",
         .config = config,
         .in = eth() / outer_end / guarded,
         .want = drop(Reason::DECAP_UNKNOWN_VIP)},
        {.name = "tunnel_to_a_vip",
         .config = config,
         .in = eth() / ip4({.src = "10.255.0.9"}) / good,
         .want = drop(Reason::PROTOCOL_UNSUPPORTED)},
        {.name = "tunnel_to_an_address_that_is_no_end",
         .config = config,
         .in = eth() / ip4({.src = "10.255.0.9", .dst = "10.0.0.2"}) / good,
         .want = pass(Reason::NOT_OURS)},
        {.name = "malformed_outer_header_is_left_to_linux",
         .config = config,
         .in = eth() / ip4({.src = "10.255.0.9", .dst = "10.0.0.1", .words = 4}) / good,
         .want = pass(Reason::NOT_OURS)},
        {.name = "outer_length_beyond_the_frame_is_left_to_linux",
         .config = config,
         .in = eth() / ip4({.src = "10.255.0.9", .dst = "10.0.0.1", .len = 2000}) / good,
         .want = pass(Reason::NOT_OURS)},
    };
}

/// A co-located balancer drops what the agent passes up only where the outer header is judged
/// first.
std::vector<Case> shared_rows() {
    return stripped("decap.yaml", kDecapGuePort) + marked("decap.yaml") +
           not_stripped("decap.yaml", kDecapGuePort);
}

SLC_PACKET_TABLE(DecapShared, shared_rows());
SLC_PACKET_TABLE(DecapBalancer, balancer_rows());

}  // namespace
}  // namespace sluice::packet
