// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Packets as values, written the way they lie on the wire:
///
///     eth() / vlan(100) / ip4({.dst = "192.0.2.10"}) / udp({.dport = 53}) / payload(64)
///
/// Lengths, checksums, next-protocol fields and Ethernet types follow from what comes after, unless
/// they are set: an optional field that holds a value is written as it is, right or wrong. The
/// checksum code here is plain and byte by byte on purpose: it is what the data plane is judged by,
/// and tests/packet/verify.py judges it in turn.
///
/// An expected outer header carries bits of the flow hash. Layers that say `entropy` take them from
/// the hash given to bytes().

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ip.h"

namespace sluice::packet {

using Bytes = std::vector<std::uint8_t>;

/// An address from its text; aborts on anything that is none.
struct Ip : IpAddress {
    Ip(const char* text);  // NOLINT(google-explicit-constructor): tables read better so
    Ip(const IpAddress& address) : IpAddress(address) {}  // NOLINT(google-explicit-constructor)
};

struct Mac : MacAddress {
    Mac(const char* text);                                   // NOLINT(google-explicit-constructor)
    Mac(const MacAddress& address) : MacAddress(address) {}  // NOLINT(google-explicit-constructor)
};

/// Who speaks when a case does not say. RFC 5737 and RFC 3849 addresses.
inline constexpr const char* kClient4 = "198.51.100.7";
inline constexpr const char* kClient6 = "2001:db8:c::7";
inline constexpr const char* kVip4 = "192.0.2.10";
inline constexpr const char* kVip6 = "2001:db8:a::10";
inline constexpr const char* kClientMac = "02:00:00:00:00:c1";
inline constexpr const char* kNodeMac = "02:00:00:00:00:01";

struct Eth {
    Mac dst = kNodeMac;
    Mac src = kClientMac;
    std::optional<std::uint16_t> type = {};
};

struct Vlan {
    std::uint16_t id = 1;
    std::uint16_t protocol = 0x8100;  ///< Of this tag: the Ethernet type in front of it.
    std::uint8_t priority = 0;
    std::optional<std::uint16_t> type = {};
};

struct Ip4 {
    Ip src = kClient4;
    Ip dst = kVip4;
    std::uint8_t tos = 0;
    std::uint16_t id = 0x1234;
    bool df = false;
    bool mf = false;
    bool reserved = false;     ///< The bit that RFC 791 wants zero.
    std::uint16_t offset = 0;  ///< Of this fragment, in units of eight bytes.
    std::uint8_t ttl = 64;
    std::optional<std::uint8_t> proto = {};
    Bytes options = {};  ///< Whole words; padded with zeros to four bytes.
    std::optional<std::uint8_t> version = {};
    std::optional<std::uint8_t> words = {};  ///< Header length in words of four bytes.
    std::optional<std::uint16_t> len = {};
    std::optional<std::uint16_t> checksum = {};
    std::uint32_t entropy_mask = 0;  ///< Bits of the source, host order, that come from the hash.
};

struct Ip6 {
    Ip src = kClient6;
    Ip dst = kVip6;
    std::uint8_t traffic_class = 0;
    std::uint32_t flow = 0;
    std::uint8_t hops = 64;
    std::optional<std::uint8_t> next = {};
    std::optional<std::uint16_t> len = {};
    std::optional<std::uint8_t> version = {};
    std::uint64_t entropy_mask = 0;  ///< Low bits of the source, host order, from the hash.
    bool entropy_flow = false;       ///< The flow label is taken from the hash.
};

/// An IPv6 extension header; hop_by_hop(), routing(), dest_opts() and auth() make them.
struct Extension {
    std::uint8_t protocol = 0;  ///< Its own protocol number.
    Bytes body = Bytes(6, 0);   ///< What follows next header and length.
    std::optional<std::uint8_t> next = {};
    std::optional<std::uint8_t> len = {};
};

struct Fragment6 {
    std::uint16_t offset = 0;  ///< In units of eight bytes.
    bool mf = false;
    std::uint32_t id = 0x12345678;
    std::optional<std::uint8_t> next = {};
};

inline constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10,
                              kUrg = 0x20, kEce = 0x40, kCwr = 0x80;

struct Tcp {
    std::uint16_t sport = 40000;
    std::uint16_t dport = 80;
    std::uint32_t seq = 1000;
    std::uint32_t ack = 0;
    std::uint8_t flags = kSyn;
    std::uint16_t window = 64240;
    Bytes options = {};
    std::optional<std::uint8_t> words = {};  ///< Data offset, words of four bytes.
    std::optional<std::uint16_t> checksum = {};
};

struct Udp {
    std::uint16_t sport = 40000;
    std::uint16_t dport = 53;
    std::optional<std::uint16_t> len = {};
    std::optional<std::uint16_t> checksum = {};  ///< 0: none was computed.
    bool entropy = false;                        ///< The source port is taken from the hash.
};

struct Sctp {
    std::uint16_t sport = 40000;
    std::uint16_t dport = 80;
    std::uint32_t tag = 1;
};

struct Icmp {
    std::uint8_t type = 8;
    std::uint8_t code = 0;
    std::uint32_t rest = 0;  ///< Bytes 4..7, host order: identifier and sequence, or MTU.
    std::optional<std::uint16_t> checksum = {};
    bool six = false;  ///< ICMPv6: protocol 58, sum with a pseudo header.
};

struct Gre {
    std::uint16_t flags = 0;  ///< The first two bytes: flags and version.
    std::optional<std::uint16_t> protocol = {};
    Bytes extra = {};  ///< Checksum, key, sequence.
};

/// Behind udp(). Variant 0 of draft-ietf-intarea-gue.
struct Gue {
    bool control = false;
    std::uint8_t variant = 0;
    std::optional<std::uint8_t> words = {};  ///< Of four bytes, beyond the first four.
    std::optional<std::uint8_t> protocol = {};
    std::uint16_t flags = 0;
    Bytes extra = {};
};

struct Raw {
    Bytes bytes;
};

/// Behind the end of the IP packet: counted by no length.
struct Pad {
    Bytes bytes;
};

using Layer = std::variant<Eth, Vlan, Ip4, Ip6, Extension, Fragment6, Tcp, Udp, Sctp, Icmp, Gre,
                           Gue, Raw, Pad>;

struct Packet {
    std::vector<Layer> layers;

