// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "announce/bgp_bytes.h"
#include "announce/bgp_message.h"

namespace sluice::announce {
namespace {

constexpr std::uint8_t kVersion = 4;
constexpr std::uint8_t kParameterCapability = 2;
constexpr std::uint8_t kParameterExtended = 255;  // RFC 9072
constexpr std::uint8_t kCapFamily = 1, kCapRefresh = 2, kCapRestart = 64, kCapAs4 = 65;
constexpr std::uint8_t kExtendedLength = 0x10;
constexpr std::uint8_t kUnicast = 1;

using Failed = std::optional<BgpNotification>;

BgpNotification open_error(std::uint8_t subcode, Bytes data = {}) {
    return {bgp::kOpenError, subcode, std::move(data)};
}

/// A capability whose value is too short or too long for what it is makes the OPEN malformed.
Failed read_capability(std::uint8_t code, ByteReader value, BgpOpen& open,
                       std::optional<std::uint32_t>& as4) {
    if (code == kCapFamily) {
        if (value.size() != 4) return open_error(bgp::kOpenMalformed);
        const std::uint16_t afi = *value.u16();
        value.u8();
        const std::uint8_t safi = *value.u8();
        open.has_families = true;
        if (safi == kUnicast && afi == static_cast<std::uint8_t>(BgpFamily::ip4)) open.ip4 = true;
        if (safi == kUnicast && afi == static_cast<std::uint8_t>(BgpFamily::ip6)) open.ip6 = true;
    } else if (code == kCapAs4) {
        if (value.size() != 4) return open_error(bgp::kOpenMalformed);
        const std::uint32_t as = *value.u32();
        if (!as4) as4 = as;
    } else if (code == kCapRefresh) {
        if (!value.empty()) return open_error(bgp::kOpenMalformed);
        open.has_refresh = true;
    } else if (code == kCapRestart) {
        if (value.size() < 2 || (value.size() - 2) % 4 != 0) return open_error(bgp::kOpenMalformed);
        const std::uint16_t head = *value.u16();
        open.restart =
            BgpRestart{(head & 0x8000) != 0, static_cast<std::uint16_t>(head & 0x0fff), false};
    }
    return std::nullopt;
}

Failed read_capabilities(ByteView bytes, BgpOpen& open, std::optional<std::uint32_t>& as4) {
    ByteReader reader(bytes);
    while (!reader.empty()) {
        const auto code = reader.u8();
        const auto size = reader.u8();
        const auto value = size ? reader.take(*size) : std::nullopt;
        if (!value) return open_error(bgp::kOpenMalformed);
        if (auto failed = read_capability(*code, ByteReader(*value), open, as4)) return failed;
    }
    return std::nullopt;
}

Failed read_parameters(ByteReader& body, BgpOpen& open, std::optional<std::uint32_t>& as4) {
    const auto size = body.u8();
    if (!size) return open_error(bgp::kOpenMalformed);
    std::size_t length = *size;
    // RFC 9072 2: a first parameter of type 255 is the mark of the extended form.
    ByteReader ahead = body;
    const bool is_extended = length != 0 && ahead.u8() == kParameterExtended;
    if (is_extended) {
        body = ahead;
        const auto extended = body.u16();
        if (!extended) return open_error(bgp::kOpenMalformed);
        length = *extended;
    }
    if (length != body.size()) return open_error(bgp::kOpenMalformed);
    while (!body.empty()) {
        const auto type = body.u8();
        std::optional<std::size_t> value_size;
        if (is_extended) {
            value_size = body.u16();
        } else {
            value_size = body.u8();
        }
        const auto value = value_size ? body.take(*value_size) : std::nullopt;
        if (!value) return open_error(bgp::kOpenMalformed);
        if (*type != kParameterCapability) return open_error(bgp::kBadParameter);
        if (auto failed = read_capabilities(*value, open, as4)) return failed;
    }
    return std::nullopt;
}

Failed read_open(ByteView bytes, BgpOpen& open) {
    open = BgpOpen{
        .ip4 = false, .ip6 = false, .has_families = false, .has_as4 = false, .has_refresh = false};
    ByteReader body(bytes);
    // The header has promised ten octets.
    if (*body.u8() != kVersion) return open_error(bgp::kBadVersion, {0, kVersion});
    open.as = *body.u16();
    open.hold_time_s = *body.u16();
    open.router_id = *body.u32();
    std::optional<std::uint32_t> as4;
    if (auto failed = read_parameters(body, open, as4)) return failed;
    if (as4) {
        open.as = *as4;
        open.has_as4 = true;
    }
    if (!open.has_families) open.ip4 = true;
    if (open.as == 0) return open_error(bgp::kBadPeerAs);
    if (open.hold_time_s == 1 || open.hold_time_s == 2) return open_error(bgp::kBadHoldTime);
    if (open.router_id == 0) return open_error(bgp::kBadIdentifier);
    return std::nullopt;
}

Failed read_networks(ByteView bytes, std::uint8_t subcode) {
    ByteReader reader(bytes);
    while (!reader.empty()) {
        const std::uint8_t bits = *reader.u8();
        if (bits > 32 || !reader.take((bits + 7U) / 8U))
            return BgpNotification{bgp::kUpdateError, subcode, {}};
    }
    return std::nullopt;
}

/// RFC 4271 6.3 and RFC 7606: lengths that contradict each other end the session, since nothing
/// behind them can be trusted; everything else does not concern those who import nothing.
Failed read_update(ByteView bytes) {
    const BgpNotification malformed{bgp::kUpdateError, bgp::kMalformedAttributes, {}};
    ByteReader body(bytes);
    const auto withdrawn_size = body.u16();
    const auto withdrawn = withdrawn_size ? body.take(*withdrawn_size) : std::nullopt;
    if (!withdrawn) return malformed;
    const auto attributes_size = body.u16();
    const auto attributes = attributes_size ? body.take(*attributes_size) : std::nullopt;
    if (!attributes) return malformed;
    ByteReader reader(*attributes);
    while (!reader.empty()) {
        const std::uint8_t flags = *reader.u8();
        const auto type = reader.u8();
        std::optional<std::size_t> size;
        if ((flags & kExtendedLength) != 0) {
            size = reader.u16();
        } else {
            size = reader.u8();
        }
        if (!type || !size || !reader.take(*size)) return malformed;
    }
    if (auto failed = read_networks(*withdrawn, bgp::kBadNetwork)) return failed;
    return read_networks(*body.take(body.size()), bgp::kBadNetwork);
}

struct Limits {
    std::size_t least;
    std::size_t most;
};

std::optional<Limits> limits_of(std::uint8_t type) {
    switch (type) {
        case static_cast<std::uint8_t>(BgpType::open):
            return Limits{29, kBgpMessageMax};
        case static_cast<std::uint8_t>(BgpType::update):
            return Limits{23, kBgpMessageMax};
        case static_cast<std::uint8_t>(BgpType::notification):
            return Limits{21, kBgpMessageMax};
        case static_cast<std::uint8_t>(BgpType::keepalive):
            return Limits{19, 19};
        case static_cast<std::uint8_t>(BgpType::route_refresh):
            return Limits{23, 23};
        default:
            return std::nullopt;
    }
}

/// RFC 4271 6.1. As far as the header has come.
Failed check_header(ByteView input) {
    const std::size_t marker = std::min<std::size_t>(input.size(), 16);
    if (std::any_of(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(marker),
                    [](std::uint8_t byte) { return byte != 0xff; }))
        return BgpNotification{bgp::kHeaderError, bgp::kNotSynchronized, {}};
    if (input.size() < 18) return std::nullopt;
    const std::size_t length = std::size_t{input[16]} << 8 | input[17];
    const BgpNotification bad_length{bgp::kHeaderError, bgp::kBadLength, {input[16], input[17]}};
    if (length < kBgpHeader || length > kBgpMessageMax) return bad_length;
    if (input.size() < kBgpHeader) return std::nullopt;
    const auto limits = limits_of(input[18]);
    if (!limits) return BgpNotification{bgp::kHeaderError, bgp::kBadType, {input[18]}};
    if (length < limits->least || length > limits->most) return bad_length;
    return std::nullopt;
}

}  // namespace

BgpRead read_bgp(ByteView input) {
    BgpRead out;
    out.error = check_header(input);
    if (out.error || input.size() < kBgpHeader) return out;
    const std::size_t length = std::size_t{input[16]} << 8 | input[17];
    if (input.size() < length) return out;
    const ByteView body = input.subspan(kBgpHeader, length - kBgpHeader);
    out.size = length;
    out.type = static_cast<BgpType>(input[18]);
    switch (out.type) {
        case BgpType::open: {
            BgpOpen open;
            out.error = read_open(body, open);
            if (!out.error) out.message = open;
            break;
        }
        case BgpType::update:
            out.error = read_update(body);
            if (!out.error) out.message = BgpUpdateSeen{};
            break;
        case BgpType::notification:
            out.message = BgpNotification{body[0], body[1], Bytes(body.begin() + 2, body.end())};
            break;
        case BgpType::keepalive:
            out.message = BgpKeepalive{};
            break;
        case BgpType::route_refresh:
            out.message = BgpRouteRefresh{
                static_cast<std::uint16_t>(std::uint16_t{body[0]} << 8 | body[1]), body[3]};
            break;
    }
    return out;
}

}  // namespace sluice::announce
