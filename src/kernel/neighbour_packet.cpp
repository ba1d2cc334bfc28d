// SPDX-License-Identifier: Apache-2.0
#include "kernel/neighbour_packet.h"

#include <algorithm>

namespace sluice::kernel {
namespace {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

constexpr std::size_t kEthLen = 14, kArpLen = 28, kIp6Len = 40;
/// Of a neighbour solicitation or advertisement, and of the option with a link-layer address.
constexpr std::size_t kMessageLen = 24, kOptionLen = 8;
constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;
constexpr std::uint8_t kSourceOption = 1, kTargetOption = 2;
constexpr std::uint8_t kOverride = 0x20;
constexpr std::uint8_t kIcmp6 = 58, kHopLimit = 255;
constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

std::uint16_t word_at(View bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

void add_word(Bytes& out, std::uint16_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value));
}

template <typename Range>
void add(Bytes& out, const Range& bytes) {
    out.insert(out.end(), std::begin(bytes), std::end(bytes));
}

void add_address(Bytes& out, const IpAddress& address) {
    out.insert(out.end(), address.bytes.begin(), address.bytes.begin() + address.bits() / 8);
}

MacAddress mac_at(View bytes, std::size_t at) {
    MacAddress out;
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), out.bytes.size(),
                out.bytes.begin());
    return out;
}

/// 33:33 and the last four bytes (RFC 2464 7).
MacAddress multicast_mac(const IpAddress& group) {
    MacAddress out{{0x33, 0x33}};
    std::copy_n(group.bytes.begin() + 12, 4, out.bytes.begin() + 2);
    return out;
}

IpAddress all_nodes() {
    return *IpAddress::parse("ff02::1");
}

/// ff02::1:ff00:0/104 and the last three bytes (RFC 4291 2.7.1).
IpAddress solicited_node(const IpAddress& address) {
    IpAddress out = *IpAddress::parse("ff02::1:ff00:0");
    std::copy_n(address.bytes.begin() + 13, 3, out.bytes.begin() + 13);
    return out;
}

Bytes ethernet(const MacAddress& to, const MacAddress& from, std::uint16_t type) {
    Bytes out;
    add(out, to.bytes);
    add(out, from.bytes);
    add_word(out, type);
    return out;
}

Bytes arp(std::uint16_t operation, const MacAddress& mac, const IpAddress& sender,
          const MacAddress& target_mac, const IpAddress& target) {
    Bytes out = ethernet(kBroadcast, mac, 0x0806);
    add_word(out, 1);  // Ethernet.
    add_word(out, 0x0800);
    out.push_back(6);
    out.push_back(4);
    add_word(out, operation);
    add(out, mac.bytes);
    add_address(out, sender);
    add(out, target_mac.bytes);
    add_address(out, target);
    return out;
}