    /// The frame. `flow_hash` feeds the layers that take entropy.
    [[nodiscard]] Bytes bytes(std::uint64_t flow_hash = 0) const;
};

Packet operator/(const Packet& outer, const Packet& inner);

Packet eth(Eth layer = {});
Packet vlan(std::uint16_t id, std::uint16_t protocol = 0x8100);
Packet ip4(Ip4 layer = {});
Packet ip6(Ip6 layer = {});
Packet hop_by_hop(Bytes body = Bytes(6, 0));
Packet dest_opts(Bytes body = Bytes(6, 0));
Packet routing(std::uint8_t segments_left = 0, std::uint8_t type = 4);
Packet auth(std::size_t icv_len = 12);
Packet extension(Extension layer);
Packet fragment6(Fragment6 layer = {});
Packet tcp(Tcp layer = {});
Packet udp(Udp layer = {});
Packet sctp(Sctp layer = {});
Packet icmp4(Icmp layer = {});
Packet icmp6(Icmp layer = {.type = 128});
Packet echo4(std::uint16_t id = 1, std::uint16_t seq = 1, std::uint8_t type = 8);
Packet echo6(std::uint16_t id = 1, std::uint16_t seq = 1, std::uint8_t type = 128);
Packet gre(Gre layer = {});
Packet gue(Gue layer = {});
Packet raw(Bytes bytes);
Packet pad(std::size_t size, std::uint8_t value = 0);
/// `size` bytes 0, 1, 2, ... from `first` on.
Packet payload(std::size_t size, std::uint8_t first = 0);

/// The first `size` bytes of the whole, as they are.
Packet cut(const Packet& packet, std::size_t size);
/// What an ICMP error quotes: the first `size` bytes of an IP packet.
Packet quote(const Packet& ip_packet, std::size_t size = SIZE_MAX);
/// One byte of the whole changed by exclusive or.
Packet corrupt(const Packet& packet, std::size_t offset, std::uint8_t bits = 0x01);

/// `packet` (eth, tags, an IP header, anything) as fragments of at most `size` payload bytes, a
/// multiple of eight; correct sums throughout. IPv6 gets a fragment header behind its own.
std::vector<Packet> fragments(const Packet& packet, std::size_t size, std::uint32_t id = 0x4242);

/// One's-complement sum over `bytes`, odd lengths padded, folded to 16 bits, not inverted.
std::uint16_t ones_sum(const Bytes& bytes, std::uint32_t start = 0);

}  // namespace sluice::packet
