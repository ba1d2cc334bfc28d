// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "packet/spec.h"
#include "sluice/limits.h"

namespace sluice::packet {
namespace {

constexpr std::uint8_t kTcp = 6, kUdp = 17, kIcmp = 1, kIcmp6 = 58, kSctp = 132, kGre = 47,
                       kFragment = 44, kAuth = 51, kIp4InIp = 4, kIp6InIp = 41;
constexpr std::size_t kIpMaxLen = 65535;

void put8(Octets& out, std::size_t value) {
    out.push_back(static_cast<std::uint8_t>(value));
}

void put16(Octets& out, std::size_t value) {
    put8(out, value >> 8);
    put8(out, value);
}

void put32(Octets& out, std::size_t value) {
    put16(out, value >> 16);
    put16(out, value);
}

void put(Octets& out, const Octets& bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void put(Octets& out, const IpAddress& address) {
    out.insert(out.end(), address.bytes.begin(), address.bytes.begin() + address.bits() / 8);
}

void set16(Octets& out, std::size_t at, std::size_t value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
}

/// One's-complement sum, folded (RFC 1071).
std::uint32_t sum_of(const Octets& bytes, std::uint32_t start = 0) {
    std::uint64_t sum = start;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += i % 2 == 0 ? std::uint64_t{bytes[i]} << 8 : bytes[i];
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint32_t>(sum);
}

std::uint16_t inverted(std::uint32_t sum) {
    return static_cast<std::uint16_t>(~sum);
}

std::uint32_t pseudo_sum(const Spec& spec, std::uint8_t protocol, std::size_t size) {
    Octets pseudo;
    put(pseudo, spec.source);
    put(pseudo, spec.destination);
    put32(pseudo, size);
    put32(pseudo, protocol);
    return sum_of(pseudo);
}

/// RFC 9260, appendix A.
std::uint32_t crc32c(const Octets& bytes) {
    std::uint32_t crc = ~0u;
    for (const std::uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    }
    return ~crc;
}

Octets payload_of(const Spec& spec) {
    Octets out = spec.data;
    if (is_neighbour_discovery(spec) && spec.data.empty() && !spec.len) put(out, spec.destination);
    for (std::size_t at = out.size(); at < spec.len.value_or(0); ++at) out.push_back(fill(at));
    return out;
}

Result<Octets> ip_packet(const Spec& spec);

std::uint8_t protocol_of(const Spec& spec) {
    switch (spec.kind) {
        case SpecKind::tcp:
            return kTcp;
        case SpecKind::udp:
        case SpecKind::gue:
            return kUdp;
        case SpecKind::sctp:
            return kSctp;
        case SpecKind::icmp:
            return kIcmp;
        case SpecKind::icmp6:
            return kIcmp6;
        case SpecKind::gre:
            return kGre;
        case SpecKind::ipip:
            return spec.inner.front().is_ip6() ? kIp6InIp : kIp4InIp;
        default:
            return spec.protocol;
    }
}

Octets tcp_segment(const Spec& spec, const Octets& payload) {
    Octets options = spec.options;
    options.resize((options.size() + 3) / 4 * 4);
    Octets out;
    put16(out, spec.source_port.value_or(0));
    put16(out, spec.destination_port.value_or(0));
    put32(out, 1000);  // A sequence number like any other.
    put32(out, (spec.flags.value_or(tcp_flag::ack) & tcp_flag::ack) != 0 ? 2000 : 0);
    put8(out, spec.tcp_words.value_or(static_cast<std::uint8_t>(5 + options.size() / 4)) << 4);
    put8(out, spec.flags.value_or(tcp_flag::ack));
    put16(out, 64240);
    put32(out, 0);
    put(out, options);
    put(out, payload);
    set16(out, 16,
          spec.checksum.value_or(inverted(sum_of(out, pseudo_sum(spec, kTcp, out.size())))));
    return out;
}

Octets udp_datagram(const Spec& spec, const Octets& payload) {
    const bool is_gue = spec.kind == SpecKind::gue;
    Octets out;
    put16(out, spec.source_port.value_or(is_gue ? kDefaultGueSourcePort : 0));
    put16(out, spec.destination_port.value_or(is_gue ? kDefaultGuePort : 0));
    put16(out, spec.udp_len.value_or(static_cast<std::uint16_t>(8 + payload.size())));
    put16(out, 0);
    put(out, payload);
    const std::uint16_t sum = inverted(sum_of(out, pseudo_sum(spec, kUdp, out.size())));
    set16(out, 6, spec.checksum.value_or(sum == 0 ? 0xffff : sum));
    return out;
}

Octets sctp_packet(const Spec& spec, const Octets& payload) {
    Octets out;
    put16(out, spec.source_port.value_or(0));
    put16(out, spec.destination_port.value_or(0));
    put32(out, 1);
    put32(out, 0);
    put(out, payload);
    const std::uint32_t crc = crc32c(out);
    for (std::size_t byte = 0; byte < 4; ++byte)
        out[8 + byte] = static_cast<std::uint8_t>(crc >> (8 * byte));
    return out;
}

Octets icmp_message(const Spec& spec, const Octets& payload) {
    Octets out;
    put8(out, spec.icmp_type.value_or(0));
    put8(out, spec.icmp_code);
    put16(out, 0);
    put32(out, spec.icmp_rest);
    put(out, payload);
    const std::uint32_t start =
        spec.kind == SpecKind::icmp6 ? pseudo_sum(spec, kIcmp6, out.size()) : 0;
    set16(out, 2, spec.checksum.value_or(inverted(sum_of(out, start))));
    return out;
}

Octets gre_packet(const Spec& spec, const Octets& payload) {
    Octets out;
    put16(out, 0);
    put16(out, spec.inner.front().is_ip6() ? 0x86dd : 0x0800);
    put(out, payload);
    return out;
}

Octets gue_packet(const Spec& spec, const Octets& payload) {
    Octets body;
    put8(body, 0);
    put8(body, spec.inner.front().is_ip6() ? kIp6InIp : kIp4InIp);
    put16(body, 0);
    put(body, payload);
    return udp_datagram(spec, body);
}

Octets segment(const Spec& spec, const Octets& payload) {
    if (spec.is_later_fragment()) return payload;
    switch (spec.kind) {
        case SpecKind::tcp:
            return tcp_segment(spec, payload);
        case SpecKind::udp:
            return udp_datagram(spec, payload);
        case SpecKind::sctp:
            return sctp_packet(spec, payload);
        case SpecKind::icmp:
        case SpecKind::icmp6:
            return icmp_message(spec, payload);
        case SpecKind::gre:
            return gre_packet(spec, payload);
        case SpecKind::gue:
            return gue_packet(spec, payload);
        default:
            return payload;
    }
}

/// What stands behind the IP header and its extensions.
Result<Octets> transport(const Spec& spec) {
    Octets payload = payload_of(spec);
    if (!spec.inner.empty()) {
        auto quoted = ip_packet(spec.inner.front());
        if (!quoted) return quoted;
        payload = std::move(*quoted);
        if (spec.quote && *spec.quote < payload.size()) payload.resize(*spec.quote);
    }
    Octets out = segment(spec, payload);
    // What more fragments follow is whole words of eight bytes, unless its length is said.
    if (!spec.more_fragments || spec.len || !spec.inner.empty()) return out;
    for (std::size_t odd = out.size() % 8; odd % 8 != 0; ++odd)
        payload.push_back(fill(payload.size()));
    return segment(spec, payload);
}

Octets ip4_packet(const Spec& spec, const Octets& body) {
    Octets options = spec.ip_options;
    options.resize((options.size() + 3) / 4 * 4);
    const std::size_t header = 20 + options.size();
    Octets out;
    put8(out, 0x40 | header / 4);
    put8(out, static_cast<std::size_t>(spec.dscp << 2 | spec.ecn));
    put16(out, spec.ip_len.value_or(static_cast<std::uint16_t>(header + body.size())));
    put16(out, spec.id.value_or(kDefaultId));
    put16(out, (spec.df ? 0x4000u : 0u) | (spec.more_fragments ? 0x2000u : 0u) |
                   spec.fragment.value_or(0) / 8);
    put8(out, spec.ttl);
    put8(out, protocol_of(spec));
    put16(out, 0);
    put(out, spec.source);
    put(out, spec.destination);
    put(out, options);
    set16(out, 10, spec.ip_checksum.value_or(inverted(sum_of(out))));
    put(out, body);
    return out;
}

/// Least header of its kind, without options: eight bytes, AH twelve more (RFC 4302).
Octets extension_header(std::uint8_t protocol, std::uint8_t next) {
    Octets out(protocol == kAuth ? 24 : 8, 0);
    out[0] = next;
    if (protocol == kAuth) out[1] = 4;
    return out;
}

Octets ip6_packet(const Spec& spec, const Octets& body) {
    std::vector<std::uint8_t> chain = spec.extensions;
    if (spec.fragment) chain.push_back(kFragment);
    chain.push_back(protocol_of(spec));
    Octets extensions;
    for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
        Octets header = extension_header(chain[i], chain[i + 1]);
        if (chain[i] == kFragment) {
            set16(header, 2, (*spec.fragment / 8) << 3 | (spec.more_fragments ? 1 : 0));
            set16(header, 4, spec.id.value_or(kDefaultId) >> 16);
            set16(header, 6, spec.id.value_or(kDefaultId) & 0xffff);
        }
        put(extensions, header);
    }
    Octets out;
    put32(out, 6u << 28 | static_cast<std::uint32_t>(spec.dscp << 2 | spec.ecn) << 20);
    put16(out, spec.ip_len.value_or(static_cast<std::uint16_t>(extensions.size() + body.size())));
    put8(out, chain.front());
    put8(out, spec.ttl);
    put(out, spec.source);
    put(out, spec.destination);
    put(out, extensions);
    put(out, body);
    return out;
}

Result<Octets> ip_packet(const Spec& spec) {
    const auto body = transport(spec);
    if (!body) return body;
    Octets out = spec.is_ip6() ? ip6_packet(spec, *body) : ip4_packet(spec, *body);
    if (out.size() > kIpMaxLen + (spec.is_ip6() ? 40 : 0))
        return fail(Errc::invalid, fmt::format("an IP packet of {} bytes", out.size()));
    return out;
}

/// 802.1ad outside, 802.1Q innermost (IEEE 802.1Q 9.6).
Octets link_header(const Spec& spec, std::uint16_t type) {
    Octets out = {0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0xc1};
    for (std::size_t i = 0; i < spec.vlans.size(); ++i) {
        put16(out, i + 1 < spec.vlans.size() ? 0x88a8 : 0x8100);
        put16(out, spec.vlans[i]);
    }
    put16(out, type);
    return out;
}

}  // namespace

Result<Octets> encode(const Spec& spec) {
    Octets out;
    if (spec.kind == SpecKind::raw_frame) {
        out = spec.raw;
    } else if (spec.kind == SpecKind::raw_ip) {
        out = link_header(spec, spec.raw.front() >> 4 == 6 ? 0x86dd : 0x0800);
        put(out, spec.raw);
    } else if (spec.kind == SpecKind::ether) {
        out = link_header(spec, spec.ether_type);
        put(out, payload_of(spec));
    } else {
        const auto ip = ip_packet(spec);
        if (!ip) return ip;
        out = link_header(spec, spec.is_ip6() ? 0x86dd : 0x0800);
        put(out, *ip);
    }
    const bool is_raw = spec.kind == SpecKind::raw_frame || spec.kind == SpecKind::raw_ip;
    if (is_raw && spec.len && *spec.len > out.size() && *spec.len <= SLC_MAX_FRAME_LEN)
        out.resize(*spec.len);
    if (spec.cut && *spec.cut < out.size()) out.resize(*spec.cut);
    if (out.size() > SLC_MAX_FRAME_LEN)
        return fail(Errc::invalid, fmt::format("a frame of {} bytes; {} is the most", out.size(),
                                               SLC_MAX_FRAME_LEN));
    return out;
}

}  // namespace sluice::packet