/// One's-complement sum of an ICMPv6 message with its pseudo header (RFC 8200 8.1): 0xffff where
/// its checksum is in it and right.
std::uint16_t icmp6_sum(View addresses, View message) {
    std::uint32_t sum = static_cast<std::uint32_t>(message.size()) + kIcmp6;
    for (const View part : {addresses, message})
        for (std::size_t i = 0; i < part.size(); ++i)
            sum += i % 2 == 0 ? static_cast<std::uint32_t>(part[i]) << 8 : part[i];
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

/// A message about `target` with one option that says `mac`.
Bytes discovery(std::uint8_t type, std::uint8_t flags, std::uint8_t option, const MacAddress& mac,
                const IpAddress& from, const IpAddress& to, const IpAddress& target) {
    Bytes out = ethernet(multicast_mac(to), mac, 0x86dd);
    add(out, Bytes{0x60, 0, 0, 0});
    add_word(out, kMessageLen + kOptionLen);
    out.push_back(kIcmp6);
    out.push_back(kHopLimit);
    add_address(out, from);
    add_address(out, to);
    add(out, Bytes{type, 0, 0, 0, flags, 0, 0, 0});
    add_address(out, target);
    add(out, Bytes{option, kOptionLen / 8});
    add(out, mac.bytes);
    const View frame(out);
    const std::uint16_t sum =
        icmp6_sum(frame.subspan(kEthLen + 8, 32), frame.subspan(kEthLen + kIp6Len));
    out[kEthLen + kIp6Len + 2] = static_cast<std::uint8_t>(~sum >> 8);
    out[kEthLen + kIp6Len + 3] = static_cast<std::uint8_t>(~sum);
    return out;
}

std::optional<NeighbourClaim> arp_claim(View frame) {
    const View body = frame.subspan(kEthLen);
    if (body.size() < kArpLen || word_at(body, 0) != 1 || word_at(body, 2) != 0x0800 ||
        body[4] != 6 || body[5] != 4)
        return std::nullopt;
    const std::uint16_t operation = word_at(body, 6);
    if (operation != 1 && operation != 2) return std::nullopt;
    NeighbourClaim out;
    out.kind = operation == 1 ? NeighbourClaim::Kind::arp_request : NeighbourClaim::Kind::arp_reply;
    out.mac = mac_at(body, 8);
    std::copy_n(body.begin() + 14, 4, out.address.bytes.begin());
    if (out.address.is_unspecified()) return std::nullopt;
    return out;
}

/// The link-layer address of the target, if the options are sound and say one; `mac` if they are
/// sound and say none.
std::optional<MacAddress> target_mac(View options, const MacAddress& mac) {
    MacAddress out = mac;
    while (!options.empty()) {
        if (options.size() < kOptionLen) return std::nullopt;
        const std::size_t size = std::size_t{options[1]} * 8;
        if (size == 0 || size > options.size()) return std::nullopt;
        if (options[0] == kTargetOption) out = mac_at(options, 2);
        options = options.subspan(size);
    }
    return out;
}

std::optional<NeighbourClaim> advertisement_claim(View frame) {
    const View ip = frame.subspan(kEthLen);
    if (ip.size() < kIp6Len + kMessageLen || ip[0] >> 4 != 6 || ip[6] != kIcmp6 ||
        ip[7] != kHopLimit)
        return std::nullopt;
    const std::size_t len = word_at(ip, 4);
    if (len < kMessageLen || len > ip.size() - kIp6Len) return std::nullopt;
    const View message = ip.subspan(kIp6Len, len);
    if (message[0] != kAdvertisement || message[1] != 0 ||
        icmp6_sum(ip.subspan(8, 32), message) != 0xffff)
        return std::nullopt;
    NeighbourClaim out;
    out.kind = NeighbourClaim::Kind::advertisement;
    out.address = IpAddress::from_ip6(message.data() + 8);
    const auto mac = target_mac(message.subspan(kMessageLen), mac_at(frame, 6));
    if (!mac || out.address.is_multicast()) return std::nullopt;
    out.mac = *mac;
    return out;
}

}  // namespace

std::optional<NeighbourClaim> claim_of(std::span<const std::uint8_t> frame) {
    if (frame.size() < kEthLen) return std::nullopt;
    const std::uint16_t type = word_at(frame, 12);
    if (type == 0x0806) return arp_claim(frame);
    return type == 0x86dd ? advertisement_claim(frame) : std::nullopt;
}

std::vector<std::uint8_t> arp_probe(const MacAddress& mac, const IpAddress& address) {
    return arp(1, mac, IpAddress{}, MacAddress{}, address);
}

std::vector<std::uint8_t> neighbour_solicitation(const MacAddress& mac, const IpAddress& source,
                                                 const IpAddress& address) {
    return discovery(kSolicitation, 0, kSourceOption, mac, source, solicited_node(address),
                     address);
}

std::vector<std::vector<std::uint8_t>> announcements(const MacAddress& mac,
                                                     const IpAddress& address) {
    if (address.is_ip6)
        return {discovery(kAdvertisement, kOverride, kTargetOption, mac, address, all_nodes(),
                          address)};
    return {arp(1, mac, address, MacAddress{}, address), arp(2, mac, address, kBroadcast, address)};
}

}  // namespace sluice::kernel
