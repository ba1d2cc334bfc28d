// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/twin_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "sluice/hash.h"
#include "tests/packet/dissect.h"

namespace sluice::packet {
namespace {

/// What the data plane reads as its clock.
std::uint64_t clock_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint16_t type_at(const Bytes& frame, std::size_t offset) {
    return static_cast<std::uint16_t>(frame[offset] << 8 | frame[offset + 1]);
}

/// Where the IP header starts, or nothing in a frame whose link is not read to its end.
std::optional<std::size_t> l3_of(const Bytes& frame) {
    std::size_t at = 14;
    for (int tags = 0; at <= frame.size(); ++tags, at += 4) {
        const std::uint16_t type = type_at(frame, at - 2);
        if (type != 0x8100 && type != 0x88a8) return at;
        if (tags == SLC_MAX_VLANS) return {};
    }
    return {};
}

/// Whether nothing of the packet that was received is left in the frame.
bool is_gone(std::uint16_t reason) {
    return reason == SLC_REASON_ECHO_REPLIED || reason == SLC_REASON_DECAPSULATED;
}

int verdict_of(Verdict action) {
    switch (action) {
        case Verdict::pass:
            return SLC_VERDICT_PASS;
        case Verdict::tx:
            return SLC_VERDICT_TX;
        case Verdict::redirect:
            return SLC_VERDICT_REDIRECT;
        default:
            return SLC_VERDICT_DROP;
    }
}

void check_data(const slc_sample& sample, const Bytes& in) {
    const auto l3 = l3_of(in);
    if (!l3 || *l3 >= in.size() || is_gone(sample.rec.reason)) {
        EXPECT_EQ(sample.cap_len, 0);
        return;
    }
    // Padding of Ethernet may be off.
    const std::size_t most = std::min<std::size_t>(in.size() - *l3, SLC_SAMPLE_LEN);
    const std::size_t least = std::min<std::size_t>(most, 46);
    ASSERT_GE(sample.cap_len, least);
    ASSERT_LE(sample.cap_len, most);
    EXPECT_EQ(__builtin_bswap16(sample.proto_be), type_at(in, *l3 - 2));
    const Bytes want(in.begin() + static_cast<long>(*l3),
                     in.begin() + static_cast<long>(*l3 + sample.cap_len));
    const Bytes kept(sample.data, sample.data + sample.cap_len);
    EXPECT_EQ(kept, want) << "sampled";
}

/// The slot that is told is the one of the hash that is told.
void check_slot(Bench& bench, const slc_proof& answer) {
    if (answer.slot_word == 0) return;
    const auto rings = bench.generation().rings();
    ASSERT_LT(answer.ring, rings.size());
    const std::uint64_t ring = rings[answer.ring];
    EXPECT_EQ(answer.slot, SLC_RING_OFFSET(ring) + slc_slot_of(answer.hash, SLC_RING_LOG2(ring)));
}

/// The cell that is told holds what the frame begins with: the link to the member.
void check_cell(Bench& bench, const slc_proof& answer, const Bytes& frame) {
    const bool left =
        answer.rec.verdict == SLC_VERDICT_TX || answer.rec.verdict == SLC_VERDICT_REDIRECT;
    EXPECT_EQ(answer.cell != 0, left && answer.rec.stage == SLC_STAGE_FORWARD);
    if (answer.cell == 0) return;
    const auto templates = bench.generation().templates();
    ASSERT_LT(answer.cell, templates.size());
    const slc_template& header = templates[answer.cell];
    ASSERT_LE(header.len, frame.size());
    EXPECT_EQ(std::memcmp(header.hdr, frame.data(), header.l2_len), 0);
}

}  // namespace

Result<kernel::TwinAnswer> answer_of_twin(Bench& bench, const Case& row) {
    kernel::Twin* const twin = SLC_TRY(bench.twin(), row.name);
    for (const Packet& packet : row.before)
        SLC_TRY(twin->run(packet.bytes(), clock_ns()), row.name);
    return twin->run(row.in.bytes(), clock_ns());
}

void check_sample(const Bench& bench, const Bytes& in, const RunResult& live) {
    const auto sample = bench.newest_sample();
    ASSERT_TRUE(sample);
    EXPECT_EQ(sample->rec.verdict, verdict_of(live.verdict));
    EXPECT_EQ(sample->rec.len, in.size());
    check_data(*sample, in);
}

void check_twin(Bench& bench, const Result<kernel::TwinAnswer>& twin, const RunResult& live) {
    ASSERT_TRUE(twin) << twin.error().what;
    const slc_proof& answer = twin->answer;
    const auto sample = bench.newest_sample();
    ASSERT_TRUE(sample);
    EXPECT_EQ(twin->action, static_cast<int>(live.verdict));
    EXPECT_EQ(std::memcmp(&answer.rec, &sample->rec, sizeof answer.rec), 0)
        << "twin: reason " << answer.rec.reason << ", service " << answer.rec.service << ", member "
        << answer.rec.member << "; live: reason " << sample->rec.reason << ", service "
        << sample->rec.service << ", member " << sample->rec.member;
    if (live.verdict != Verdict::drop) {
        EXPECT_TRUE(twin->frame == live.frame) << diff(live.frame, twin->frame);
    }
    if (answer.hash != 0) {
        EXPECT_EQ(sample->hash, static_cast<std::uint32_t>(answer.hash));
    }
    check_slot(bench, answer);
    check_cell(bench, answer, twin->frame);
}

}  // namespace sluice::packet
