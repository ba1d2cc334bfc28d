// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a notation says (notation.h), as values between its text and the bytes of the frame:
///
///   text --read--> Spec --encode--> bytes --decode--> Spec --print--> text
///
/// Only src/packet includes it. Numbers are in host byte order. What is not set follows from the
/// rest: lengths, checksums, next-protocol fields.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace sluice::packet {

using Octets = std::vector<std::uint8_t>;

enum class SpecKind { tcp, udp, sctp, icmp, icmp6, ip, ipip, gre, gue, ether, raw_frame, raw_ip };

/// The word that begins a notation; nullptr for the raw ones.
const char* word_of(SpecKind kind);
constexpr bool is_tunnel(SpecKind kind) {
    return kind == SpecKind::ipip || kind == SpecKind::gre || kind == SpecKind::gue;
}
constexpr bool has_ports(SpecKind kind) {
    return kind == SpecKind::tcp || kind == SpecKind::udp || kind == SpecKind::sctp ||
           kind == SpecKind::gue;
}
constexpr bool is_icmp(SpecKind kind) {
    return kind == SpecKind::icmp || kind == SpecKind::icmp6;
}

namespace tcp_flag {
inline constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10,
                              urg = 0x20, ece = 0x40, cwr = 0x80;
}

inline constexpr std::uint8_t kDefaultTtl = 64;
inline constexpr std::uint16_t kDefaultId = 1;
inline constexpr std::uint32_t kDefaultIcmpRest = 0x00010001;  ///< Identifier 1, sequence 1.
inline constexpr std::uint16_t kDefaultGueSourcePort = 50000;
inline constexpr std::uint16_t kDefaultGuePort = 6080;
inline constexpr std::size_t kMaxVlans = 4;
inline constexpr std::size_t kMaxNesting = 3;  ///< A tunnel with an ICMP error with its quote.
inline constexpr std::size_t kMaxTcpOptions = 40;
inline constexpr std::size_t kMaxIpOptions = 40;
inline constexpr std::size_t kEthernetLen = 14;

struct Spec {
    SpecKind kind = SpecKind::tcp;
    std::vector<std::uint16_t> vlans;  ///< Outermost first.
    IpAddress source;
    IpAddress destination;
    std::optional<std::uint16_t> source_port;
    std::optional<std::uint16_t> destination_port;

    // The IP header.
    std::uint8_t ttl = kDefaultTtl;
    std::uint8_t dscp = 0;
    std::uint8_t ecn = 0;
    bool df = false;
    std::optional<std::uint32_t> id;
    std::optional<std::uint32_t> fragment;  ///< Offset in bytes.
    bool more_fragments = false;
    std::optional<std::uint16_t> ip_len;
    std::optional<std::uint16_t> ip_checksum;
    Octets ip_options;
    std::vector<std::uint8_t> extensions;  ///< IPv6, by protocol number; fragment not among them.
    std::uint8_t protocol = 0;             ///< SpecKind::ip only.

    // The transport header.
    std::optional<std::uint8_t> flags;  ///< TCP; unset: ack.
    Octets options;                     ///< TCP; padded to words.
    std::optional<std::uint8_t> tcp_words;
    std::optional<std::uint16_t> udp_len;
    std::optional<std::uint16_t> checksum;
    std::optional<std::uint8_t> icmp_type;
    std::uint8_t icmp_code = 0;
    std::uint32_t icmp_rest = 0;  ///< Bytes 4..7.

    /// The payload begins with `data` and goes on with fill() up to `len`.
    Octets data;
    std::optional<std::uint32_t> len;

    std::vector<Spec> inner;             ///< One: what a tunnel carries or an ICMP error quotes.
    std::optional<std::uint32_t> quote;  ///< At most so many bytes of it are quoted.

    std::uint16_t ether_type = 0;  ///< SpecKind::ether only.
    Octets raw;                    ///< raw_frame and raw_ip.
    std::optional<std::uint32_t> cut;

    [[nodiscard]] bool is_ip6() const { return source.is_ip6; }
    [[nodiscard]] bool is_later_fragment() const { return fragment.value_or(0) != 0; }
    [[nodiscard]] std::size_t payload_len() const { return len ? *len : data.size(); }
};

/// The byte at place `index` of a payload that nobody has said.
constexpr std::uint8_t fill(std::size_t index) {
    return static_cast<std::uint8_t>(index);
}

/// Errc::invalid names the word.
Result<Spec> read_spec(std::string_view text);
/// Errors: invalid for what fits no frame.
Result<Octets> encode(const Spec& spec);
/// What build() makes the same way of again; raw_frame for what has no shorter form.
Spec decode(std::span<const std::uint8_t> frame);
std::string print(const Spec& spec);

/// Names of ICMP types: "echo-request".
struct IcmpName {
    const char* name;
    bool six;
    std::uint8_t type;
    std::uint8_t code;
    bool is_error;  ///< It quotes a packet.
    std::uint32_t rest;
};
/// In the order in which they are tried.
std::span<const IcmpName> icmp_names();

/// Data of a neighbour solicitation or advertisement that says none: its destination.
bool is_neighbour_discovery(const Spec& spec);

}  // namespace sluice::packet
