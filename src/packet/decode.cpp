// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "packet/spec.h"
#include "sluice/limits.h"

namespace sluice::packet {
namespace {

using View = std::span<const std::uint8_t>;

/// Longest payload that is told byte by byte where its content decides nothing.
constexpr std::size_t kToldBytes = 32;
constexpr std::size_t kTcpHeader = 20, kUdpHeader = 8, kSctpHeader = 12, kIcmpHeader = 8;

std::uint16_t get16(View view, std::size_t at) {
    return static_cast<std::uint16_t>(view[at] << 8 | view[at + 1]);
}

std::uint32_t get32(View view, std::size_t at) {
    return std::uint32_t{get16(view, at)} << 16 | get16(view, at + 2);
}

bool all_zero(View view) {
    return std::ranges::all_of(view, [](std::uint8_t byte) { return byte == 0; });
}

std::uint32_t sum_of(View view, std::uint32_t start = 0) {
    std::uint64_t sum = start;
    for (std::size_t i = 0; i < view.size(); ++i)
        sum += i % 2 == 0 ? std::uint64_t{view[i]} << 8 : view[i];
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint32_t>(sum);
}

/// Part of a packet: what is there, and how long it says that it is. Longer: its end was cut off.
struct Part {
    View view;
    std::size_t len = 0;
    [[nodiscard]] bool is_cut() const { return len > view.size(); }
    [[nodiscard]] Part after(std::size_t size) const {
        const std::size_t skipped = std::min(size, view.size());
        return {view.subspan(skipped), len - std::min(size, len)};
    }
};

/// How much of a payload matters to whoever routes the packet.
enum class Matters { nothing, beginning, all };

void take_payload(Spec& spec, const Part& payload, Matters matters) {
    const View& view = payload.view;
    const auto told_of = [&](std::size_t size) {
        while (size > 0 && view[size - 1] == fill(size - 1)) --size;
        return size;
    };
    std::size_t told = told_of(view.size());
    if (told > kToldBytes && matters == Matters::beginning) told = told_of(kToldBytes);
    if (told > kToldBytes && matters == Matters::nothing) told = 0;
    spec.data.assign(view.begin(), view.begin() + static_cast<std::ptrdiff_t>(told));
    spec.len = static_cast<std::uint32_t>(payload.len);
}

bool take_ip(Spec& spec, const View& packet, bool may_be_cut, std::size_t depth);

/// A packet within, which must fill what carries it.
bool take_inner(Spec& spec, const Part& carried, bool may_be_cut, std::size_t depth) {
    if (depth >= kMaxNesting || carried.view.empty()) return false;
    Spec inner;
    if (!take_ip(inner, carried.view, may_be_cut, depth + 1)) return false;
    spec.inner.push_back(std::move(inner));
    return true;
}

/// How long an IP packet says it is.
std::size_t ip_len_of(View view) {
    if (view.size() < 20) return 0;
    if (view[0] >> 4 == 4) return get16(view, 2);
    return view.size() < 40 ? 0 : std::size_t{get16(view, 4)} + 40;
}

bool take_tunnel(Spec& spec, const Part& carried, std::size_t depth, bool may_be_cut) {
    const bool fills = ip_len_of(carried.view) == carried.len;
    return fills && take_inner(spec, carried, may_be_cut, depth);
}

bool take_tcp(Spec& spec, const Part& body) {
    spec.kind = SpecKind::tcp;
    if (body.len < kTcpHeader || body.view.size() < 4) return false;
    spec.source_port = get16(body.view, 0);
    spec.destination_port = get16(body.view, 2);
    if (body.view.size() < kTcpHeader) {
        spec.len = static_cast<std::uint32_t>(body.len - kTcpHeader);
        return body.is_cut();
    }
    const std::size_t header = std::size_t{body.view[12]} / 16 * 4;
    if (header < kTcpHeader || header > body.view.size()) return false;
    spec.flags = body.view[13];
    const View options = body.view.subspan(kTcpHeader, header - kTcpHeader);
    spec.options.assign(options.begin(), options.end());
    take_payload(spec, body.after(header), Matters::nothing);
    return true;
}

bool take_udp(Spec& spec, const Part& body, std::size_t depth) {
    spec.kind = SpecKind::udp;
    if (body.len < kUdpHeader || body.view.size() < kUdpHeader) return false;
    spec.source_port = get16(body.view, 0);
    spec.destination_port = get16(body.view, 2);
    if (get16(body.view, 4) != body.len) spec.udp_len = get16(body.view, 4);
    if (get16(body.view, 6) == 0) spec.checksum = 0;
    const Part payload = body.after(kUdpHeader);
    const bool is_gue = spec.destination_port == kDefaultGuePort && payload.view.size() > 4 &&
                        !spec.fragment && !spec.udp_len && get16(payload.view, 2) == 0 &&
                        payload.view[0] == 0;
    const bool carries_ip = is_gue && (payload.view[1] == 4 || payload.view[1] == 41) &&
                            (payload.view[4] >> 4 == 6) == (payload.view[1] == 41) &&
                            take_tunnel(spec, payload.after(4), depth, body.is_cut());
    if (carries_ip)
        spec.kind = SpecKind::gue;
    else
        take_payload(spec, payload, Matters::beginning);
    return true;
}

bool quotes_a_packet(const Spec& spec) {
    if (spec.kind == SpecKind::icmp6) return *spec.icmp_type < 128;
    constexpr std::uint8_t kErrors[] = {3, 4, 5, 11, 12};  // RFC 792
    return std::ranges::find(kErrors, *spec.icmp_type) != std::end(kErrors);
}

/// What an ICMP error quotes is cut at will; a quote that is followed by something is no quote.
bool take_quote(Spec& spec, const Part& quoted, std::size_t depth) {
    const std::size_t len = ip_len_of(quoted.view);
    if (len < quoted.view.size() || !take_inner(spec, quoted, true, depth)) return false;
    if (len > quoted.view.size()) spec.quote = static_cast<std::uint32_t>(quoted.view.size());
    return true;
}

std::uint32_t pseudo_sum(const Spec& spec, std::size_t len) {
    if (!spec.is_ip6()) return 0;
    return sum_of(spec.source.bytes, sum_of(spec.destination.bytes)) +
           static_cast<std::uint32_t>(len) + 58;
}

bool take_icmp(Spec& spec, const Part& body, std::size_t depth) {
    spec.kind = spec.is_ip6() ? SpecKind::icmp6 : SpecKind::icmp;
    if (body.view.size() < kIcmpHeader || body.len < kIcmpHeader) return false;
    spec.icmp_type = body.view[0];
    spec.icmp_code = body.view[1];
    spec.icmp_rest = get32(body.view, 4);
    const bool is_right = sum_of(body.view, pseudo_sum(spec, body.len)) == 0xffff;
    const bool has_sum = !body.is_cut() && !spec.fragment && !quotes_a_packet(spec);
    if (has_sum && !is_right) spec.checksum = get16(body.view, 2);
    const Part payload = body.after(kIcmpHeader);
    if (quotes_a_packet(spec) && !body.is_cut() && !spec.fragment &&
        take_quote(spec, payload, depth))
        return true;
    if (is_neighbour_discovery(spec) && payload.view.size() == 16 &&
        std::ranges::equal(payload.view, spec.destination.bytes))
        return true;
    take_payload(
        spec, payload,
        quotes_a_packet(spec) || is_neighbour_discovery(spec) ? Matters::all : Matters::nothing);
    return true;
}

bool take_transport(Spec& spec, std::uint8_t protocol, const Part& body, std::size_t depth) {
    const bool is_ip_in_ip = protocol == 4 || protocol == 41;
    spec.kind = protocol == 6                     ? SpecKind::tcp
                : protocol == 17                  ? SpecKind::udp
                : protocol == 132                 ? SpecKind::sctp
                : protocol == 1 && !spec.is_ip6() ? SpecKind::icmp
                : protocol == 58 && spec.is_ip6() ? SpecKind::icmp6
                                                  : SpecKind::ip;
    if (spec.kind == SpecKind::ip) spec.protocol = protocol;
    if (spec.is_later_fragment()) {
        take_payload(spec, body, Matters::nothing);
        return true;
    }
    if (spec.kind == SpecKind::tcp) return take_tcp(spec, body);
    if (spec.kind == SpecKind::udp) return take_udp(spec, body, depth);
    if (is_icmp(spec.kind)) return take_icmp(spec, body, depth);
    if (spec.kind == SpecKind::sctp) {
        if (body.view.size() < kSctpHeader || body.len < kSctpHeader) return false;
        spec.source_port = get16(body.view, 0);
        spec.destination_port = get16(body.view, 2);
        take_payload(spec, body.after(kSctpHeader), Matters::nothing);
        return true;
    }
    if (is_ip_in_ip && !spec.fragment && !body.view.empty() &&
        (body.view[0] >> 4 == 6) == (protocol == 41) &&
        take_tunnel(spec, body, depth, body.is_cut())) {
        spec.kind = SpecKind::ipip;
        return true;
    }
    const bool is_plain_gre = protocol == 47 && !spec.fragment && body.view.size() > 4 &&
                              get16(body.view, 0) == 0 &&
                              get16(body.view, 2) == (body.view[4] >> 4 == 6 ? 0x86dd : 0x0800);
    if (is_plain_gre && take_tunnel(spec, body.after(4), depth, body.is_cut())) {
        spec.kind = SpecKind::gre;
        return true;
    }
    take_payload(spec, body, is_ip_in_ip || protocol == 47 ? Matters::all : Matters::nothing);
    return true;
}

void take_addresses(Spec& spec, View from, bool six) {
    const std::size_t width = six ? 16 : 4;
    spec.source.is_ip6 = spec.destination.is_ip6 = six;
    std::copy_n(from.begin(), width, spec.source.bytes.begin());
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(width), width,
                spec.destination.bytes.begin());
}

void take_traffic_class(Spec& spec, unsigned value) {
    spec.dscp = static_cast<std::uint8_t>(value >> 2 & 0x3f);
    spec.ecn = static_cast<std::uint8_t>(value & 3);
}

bool take_ip4(Spec& spec, View view, bool may_be_cut, std::size_t depth) {
    if (view.size() < 20) return false;
    const std::size_t header = std::size_t{view[0]} % 16 * 4;
    const std::size_t len = get16(view, 2);
    const std::uint16_t fragment = get16(view, 6);
    if (header < 20 || header > view.size() || len < header || (fragment & 0x8000) != 0)
        return false;
    if (len > view.size() && !may_be_cut) return false;
    take_addresses(spec, view.subspan(12), false);
    take_traffic_class(spec, view[1]);
    spec.df = (fragment & 0x4000) != 0;
    if ((fragment & 0x3fff) != 0) {
        spec.fragment = (fragment & 0x1fff) * 8u;
        spec.more_fragments = (fragment & 0x2000) != 0;
        spec.id = get16(view, 4);
    }
    spec.ttl = view[8];
    if (sum_of(view.first(header)) != 0xffff) spec.ip_checksum = get16(view, 10);
    spec.ip_options.assign(view.begin() + 20, view.begin() + static_cast<std::ptrdiff_t>(header));
    const View body = view.subspan(header, std::min(len, view.size()) - header);
    return take_transport(spec, view[9], {body, len - header}, depth);
}

/// Whether it is what encode() makes of an extension header of this kind.
bool is_least_extension(View header, std::uint8_t protocol) {
    return header[1] == (protocol == 51 ? 4 : 0) && all_zero(header.subspan(2));
}

bool take_ip6(Spec& spec, View view, bool may_be_cut, std::size_t depth) {
    if (view.size() < 40) return false;
    const std::size_t len = std::size_t{get16(view, 4)} + 40;
    if (len > view.size() && !may_be_cut) return false;
    take_addresses(spec, view.subspan(8), true);
    take_traffic_class(spec, get32(view, 0) >> 20 & 0xff);
    spec.ttl = view[7];
    std::uint8_t next = view[6];
    Part rest = Part{view.first(std::min(len, view.size())), len}.after(40);
    while (next == 0 || next == 43 || next == 60 || next == 51) {
        const std::size_t size = next == 51 ? 24 : 8;
        if (spec.extensions.size() >= std::size_t{2} * SLC_MAX_EXT_HEADERS ||
            rest.view.size() < size || !is_least_extension(rest.view.first(size), next))
            return false;
        spec.extensions.push_back(next);
        next = rest.view[0];
        rest = rest.after(size);
    }
    if (next == 44) {
        if (rest.view.size() < 8 || rest.view[1] != 0 || (rest.view[3] & 6) != 0) return false;
        spec.fragment = get16(rest.view, 2) & 0xfff8u;
        spec.more_fragments = (rest.view[3] & 1) != 0;
        spec.id = get32(rest.view, 4);
        next = rest.view[0];
        rest = rest.after(8);
        const bool goes_on = next == 0 || next == 43 || next == 60 || next == 51 || next == 44;
        if (goes_on && !spec.is_later_fragment()) return false;
    }
    return take_transport(spec, next, rest, depth);
}

bool take_ip(Spec& spec, const View& packet, bool may_be_cut, std::size_t depth) {
    if (packet.empty()) return false;
    if (packet[0] >> 4 == 4) return take_ip4(spec, packet, may_be_cut, depth);
    return packet[0] >> 4 == 6 && take_ip6(spec, packet, may_be_cut, depth);
}

/// All that encode() can say exactly: zeros at the end are counted, not listed.
Spec raw_of(SpecKind kind, View bytes, std::size_t frame_len) {
    Spec out;
    out.kind = kind;
    std::size_t told = bytes.size();
    while (told > 1 && bytes[told - 1] == 0) --told;
    if (bytes.size() - told <= kToldBytes / 2) told = bytes.size();
    out.raw.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(told));
    if (told < bytes.size()) out.len = static_cast<std::uint32_t>(frame_len);
    if (bytes.empty()) {
        out.raw = {0};
        out.cut = 0;
    }
    return out;
}

}  // namespace

