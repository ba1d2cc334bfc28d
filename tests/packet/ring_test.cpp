// SPDX-License-Identifier: Apache-2.0
//
// The slot that the data plane chooses is the one that user space computes, for thousands of random
// flows; what an affinity leaves out does not count; weights come true.
#include <fmt/format.h>

#include <map>
#include <random>
#include <set>

#include "tests/packet/dissect.h"
#include "tests/packet/harness.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "affinity.yaml";

IpAddress random_source(std::mt19937_64& random, bool six) {
    IpAddress address;
    address.is_ip6 = six;
    for (std::size_t i = 0; i < (six ? 16U : 4U); ++i)
        address.bytes[i] = static_cast<std::uint8_t>(random());
    // An address that a sender may have.
    address.bytes[0] = six ? 0x20 : static_cast<std::uint8_t>(1 + random() % 100);
    return address;
}

Flow random_flow(std::mt19937_64& random, bool six, std::uint16_t port) {
    return {.src = random_source(random, six),
            .dst = six ? kVip6 : kVip4,
            .sport = static_cast<std::uint16_t>(random()),
            .dport = port,
            .proto = static_cast<std::uint8_t>(random() % 2 == 0 ? 6 : 17)};
}

Packet packet_of(const Flow& flow) {
    const Packet ip = flow.src.is_ip6 ? ip6({.src = flow.src, .dst = flow.dst})
                                      : ip4({.src = flow.src, .dst = flow.dst});
    return eth() / ip /
           (flow.proto == 6 ? tcp({.sport = flow.sport, .dport = flow.dport})
                            : udp({.sport = flow.sport, .dport = flow.dport}));
}

/// The backend that a packet was sent to, or what happened to it.
std::string backend_of(Bench& bench, const Packet& packet) {
    const auto run = test_run(bench.generation().program_fd(), packet.bytes());
    if (!run || run->verdict != Verdict::tx) return "not sent";
    const auto destination = destination_of(run->frame);
    return destination ? destination->text() : "unreadable";
}

struct Service {
    const char* name;
    std::uint16_t port;
    bool six;
};

constexpr Service kServices[] = {
    {"tuple-4", 3001, false},       {"tuple-6", 3001, true},
    {"source-4", 3002, false},      {"source-6", 3002, true},
    {"source-port-4", 3003, false}, {"source-port-6", 3003, true},
    {"rendezvous-4", 3004, false},  {"rendezvous-6", 3004, true},
    {"weights", 3005, false},       {"weights-rendezvous", 3006, false},
};

TEST(Ring, DataPlaneAndUserSpaceChooseTheSameBackend) {
    Bench& bench = bench_for(kConfig);
    std::mt19937_64 random(1);
    for (const Service& service : kServices)
        for (int i = 0; i < 2000; ++i) {
            const Flow flow = random_flow(random, service.six, service.port);
            const std::string owner =
                bench.owner_of(service.name, bench.hash_of(flow, bench.affinity_of(service.name)));
            ASSERT_EQ(backend_of(bench, packet_of(flow)), owner)
                << service.name << " from " << flow.src.text() << " port " << flow.sport;
        }
}

/// An ICMP error comes to the backend whose packet it quotes, whatever the flow.
TEST(Ring, ErrorsFollowTheFlowsTheyQuote) {
    Bench& bench = bench_for(kConfig);
    std::mt19937_64 random(2);
    for (const Service& service : kServices)
        for (int i = 0; i < 300; ++i) {
            const Flow flow = random_flow(random, service.six, service.port);
            const Packet from_backend =
                (service.six ? ip6({.src = flow.dst, .dst = flow.src})
                             : ip4({.src = flow.dst, .dst = flow.src})) /
                (flow.proto == 6 ? tcp({.sport = flow.dport, .dport = flow.sport})
                                 : udp({.sport = flow.dport, .dport = flow.sport}));
            const Packet error =
                service.six
                    ? eth() / ip6({.src = "2001:db8:f::1"}) / icmp6({.type = 2, .rest = 1280}) /
                          quote(from_backend, 48)
                    : eth() / ip4({.src = "203.0.113.1"}) /
                          icmp4({.type = 3, .code = 4, .rest = 1280}) / quote(from_backend, 28);
            ASSERT_EQ(backend_of(bench, error), backend_of(bench, packet_of(flow))) << service.name;
        }
}

TEST(Ring, AffinityLeavesOutWhatMustNotCount) {
    Bench& bench = bench_for(kConfig);
    std::mt19937_64 random(3);
    for (const bool six : {false, true})
        for (int i = 0; i < 200; ++i) {
            const Flow flow = random_flow(random, six, 3002);
            std::set<std::string> by_source, by_port, by_tuple;
            for (int j = 0; j < 20; ++j) {
                Flow other = flow;
                other.sport = static_cast<std::uint16_t>(random());
                other.proto = j % 2 == 0 ? 6 : 17;
                by_source.insert(backend_of(bench, packet_of(other)));
                other.dport = 3001;
                by_tuple.insert(backend_of(bench, packet_of(other)));
                other.sport = flow.sport;
                other.dport = 3003;
                by_port.insert(backend_of(bench, packet_of(other)));
            }
            ASSERT_EQ(by_source.size(), 1U) << "source affinity, one source";
            ASSERT_EQ(by_port.size(), 1U) << "source and port, both protocols";
            ASSERT_GT(by_tuple.size(), 1U) << "twenty flows of one source";
        }
}

TEST(Ring, WeightsAreTheSharesOfFlows) {
    Bench& bench = bench_for(kConfig);
    std::mt19937_64 random(4);
    for (const std::uint16_t port : {3005, 3006}) {
        std::map<std::string, int> count;
        constexpr int kFlows = 16000;
        for (int i = 0; i < kFlows; ++i)
            ++count[backend_of(bench, packet_of(random_flow(random, false, port)))];
        EXPECT_EQ(count.size(), 3U);
        // 256 slots by rendezvous are within a quarter; the rest is the draw of flows.
        EXPECT_NEAR(count["10.0.0.33"] * 8.0 / kFlows, 1.0, 0.35) << port;
        EXPECT_NEAR(count["10.0.0.34"] * 8.0 / kFlows, 2.0, 0.3) << port;
        EXPECT_NEAR(count["10.0.0.35"] * 8.0 / kFlows, 5.0, 0.4) << port;
    }
}

TEST(Ring, AStoredSlotMovesItsFlowsAtOnce) {
    auto opened = Bench::open(kConfig);
    ASSERT_TRUE(opened) << opened.error().what;
    Bench& bench = **opened;
    std::mt19937_64 random(5);
    const Flow flow = random_flow(random, false, 3001);
    const std::string before = backend_of(bench, packet_of(flow));
    for (const plan::ImageMember& member : bench.image().members) {
        // All slots of all rings: to this member, then look.
        if (member.group != bench.image().members.front().group) continue;
        for (std::uint64_t& slot : bench.generation().slots())
            slot = SLC_SLOT_MAKE(member.id, member.id, 0);
        EXPECT_EQ(backend_of(bench, packet_of(flow)), member.address.text());
    }
    EXPECT_NE(before, "not sent");
}

}  // namespace
}  // namespace sluice::packet
