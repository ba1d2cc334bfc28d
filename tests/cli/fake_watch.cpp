// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_watch.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "packet/notation.h"

namespace sluice::test {
namespace {

constexpr std::uint64_t kFirstNs = 1'000'000'000;
constexpr std::size_t kEthernetLen = 14;

slc_exit_record record(slc_verdict verdict, slc_stage stage, slc_reason reason,
                       std::uint32_t service, std::uint32_t member) {
    slc_exit_record out{};
    out.verdict = static_cast<slc_u8>(verdict);
    out.stage = static_cast<slc_u8>(stage);
    out.reason = static_cast<slc_u16>(reason);
    out.service = service;
    out.member = member;
    return out;
}

slc_exit_record forwarded() {
    return record(SLC_VERDICT_TX, SLC_STAGE_FORWARD, SLC_REASON_FORWARDED, 1, 1);
}

slc_exit_record no_such_port() {
    return record(SLC_VERDICT_DROP, SLC_STAGE_SERVICE, SLC_REASON_NO_SUCH_PORT, 0, 0);
}

/// As an answer of ours: nothing of the packet was kept.
slc_sample answered() {
    slc_sample out =
        fake_sample(4, 30, record(SLC_VERDICT_TX, SLC_STAGE_ICMP, SLC_REASON_ECHO_REPLIED, 0, 0),
                    "icmp 203.0.113.1 > 192.0.2.10 echo-request");
    out.cap_len = 0;
    out.rec.famproto = SLC_FAMPROTO_IP4_ICMP;
    return out;
}

slc_sample rare_drop() {
    slc_exit_record rec = record(SLC_VERDICT_DROP, SLC_STAGE_PICK, SLC_REASON_NO_BACKEND, 2, 0);
    rec.customer = 1;
    rec.policy = 1;
    slc_sample out =
        fake_sample(5, 40, rec, "udp [2001:db8::7]:5353 > [2001:db8:a::10]:443 len=1200");
    out.flags = SLC_SAMPLE_EXTRA;
    out.ifindex = 3;
    out.queue = 1;
    return out;
}

}  // namespace

std::shared_ptr<const observe::Names> fake_names() {
    auto out = std::make_shared<observe::Names>();
    out->generation = 3;
    out->services = {{1, "web"}, {2, "web6"}};
    out->backends = {{1, "web/10.0.0.5"}, {2, "web/10.0.0.6"}};
    out->customers = {{1, "acme"}};
    out->policies = {{1, "strict"}};
    out->interfaces = {{2, "eth0"}, {3, "eth1"}};
    return out;
}

slc_sample fake_sample(std::uint64_t seq, std::uint64_t time_ms, slc_exit_record rec,
                       const std::string& packet) {
    const auto frame = packet::build(packet);
    assert(frame.has_value() && frame->size() > kEthernetLen);
    slc_sample out{};
    out.seq = seq;
    out.time_ns = kFirstNs + time_ms * 1'000'000;
    out.rec = rec;
    out.rec.len = static_cast<slc_u32>(frame->size());
    out.ifindex = 2;
    out.hash = 0x1f2e3d4c;
    std::copy_n(frame->begin() + 12, sizeof out.proto_be,
                reinterpret_cast<std::uint8_t*>(&out.proto_be));
    out.cap_len =
        static_cast<slc_u16>(std::min<std::size_t>(frame->size() - kEthernetLen, SLC_SAMPLE_LEN));
    std::copy_n(frame->begin() + kEthernetLen, out.cap_len, out.data);
    return out;
}

control::SampleBatch fake_samples(control::SampleCursor& cursor) {
    control::SampleBatch out;
    if (cursor.seen.empty()) {
        out.samples = {
            fake_sample(1, 0, forwarded(), "tcp 198.51.100.7:1234 > 192.0.2.10:443 syn"),
            fake_sample(2, 12, forwarded(), "tcp 198.51.100.7:1234 > 192.0.2.10:443 ack len=1400"),
            fake_sample(3, 20, no_such_port(), "tcp 203.0.113.9:40000 > 192.0.2.10:8080 syn"),
            answered(), rare_drop(),
            // Of a service that nobody remembers.
            fake_sample(6, 52,
                        record(SLC_VERDICT_REDIRECT, SLC_STAGE_FORWARD, SLC_REASON_FORWARDED, 9, 2),
                        "tcp 198.51.100.8:2000 > 192.0.2.10:443 fin+ack")};
        cursor.seen = {6};
    } else if (cursor.seen == std::vector<std::uint64_t>{6}) {
        out.lost = 3;
        out.samples = {
            fake_sample(10, 90, no_such_port(), "udp 203.0.113.9:53 > 192.0.2.10:53 len=40")};
        cursor.seen = {10};
    }
    out.cpus.assign(out.samples.size(), 1);
    return out;
}

void add_fake_events(observe::EventLog& log) {
    const auto add = [&log](LogLevel level, const char* name, std::vector<LogField> fields) {
        log.add(level, name, fields);
    };
    add(LogLevel::info, "daemon.starting", {{"version", "1.0"}});
    add(LogLevel::info, "config.applied", {{"generation", "3"}, {"services", "2"}});
    add(LogLevel::info, "daemon.ready", {{"socket", "/run/sluice/sluice.sock"}});
    add(LogLevel::warning, "backend.next_hop",
        {{"address", "10.0.0.5"}, {"state", "unresolved"}, {"why", "no route to 10.0.0.5"}});
    add(LogLevel::error, "config.rejected", {{"error", "2 errors"}, {"hint", ""}});
    add(LogLevel::info, "backend.ordered", {{"backend", "web/10.0.0.5"}, {"state", "drain"}});
}

observe::EventLog::Clock fake_event_clock() {
    using namespace std::chrono_literals;
    return [at = std::chrono::system_clock::time_point(1'767'225'600'123ms)]() mutable {
        at += 1min;
        return at;
    };
}

}  // namespace sluice::test
