// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/twin_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "plan/reasons.h"
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
    return reason == SLC_REASON_ECHO_REPLIED || reason == SLC_REASON_DECAPSULATED ||
           reason == SLC_REASON_REJECTED_RESET;
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
    // Padding of Ethernet may be off, and is not quoted.
    const std::size_t most = std::min<std::size_t>(in.size() - *l3, SLC_SAMPLE_LEN);
    const bool is_quote = sample.rec.reason == SLC_REASON_REJECTED_UNREACHABLE;
    const std::size_t least = std::min<std::size_t>(most, is_quote ? 28 : 46);
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

namespace {

/// Rows that are about a limit of rate which has been reached. An explanation says of them what the
/// packet would find before, and names that it does.
constexpr const char* kOfRate[] = {
    "second_ping_at_one_a_second",
    "second_ping_of_ipv6_at_one_a_second",
    "second_answer_at_one_a_second",
    "second_answer_of_ipv6_at_one_a_second",
    "second_reset_at_one_a_second",
    "datagram_behind_a_reset_at_one_a_second",
    "reset_behind_a_datagram_at_one_a_second",
    "reset_of_ipv6_behind_one_at_one_a_second",
};

proof::WalkScene scene_of(const Bench& bench) {
    const auto& image = bench.image();
    proof::WalkScene out{bench.config(), {}};
    out.names.service = [&](std::uint32_t id) -> std::string {
        for (std::size_t i = 0; i < image.service_ids.size(); ++i)
            if (image.service_ids[i] == id) return bench.config().services[i].name;
        return {};
    };
    const auto member = [&image](std::uint32_t id) {
        return std::find_if(image.members.begin(), image.members.end(),
                            [id](const auto& each) { return each.id == id; });
    };
    out.names.backend = [&image, member](std::uint32_t id) -> std::optional<IpAddress> {
        const auto found = member(id);
        return found == image.members.end() ? std::nullopt : std::optional(found->address);
    };
    out.names.member = [&bench, &image, member](std::uint32_t id) -> std::string {
        const auto found = member(id);
        return found == image.members.end()
                   ? std::string()
                   : bench.config().groups[found->group].name + "/" + found->address.text();
    };
    out.customer = out.policy =
        out.interface = [](std::uint32_t id) { return "number " + std::to_string(id); };
    out.generation = 1;
    out.came_by = "number 1";
    out.entry = "received by number 1";
    return out;
}

bool is_of_rate(const std::string& row) {
    return std::find(std::begin(kOfRate), std::end(kOfRate), row) != std::end(kOfRate);
}

}  // namespace

Result<proof::Walk> explanation(Bench& bench, const Bytes& in) {
    kernel::Twin* const twin = SLC_TRY(bench.twin(), "twin");
    proof::TraceRequest request{in, 0, clock_ns(), &bench.flows(), {}};
    request.prepare = [&]() -> Result<void> {
        SLC_CHECK(twin->clear_state(), "clear");
        twin->copy_live(bench.generation());
        return twin->copy_frags(bench.state());
    };
    const auto scene = scene_of(bench);
    const proof::Trace trace = SLC_TRY(proof::trace(*twin, request, scene), "trace");
    return proof::walk_of(trace, scene);
}

void check_explanation(const Bench& bench, const Case& row, const Result<proof::Walk>& walk,
                       const RunResult& live) {
    ASSERT_TRUE(walk) << walk.error().what;
    const auto sample = bench.newest_sample();
    ASSERT_TRUE(sample);
    if (is_of_rate(row.name)) {
        EXPECT_NE(walk->reason, plan::reason_label(sample->rec.reason));
        EXPECT_FALSE(walk->assumptions.empty());
        return;
    }
    EXPECT_EQ(walk->verdict, plan::verdict_label(sample->rec.verdict));
    EXPECT_EQ(walk->stage, plan::stage_label(sample->rec.stage));
    EXPECT_EQ(walk->reason, plan::reason_label(sample->rec.reason));
    const auto scene = scene_of(bench);
    EXPECT_EQ(walk->service,
              sample->rec.service != 0 ? scene.names.service(sample->rec.service) : "");
    EXPECT_EQ(walk->backend, sample->rec.member != 0 ? scene.names.member(sample->rec.member) : "");
    const bool is_drop = live.verdict == Verdict::drop;
    EXPECT_TRUE(walk->out == (is_drop ? Bytes() : live.frame)) << diff(live.frame, walk->out);
    ASSERT_FALSE(walk->steps.empty());
    EXPECT_EQ(walk->steps.front().stage, "entry");
    EXPECT_EQ(walk->steps.back().stage, "exit");
    EXPECT_TRUE(walk->steps.back().text.ends_with(walk->text)) << walk->steps.back().text;
    for (const auto& step : walk->steps) EXPECT_FALSE(step.text.empty()) << step.stage;
}

}  // namespace sluice::packet
