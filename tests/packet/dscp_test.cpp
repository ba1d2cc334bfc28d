// SPDX-License-Identifier: Apache-2.0
//
// Outer DSCP (RFC 2983) and ECN (RFC 6040 section 4.1), and the bits of the outer header that
// differ from flow to flow.
#include <fmt/format.h>

#include <set>

#include "tests/packet/dissect.h"
#include "tests/packet/harness.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

std::vector<Case> dscp_and_ecn() {
    struct Kind {
        const char* service;
        std::uint16_t port;
        bool is_gue;
        int dscp;  ///< Of the outer header; -1: the packet's own.
    };
    static constexpr Kind kKinds[] = {
        {"copy", 2000, false, -1}, {"fixed", 2010, false, 46}, {"plain", 2020, true, 0}};
    std::vector<Case> rows;
    for (const Kind& kind : kKinds)
        for (int combination = 0; combination < 4; ++combination)
            for (const int dscp : {0, 1, 10, 46, 63})
                for (int ecn = 0; ecn < 4; ++ecn) {
                    const bool six = (combination & 2) != 0;
                    const bool out6 = (combination & 1) != 0;
                    const auto tos = static_cast<std::uint8_t>(dscp << 2 | ecn);
                    const auto outer_tos =
                        static_cast<std::uint8_t>((kind.dscp < 0 ? dscp : kind.dscp) << 2 | ecn);
                    const auto port = static_cast<std::uint16_t>(kind.port + (out6 ? 6 : 4));
                    const char* to = out6 ? "fd00::5" : "10.0.0.5";
                    const Packet ip = (six ? ip6({.traffic_class = tos}) : ip4({.tos = tos})) /
                                      udp({.dport = port}) / payload(33);
                    const Packet tunnel =
                        kind.is_gue ? outer_gue(to, outer_tos) : outer(to, outer_tos);
                    rows.push_back({.name = fmt::format("{}_dscp_{}_ecn_{}_{}in{}", kind.service,
                                                        dscp, ecn, six ? 6 : 4, out6 ? 6 : 4),
                                    .config = "dscp.yaml",
                                    .in = eth() / ip,
                                    .want = tx(Reason::FORWARDED, tunnel / ip),
                                    .service = fmt::format("{}-{}in{}", kind.service, six ? 6 : 4,
                                                           out6 ? 6 : 4)});
                }
    return rows;
}

std::vector<Case> plain_source() {
    const Packet ip = ip4() / tcp() / payload(8);
    const Packet ip_gue = ip4() / tcp({.dport = 81}) / payload(8);
    return {
        {.name = "without_tunnel_source_the_address_of_the_hop",
         .config = "plain_source.yaml",
         .in = eth() / ip,
         .want = tx(Reason::FORWARDED,
                    link_to("10.0.0.5") /
                        ip4({.src = "10.0.0.1", .dst = "10.0.0.5", .id = 0, .df = true}) / ip)},
        {.name = "without_tunnel_source_flow_label_and_port_still_differ",
         .config = "plain_source.yaml",
         .in = eth() / ip_gue,
         .want = tx(Reason::FORWARDED,
                    link_to("fd00::5") /
                        ip6({.src = "fd00::1", .dst = "fd00::5", .entropy_flow = true}) /
                        udp({.dport = 6080, .entropy = true}) / gue() / ip_gue)},
    };
}

std::uint16_t word_at(const Bytes& bytes, std::size_t at) {
    return static_cast<std::uint16_t>((bytes[at] << 8) | bytes[at + 1]);
}

TEST(Entropy, OuterHeadersDifferAsFlowsDo) {
    Bench& bench = bench_for("forward.yaml");
    std::set<std::uint8_t> hosts;
    std::set<std::uint16_t> ports;
    std::set<std::uint32_t> labels;
    std::set<Bytes> sources6;
    constexpr std::uint16_t kFlows = 4000;
    for (std::uint16_t flow = 0; flow < kFlows; ++flow) {
        const auto port = static_cast<std::uint16_t>(1024 + flow);
        const auto four = test_run(bench.generation().program_fd(),
                                   (eth() / ip4() / udp({.sport = port, .dport = 1034})).bytes());
        const auto six = test_run(bench.generation().program_fd(),
                                  (eth() / ip4() / udp({.sport = port, .dport = 1036})).bytes());
        ASSERT_TRUE(four && six);
        ASSERT_EQ(four->verdict, Verdict::tx);
        hosts.insert(four->frame[29]);
        ports.insert(word_at(four->frame, 34));
        EXPECT_GE(word_at(four->frame, 34), 49152) << "RFC 6335: dynamic ports";
        labels.insert((six->frame[15] & 0xfU) << 16 | word_at(six->frame, 16));
        sources6.insert(Bytes(six->frame.begin() + 30, six->frame.begin() + 38));
    }
    // Of n drawn at random from m values, m(1 - e^(-n/m)) are met.
    EXPECT_EQ(hosts.size(), 256U);
    EXPECT_GT(ports.size(), 3400U);
    EXPECT_GT(labels.size(), 3900U);
    EXPECT_EQ(sources6.size(), kFlows);
}

TEST(Entropy, OneFlowKeepsOneOuterHeader) {
    Bench& bench = bench_for("forward.yaml");
    std::set<Bytes> headers;
    for (std::uint32_t seq = 0; seq < 100; ++seq) {
        const Packet packet = eth() / ip4({.id = static_cast<std::uint16_t>(seq)}) /
                              tcp({.dport = 1034, .seq = seq, .flags = kAck}) / payload(10);
        const auto run = test_run(bench.generation().program_fd(), packet.bytes());
        ASSERT_TRUE(run);
        headers.insert(Bytes(run->frame.begin(), run->frame.begin() + 46));
    }
    EXPECT_EQ(headers.size(), 1U);
}

SLC_PACKET_TABLE(DscpAndEcn, dscp_and_ecn());
SLC_PACKET_TABLE(PlainSource, plain_source());

}  // namespace
}  // namespace sluice::packet
