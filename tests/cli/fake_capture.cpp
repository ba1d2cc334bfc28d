// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_capture.h"

#include <algorithm>
#include <span>
#include <utility>

#include "packet/notation.h"

namespace sluice::test {
namespace {

std::vector<std::uint8_t> built(const std::string& notation) {
    auto frame = packet::build(notation);
    return frame ? std::move(*frame) : std::vector<std::uint8_t>();
}

/// What the data plane would have put behind the event.
std::span<const std::byte> cut(const std::vector<std::uint8_t>& frame, std::uint32_t len) {
    return std::as_bytes(std::span(frame)).first(std::min<std::size_t>(frame.size(), len));
}

slc_exit_record decision(slc_verdict verdict, slc_stage stage, slc_reason reason,
                         std::uint32_t service, std::uint32_t member) {
    slc_exit_record out{};
    out.verdict = static_cast<slc_u8>(verdict);
    out.stage = static_cast<slc_u8>(stage);
    out.reason = static_cast<slc_u16>(reason);
    out.service = service;
    out.member = member;
    return out;
}

void add_fixed(FakeTap& tap) {
    const auto put = [&tap](const std::string& in, const std::string& out,
                            const slc_exit_record& rec, std::uint32_t ifindex) -> slc_tap_event& {
        slc_tap_event& event = tap.add(in, out).event;
        const std::uint32_t len = event.rec.len;
        event.rec = rec;
        event.rec.len = len;
        event.ifindex = ifindex;
        event.queue = ifindex - 1;
        return event;
    };
    const std::string syn = "tcp 198.51.100.7:1234 > 192.0.2.10:80 syn";
    put(syn, "ipip 10.0.0.1 > 10.0.0.5 { " + syn + " }",
        decision(SLC_VERDICT_TX, SLC_STAGE_FORWARD, SLC_REASON_FORWARDED, 1, 1), 2)
        .rec.customer = 1;
    put("tcp 198.51.100.8:1234 > 192.0.2.10:81 syn", "",
        decision(SLC_VERDICT_DROP, SLC_STAGE_SERVICE, SLC_REASON_NO_SUCH_PORT, 0, 0), 2)
        .rec.policy = 1;
    put("udp 198.51.100.9:53 > 203.0.113.1:1234 len=700",
        "udp 198.51.100.9:53 > 203.0.113.1:1234 len=700",
        decision(SLC_VERDICT_PASS, SLC_STAGE_SERVICE, SLC_REASON_NOT_OURS, 0, 0), 3);
    const std::string ack = "tcp [2001:db8::7]:1234 > [2001:db8:a::10]:80 ack";
    slc_tap_event& last =
        put(ack, "ipip 2001:db8:f::1 > 2001:db8:1::7 { " + ack + " }",
            decision(SLC_VERDICT_REDIRECT, SLC_STAGE_FORWARD, SLC_REASON_FORWARDED, 2, 77), 2);
    last.generation = 8;
    tap.counts.matched += 17;
    tap.counts.seen += 17;
    tap.counts.lost += 17;
}

bool is_asked(const control::CaptureRequest& request, std::uint8_t verdict) {
    static constexpr const char* kLabels[] = {"drop", "pass", "tx", "redirect"};
    return request.verdicts.empty() ||
           std::ranges::find(request.verdicts, kLabels[verdict & 3]) != request.verdicts.end() ||
           (verdict >= SLC_VERDICT_TX &&
            std::ranges::find(request.verdicts, "forward") != request.verdicts.end());
}

}  // namespace

std::shared_ptr<observe::Names> FakeTap::names_of(std::uint32_t generation) {
    auto out = std::make_shared<observe::Names>();
    out->generation = out->pinned = generation;
    return out;
}

FakePacket& FakeTap::add(const std::string& in, const std::string& out) {
    ++counts.seen;
    ++counts.matched;
    FakePacket& packet = packets.emplace_back();
    packet.in = built(in);
    packet.out = out.empty() ? std::vector<std::uint8_t>() : built(out);
    slc_tap_event& event = packet.event;
    event.number = counts.matched;
    event.time_ns = counts.matched * 1'001'001;
    event.ifindex = 2;
    event.generation = 7;
    event.in_len = event.in_cap = event.rec.len = static_cast<slc_u32>(packet.in.size());
    event.out_len = event.out_cap = static_cast<slc_u32>(packet.out.size());
    return packet;
}

std::size_t FakeCapture::read(std::size_t limit, const OnEvent& on_event) {
    std::size_t count = 0;
    for (; count < limit && !tap_->packets.empty() && !is_swap_next(); ++count) {
        const FakePacket packet = std::move(tap_->packets.front());
        tap_->packets.pop_front();
        on_event(packet.event, cut(packet.in, packet.event.in_cap),
                 cut(packet.out, packet.event.out_cap));
    }
    return count;
}

bool FakeCapture::is_swap_next() const {
    return tap_->next_names && !tap_->packets.empty() &&
           tap_->packets.front().event.generation == tap_->next_names->pinned;
}

std::shared_ptr<const observe::Names> FakeCapture::names() const {
    if (is_swap_next()) tap_->names = std::exchange(tap_->next_names, nullptr);
    return tap_->names;
}

std::string FakeCapture::ended() const {
    if (tap_->is_dry && tap_->packets.empty()) return "nothing more will come";
    return tap_->ended;
}

Result<std::unique_ptr<control::CaptureSession>> fake_capture(
    const control::CaptureRequest& request) {
    for (const std::string& service : request.services)
        if (service == "wob")
            return fail(Errc::not_found, "no service 'wob'", "sluice service list shows them all");
    auto tap = std::make_shared<FakeTap>();
    tap->is_dry = true;
    tap->next_names = FakeTap::names_of(8);
    for (const auto& names : {tap->names, tap->next_names}) {
        names->services = {{1, "web"}, {2, "web6"}};
        names->backends = {{1, "web/10.0.0.5"}};
        names->customers = {{1, "acme"}};
        names->policies = {{1, "strict"}};
        names->interfaces = {{2, "eth0"}, {3, "eth1"}};
    }
    add_fixed(*tap);
    std::erase_if(tap->packets, [&](const FakePacket& packet) {
        return !is_asked(request, packet.event.rec.verdict);
    });
    std::uint64_t number = 0;
    for (FakePacket& packet : tap->packets) {
        number += packet.event.generation == 8 ? tap->counts.lost + 1 : 1;
        packet.event.number = number;
        packet.event.in_cap = std::min(packet.event.in_cap, request.snap);
        packet.event.out_cap = std::min(packet.event.out_cap, request.snap);
    }
    tap->counts.matched = tap->packets.size() + tap->counts.lost;
    return std::unique_ptr<control::CaptureSession>(std::make_unique<FakeCapture>(std::move(tap)));
}

}  // namespace sluice::test
