// SPDX-License-Identifier: Apache-2.0
//
// Which packets are sampled, and what is kept. That it is the packet as received, whatever became
// of it, is checked with every row of the tables (twin_check.h).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/packet/harness.h"

namespace sluice::packet {
namespace {

std::unique_ptr<Bench> sampling(std::uint8_t log2) {
    auto opened = Bench::open("small.yaml");
    EXPECT_TRUE(opened) << opened.error().what;
    if (!opened) return nullptr;
    auto bench =
        Bench::from((*opened)->config(),
                    {.spoil = [log2](plan::Image& image) { image.node.sample_log2 = log2; }});
    EXPECT_TRUE(bench) << bench.error().what;
    return bench ? std::move(*bench) : nullptr;
}

/// How many samples there are of each reason: regular ones, or those beside them.
std::map<std::string, int> counted(const Bench& bench, bool is_extra = false) {
    std::map<std::string, int> out;
    for (const slc_sample& sample : bench.samples())
        if (((sample.flags & SLC_SAMPLE_EXTRA) != 0) == is_extra)
            ++out[label_of(static_cast<Reason>(sample.rec.reason))];
    return out;
}

TEST(Sampler, KeepsOnePacketOfSoManyForEachReason) {
    const auto bench = sampling(4);
    ASSERT_TRUE(bench);
    for (int i = 0; i < 100; ++i) {
        (void)bench->run(
            (eth() / ip4() / tcp({.sport = static_cast<std::uint16_t>(i + 1)})).bytes());
        if (i % 3 == 0) (void)bench->run((eth() / ip4() / tcp({.flags = 0})).bytes());
    }
    // A rare reason is counted for itself: 34 packets are two samples, however many others pass.
    const std::map<std::string, int> want{{"forwarded", 6}, {"tcp_flags_invalid", 2}};
    EXPECT_EQ(counted(*bench), want);
    (void)bench->run((eth() / ip4({.dst = "192.0.2.99"}) / tcp()).bytes());
    EXPECT_EQ(counted(*bench), want);
}

TEST(Sampler, SeesADropThatIsRare) {
    const auto bench = sampling(20);
    ASSERT_TRUE(bench);
    (void)bench->run((eth() / ip4() / tcp({.flags = 0})).bytes());
    (void)bench->run((eth() / ip4() / tcp()).bytes());
    (void)bench->run((eth() / ip4({.dst = "192.0.2.99"}) / tcp()).bytes());
    const std::map<std::string, int> want{{"tcp_flags_invalid", 1}};
    EXPECT_EQ(counted(*bench, true), want) << "and nothing that was no drop";
    EXPECT_TRUE(counted(*bench).empty());
}

TEST(Sampler, WritesAFloodOfOneReasonDownOnlyNowAndThen) {
    constexpr int kPackets = 2000;
    const auto bench = sampling(20);
    ASSERT_TRUE(bench);
    for (int i = 0; i < kPackets; ++i)
        (void)bench->run((eth() / ip4() / tcp({.flags = 0})).bytes());
    const int extra = counted(*bench, true).at("tcp_flags_invalid");
    EXPECT_GE(extra, 1);
    EXPECT_LT(extra, kPackets / 4);
}

TEST(Sampler, TheOldestGiveWay) {
    constexpr std::uint64_t kPackets = SLC_SAMPLES_PER_CPU + 44;
    const auto bench = sampling(0);
    ASSERT_TRUE(bench);
    for (std::uint64_t i = 0; i < kPackets; ++i)
        (void)bench->run((eth() / ip4() / tcp({.seq = static_cast<std::uint32_t>(i)})).bytes());
    const std::vector<slc_sample> samples = bench->samples();
    ASSERT_EQ(samples.size(), std::size_t{SLC_SAMPLES_PER_CPU});
    for (std::size_t i = 0; i < samples.size(); ++i) {
        EXPECT_EQ(samples[i].seq, i + 45) << "oldest first";
        EXPECT_EQ(samples[i].data[27], (i + 44) & 0xff) << "the sequence number that was sent";
    }
}

TEST(Sampler, SaysWhatBecameOfThePacket) {
    const auto bench = sampling(0);
    ASSERT_TRUE(bench);
    const Packet packet = eth() / ip4() / tcp() / payload(4000);
    const Outcome got = bench->run(packet.bytes());
    const auto sample = bench->newest_sample();
    ASSERT_TRUE(sample);
    EXPECT_EQ(got.run.verdict, Verdict::tx);
    EXPECT_EQ(sample->rec.verdict, SLC_VERDICT_TX);
    EXPECT_EQ(sample->rec.stage, SLC_STAGE_FORWARD);
    EXPECT_EQ(sample->rec.famproto, std::uint32_t{SLC_FAMPROTO_IP4_TCP});
    EXPECT_EQ(sample->rec.len, packet.bytes().size());
    EXPECT_NE(sample->rec.service, 0U);
    EXPECT_NE(sample->rec.member, 0U);
    EXPECT_EQ(sample->hash, static_cast<std::uint32_t>(
                                bench->hash_of(*flow_of(packet), config::Affinity::five_tuple)));
    EXPECT_EQ(sample->cap_len, SLC_SAMPLE_LEN);
    EXPECT_NE(sample->time_ns, 0U);
    EXPECT_NE(sample->ifindex, 0U);
}

TEST(Sampler, IsNotThereWhenNobodyAskedForIt) {
    auto opened = Bench::open("small.yaml");
    ASSERT_TRUE(opened);
    const auto bench = Bench::from((*opened)->config(), {.spoil = [](plan::Image& image) {
                                       image.node.features &= ~SLC_FEATURE_SAMPLE;
                                   }});
    ASSERT_TRUE(bench) << bench.error().what;
    EXPECT_EQ((*bench)->run((eth() / ip4() / tcp()).bytes()).run.verdict, Verdict::tx);
    EXPECT_TRUE((*bench)->samples().empty());
    const auto size = [](Bench& each) {
        for (const auto& program : each.generation().programs())
            if (program.name == "slc_lb") return program.instructions;
        return 0U;
    };
    EXPECT_LT(size(**bench), size(**opened));
}

}  // namespace
}  // namespace sluice::packet