Spec decode(std::span<const std::uint8_t> frame) {
    if (frame.size() > SLC_MAX_FRAME_LEN) frame = frame.first(SLC_MAX_FRAME_LEN);
    std::vector<std::uint16_t> vlans;
    std::size_t at = kEthernetLen;
    const auto is_tag = [&] {
        const std::uint16_t type = get16(frame, at - 2);
        return type == 0x8100 || type == 0x88a8;
    };
    while (at <= frame.size() && is_tag() && at + 4 <= frame.size() && vlans.size() < kMaxVlans) {
        vlans.push_back(get16(frame, at) & 0xfff);
        at += 4;
    }
    if (at > frame.size() || is_tag()) return raw_of(SpecKind::raw_frame, frame, frame.size());
    const std::uint16_t type = get16(frame, at - 2);
    const View body = frame.subspan(at);
    const bool says_ip = type == 0x0800 || type == 0x86dd;
    const bool is_ip = says_ip && !body.empty() && body[0] >> 4 == (type == 0x0800 ? 4 : 6);
    Spec out;
    if (is_ip) {
        if (!take_ip(out, body, false, 0)) out = raw_of(SpecKind::raw_ip, body, frame.size());
    } else if (says_ip || type < 0x600) {
        return raw_of(SpecKind::raw_frame, frame, frame.size());
    } else {
        out.kind = SpecKind::ether;
        out.ether_type = type;
        take_payload(out, {body, body.size()}, Matters::nothing);
    }
    out.vlans = std::move(vlans);
    return out;
}

}  // namespace sluice::packet
