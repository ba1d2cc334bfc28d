// SPDX-License-Identifier: Apache-2.0
//
// What is counted of a packet beside its reason, which every row of the tables checks: by which
// interface it came, for which service it was dropped, and who sent it.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <vector>

#include "sluice/types.h"
#include "tests/packet/harness.h"

namespace sluice::packet {
namespace {

template <typename Value>
std::vector<Value> row(int fd, std::uint32_t index) {
    std::vector<Value> out(static_cast<std::size_t>(::libbpf_num_possible_cpus()));
    EXPECT_EQ(::bpf_map_lookup_elem(fd, &index, out.data()), 0);
    return out;
}

std::uint64_t packets_of(const Bench& bench, const char* map, std::uint32_t index) {
    std::uint64_t sum = 0;
    for (const auto& each : row<slc_counter>(bench.state_fd(map), index)) sum += each.packets;
    return sum;
}

std::unique_ptr<Bench> small(std::uint8_t sample_log2 = 20) {
    auto opened = Bench::open("small.yaml");
    EXPECT_TRUE(opened) << opened.error().what;
    if (!opened) return nullptr;
    auto bench = Bench::from((*opened)->config(), {.spoil = [sample_log2](plan::Image& image) {
                                 image.node.sample_log2 = sample_log2;
                             }});
    EXPECT_TRUE(bench) << bench.error().what;
    return bench ? std::move(*bench) : nullptr;
}

TEST(Counters, TellVerdictsOfAnInterface) {
    const auto bench = small(0);
    ASSERT_TRUE(bench);
    const auto sent = (eth() / ip4() / tcp()).bytes();
    (void)bench->run(sent);
    (void)bench->run((eth() / ip4() / tcp({.flags = 0})).bytes());
    (void)bench->run((eth() / ip4({.dst = "192.0.2.99"}) / tcp()).bytes());
    const std::uint32_t ifindex = bench->newest_sample()->ifindex;
    const kernel::InterfaceCounts counts =
        bench->state().interfaces().at(ifindex % SLC_INTERFACE_ROWS);
    EXPECT_EQ(counts.dropped.packets, 1U);
    EXPECT_EQ(counts.passed.packets, 1U);
    EXPECT_EQ(counts.sent.packets, 1U);
    EXPECT_EQ(counts.sent.bytes, sent.size());
}

TEST(Counters, TellDropsOfAServiceByReason) {
    auto opened = Bench::open("small.yaml");
    ASSERT_TRUE(opened);
    const auto bench = Bench::from((*opened)->config(), {.spoil = [](plan::Image& image) {
                                       for (auto& slot : image.slots) slot = 0;
                                   }});
    ASSERT_TRUE(bench) << bench.error().what;
    const Outcome got = (*bench)->run((eth() / ip4() / tcp()).bytes());
    ASSERT_EQ(got.run.verdict, Verdict::drop);
    const std::uint32_t service = (*bench)->newest_sample()->rec.service;
    ASSERT_NE(service, 0U);
    for (std::uint32_t at = 0; at < SLC_DROP_ROWS; ++at)
        EXPECT_EQ(packets_of(**bench, "slc_drop_counters", service * SLC_DROP_ROWS + at),
                  at == 1 ? 1U : 0U)
            << at;
}

/// All ways in use, of all CPUs.
std::vector<slc_talker> talkers(const Bench& bench) {
    std::vector<slc_talker> out;
    for (std::uint32_t at = 0; at < SLC_TALKER_BUCKETS; ++at)
        for (const auto& bucket : row<slc_talker_bucket>(bench.state_fd("slc_talkers"), at))
            for (const slc_talker& talker : bucket.way)
                if (talker.packets > 0) out.push_back(talker);
    return out;
}

TEST(Talkers, AreCountedByTheSamplesTheyMake) {
    const auto bench = small(3);
    ASSERT_TRUE(bench);
    const auto packet = (eth() / ip4({.src = "198.51.100.77"}) / tcp()).bytes();
    for (int i = 0; i < 80; ++i) (void)bench->run(packet);
    const auto found = talkers(*bench);
    std::uint64_t packets = 0;
    for (const slc_talker& talker : found) {
        EXPECT_EQ(ntohl(talker.addr_be[3]), 0xc633644dU);
        EXPECT_NE(talker.service, 0U);
        packets += talker.packets;
    }
    EXPECT_EQ(packets, 80U) << "ten samples of eight";
}

TEST(Talkers, WhoSendsMuchStaysWhateverOthersSend) {
    const auto bench = small(0);
    ASSERT_TRUE(bench);
    const auto heavy = (eth() / ip4({.src = "198.51.100.77"}) / tcp()).bytes();
    for (int i = 0; i < 6000; ++i) {
        const std::string other =
            "203.0." + std::to_string(i / 250 % 250) + "." + std::to_string(i % 250 + 1);
        (void)bench->run(heavy);
        (void)bench->run((eth() / ip4({.src = other.c_str()}) / tcp()).bytes());
    }
    std::uint64_t packets = 0;
    for (const slc_talker& talker : talkers(*bench))
        if (ntohl(talker.addr_be[3]) == 0xc633644dU) packets += talker.packets;
    EXPECT_GE(packets, 5900U);
}

}  // namespace
}  // namespace sluice::packet
