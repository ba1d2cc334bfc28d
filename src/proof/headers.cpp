// SPDX-License-Identifier: Apache-2.0
#include "proof/headers.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <cstring>

#include "sluice/limits.h"

namespace sluice::proof {
namespace {

using View = std::span<const std::uint8_t>;

constexpr std::size_t kEthernetLen = 14, kIp4Len = 20, kIp6Len = 40, kExtensionLen = 8;

std::uint16_t get16(View bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

std::uint32_t get32(View bytes, std::size_t at) {
    return std::uint32_t{get16(bytes, at)} << 16 | get16(bytes, at + 2);
}

IpAddress address4(View bytes, std::size_t at) {
    std::uint32_t addr_be = 0;
    std::memcpy(&addr_be, bytes.data() + at, sizeof addr_be);
    return IpAddress::from_ip4(addr_be);
}

bool is_extension(std::uint8_t protocol) {
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
           protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_AH;
}

void read_ip4(View ip, std::size_t at, Headers& out) {
    out.is_ip = true;
    out.source = address4(ip, 12);
    out.destination = address4(ip, 16);
    out.ip_len = get16(ip, 2);
    out.header_len = std::size_t{ip[0]} % 16 * 4;
    out.protocol = ip[9];
    out.df = (get16(ip, 6) & 0x4000) != 0;
    out.is_fragment = (get16(ip, 6) & 0x3fff) != 0;
    out.fragment_offset = (get16(ip, 6) & 0x1fffU) * 8;
    out.fragment_id = get16(ip, 4);
    out.transport_at = at + out.header_len;
}

/// As the data plane does, at most SLC_MAX_EXT_HEADERS.
void read_extensions(View frame, Headers& out) {
    while (is_extension(out.protocol) && out.extensions.size() < SLC_MAX_EXT_HEADERS &&
           out.fragment_offset == 0 && frame.size() >= out.transport_at + kExtensionLen) {
        const View header = frame.subspan(out.transport_at);
        std::size_t size = (header[1] + std::size_t{1}) * 8;
        if (out.protocol == IPPROTO_AH) size = (header[1] + std::size_t{2}) * 4;
        if (out.protocol == IPPROTO_FRAGMENT) {
            size = kExtensionLen;
            out.fragment_offset = get16(header, 2) & 0xfff8U;
            out.is_fragment = (get16(header, 2) & 0xfff9) != 0;
            out.fragment_id = get32(header, 4);
        }
        out.extensions.push_back(out.protocol);
        out.protocol = header[0];
        out.transport_at += size;
    }
}

void read_transport(View frame, Headers& out) {
    if (out.fragment_offset != 0 || frame.size() < out.transport_at + 4) return;
    const int icmp = out.source.is_ip6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
    if (out.protocol == icmp) out.icmp_type = frame[out.transport_at];
    if (out.protocol == IPPROTO_TCP || out.protocol == IPPROTO_UDP)
        out.ports = Ports{get16(frame, out.transport_at), get16(frame, out.transport_at + 2)};
}

}  // namespace

Headers headers_of(View frame) {
    Headers out;
    std::size_t at = kEthernetLen;
    while (frame.size() >= at) {
        out.ether_type = get16(frame, at - 2);
        const bool is_tag = out.ether_type == 0x8100 || out.ether_type == 0x88a8;
        if (!is_tag || frame.size() < at + 4) break;
        out.vlans.push_back(get16(frame, at) & 0xfff);
        at += 4;
    }
    if (out.ether_type == 0x0800 && frame.size() >= at + kIp4Len) {
        read_ip4(frame.subspan(at), at, out);
    } else if (out.ether_type == 0x86dd && frame.size() >= at + kIp6Len) {
        out.is_ip = true;
        out.source = IpAddress::from_ip6(frame.data() + at + 8);
        out.destination = IpAddress::from_ip6(frame.data() + at + 24);
        out.ip_len = get16(frame, at + 4) + kIp6Len;
        out.header_len = kIp6Len;
        out.protocol = frame[at + 6];
        out.transport_at = at + kIp6Len;
        read_extensions(frame, out);
    }
    if (out.is_ip) read_transport(frame, out);
    return out;
}

std::string protocol_name(std::uint8_t protocol) {
    switch (protocol) {
        case IPPROTO_TCP:
            return "TCP";
        case IPPROTO_UDP:
            return "UDP";
        case IPPROTO_ICMP:
            return "ICMP";
        case IPPROTO_ICMPV6:
            return "ICMPv6";
        case IPPROTO_SCTP:
            return "SCTP";
        case IPPROTO_GRE:
            return "GRE";
        case IPPROTO_IPIP:
            return "IPv4 in IP";
        case IPPROTO_IPV6:
            return "IPv6 in IP";
        default:
            return fmt::format("protocol {}", protocol);
    }
}

}  // namespace sluice::proof
