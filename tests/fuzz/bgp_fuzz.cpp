// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/bgp_fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "announce/bgp_speaker.h"

namespace sluice::fuzz {
namespace {

using namespace announce;
using namespace std::chrono_literals;

constexpr std::uint32_t kOwnAs = 65001, kPeerAs = 65000;

void require(bool holds, const char* what, ByteView bytes) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    for (const std::uint8_t byte : bytes) std::fprintf(stderr, "%02x", byte);
    std::fprintf(stderr, "\n");
    std::abort();
}

/// Notifications that reading may ask for, with the length of their data.
struct Allowed {
    std::uint8_t code, subcode;
    std::size_t data;
};
constexpr Allowed kAllowed[] = {{1, 1, 0}, {1, 2, 2}, {1, 3, 1}, {2, 0, 0}, {2, 1, 2}, {2, 2, 0},
                                {2, 3, 0}, {2, 4, 0}, {2, 6, 0}, {3, 1, 0}, {3, 10, 0}};

bool is_allowed(const BgpNotification& error) {
    return std::any_of(std::begin(kAllowed), std::end(kAllowed), [&error](const Allowed& one) {
        return one.code == error.code && one.subcode == error.subcode &&
               one.data == error.data.size();
    });
}

/// What the header alone demands: written down a second time, from the RFC.
std::optional<BgpNotification> header_error(ByteView bytes) {
    for (std::size_t i = 0; i < std::min<std::size_t>(16, bytes.size()); ++i)
        if (bytes[i] != 0xff) return BgpNotification{1, 1, {}};
    if (bytes.size() < 19) return std::nullopt;
    const unsigned length = bytes[16] * 256U + bytes[17];
    const unsigned type = bytes[18];
    const BgpNotification bad_length{1, 2, {bytes[16], bytes[17]}};
    if (length < 19 || length > 4096) return bad_length;
    if (type < 1 || type > 5) return BgpNotification{1, 3, {bytes[18]}};
    constexpr unsigned kLeast[] = {0, 29, 23, 21, 19, 23};
    if (length < kLeast[type] || (type >= 4 && length > kLeast[type])) return bad_length;
    return std::nullopt;
}

void check_read(ByteView bytes) {
    const BgpRead read = read_bgp(bytes);
    const auto demanded = header_error(bytes);
    if (demanded) require(read.error == demanded, "the header's own error", bytes);
    if (read.error) {
        require(!read.message, "an error or a message", bytes);
        require(is_allowed(*read.error), "a notification of RFC 4271 section 6", bytes);
        require(!read.error->text().empty(), "words for it", bytes);
    }
    if (read.message) {
        const std::size_t length = bytes[16] * 256U + bytes[17];
        require(read.size == length && length <= bytes.size(), "a whole message", bytes);
        const BgpRead alone = read_bgp(bytes.first(length));
        require(alone.message == read.message && alone.size == length, "the same alone", bytes);
        const BgpRead shorter = read_bgp(bytes.first(length - 1));
        require(!shorter.message && !shorter.error, "nothing before its last byte", bytes);
        if (const auto* open = std::get_if<BgpOpen>(&*read.message)) {
            require(open->as != 0 && open->router_id != 0, "an AS and a router id", bytes);
            require(open->hold_time_s == 0 || open->hold_time_s >= 3, "a hold time", bytes);
        }
    }
    if (!read.error && !read.message) require(read.size == 0, "nothing taken", bytes);
    if (read.error || read.message) {
        Bytes longer(bytes.begin(), bytes.end());
        longer.insert(longer.end(), {0xff, 0x00, 0x17});
        const BgpRead again = read_bgp(longer);
        require(again.error == read.error && again.message == read.message,
                "the same with more behind it", bytes);
    }
}

/// All messages of `said`, each well formed.
std::vector<BgpMessage> messages_of(ByteView said, ByteView bytes) {
    std::vector<BgpMessage> out;
    while (!said.empty()) {
        const BgpRead read = read_bgp(said);
        require(read.message.has_value(), "well-formed output", bytes);
        out.push_back(*read.message);
        said = said.subspan(read.size);
    }
    return out;
}

struct Outcome {
    BgpState state = BgpState::idle;
    Bytes said;
    std::string error;
    bool operator==(const Outcome&) const = default;
};

const IpPrefix kVip = *IpPrefix::parse("192.0.2.1/32");

/// Brings a session to a state by a peer that behaves.
void bring_to(BgpSpeaker& speaker, BgpState state, BgpSpeaker::Time now, Bytes* said) {
    const auto flush = [&] {
        const ByteView output = speaker.output();
        if (said != nullptr) said->insert(said->end(), output.begin(), output.end());
        speaker.written(output.size(), now);
    };
    speaker.connected(*IpAddress::parse("10.0.0.2"), now);
    if (state >= BgpState::open_confirm)
        speaker.received(write_open({.as = kPeerAs, .hold_time_s = 9, .router_id = 1}), now);
    if (state >= BgpState::established) speaker.received(write_keepalive(), now);
    flush();
}

/// The bytes in pieces of `piece`, to a session in `state`; then a peer that behaves.
Outcome run(ByteView bytes, BgpState state, std::size_t piece) {
    BgpSettings settings;
    settings.own_as = kOwnAs;
    settings.peer.as = kPeerAs;
    settings.peer.hold_time = 9s;
    BgpSpeaker speaker(settings);
    BgpSpeaker::Time now{1h};
    speaker.want({{kVip, Wish::announce}}, now);
    speaker.start(now);
    Outcome out;
    bring_to(speaker, state, now, &out.said);
    const std::uint64_t connection = speaker.connection();
    for (ByteView rest = bytes; !rest.empty() && speaker.connection() == connection;) {
        const std::size_t size = std::min(piece, rest.size());
        speaker.received(rest.first(size), now);
        rest = rest.subspan(size);
        require(speaker.output().size() <= BgpSpeaker::kOutputHigh + kBgpMessageMax,
                "bounded output", bytes);
    }
    const ByteView output = speaker.output();
    out.said.insert(out.said.end(), output.begin(), output.end());
    out.state = speaker.state();
    out.error = speaker.last_error();
    const bool is_over = speaker.connection() == 0;
    require(is_over == (out.state == BgpState::idle), "idle without a connection", bytes);
    require(is_over != out.error.empty(), "a reason where it ended", bytes);
    const std::vector<BgpMessage> said = messages_of(out.said, bytes);
    const bool has_notified = !said.empty() && std::holds_alternative<BgpNotification>(said.back());
    if (has_notified) require(is_over, "nothing after a notification", bytes);
    if (!is_over) speaker.closed("the end of the bytes", now);
    while (speaker.state() != BgpState::connect) {
        now = std::max(now, speaker.deadline());
        speaker.tick(now);
    }
    bring_to(speaker, BgpState::established, now, nullptr);
    require(speaker.report(kVip).state == PrefixState::announced, "an announcement after it",
            bytes);
    return out;
}

void check_sessions(ByteView bytes) {
    for (const BgpState state :
         {BgpState::open_sent, BgpState::open_confirm, BgpState::established}) {
        const Outcome whole = run(bytes, state, bytes.size() + 1);
        require(run(bytes, state, 1) == whole, "the same byte by byte", bytes);
        require(run(bytes, state, 23) == whole, "the same in pieces", bytes);
        const auto demanded = header_error(bytes);
        if (!demanded || bytes.size() < kBgpHeader) continue;
        const std::vector<BgpMessage> said = messages_of(whole.said, bytes);
        require(!said.empty() && said.back() == BgpMessage(*demanded),
                "the header's notification to the peer", bytes);
    }
}

}  // namespace

void check_bgp(ByteView bytes) {
    check_read(bytes);
    check_sessions(bytes);
}

}  // namespace sluice::fuzz
