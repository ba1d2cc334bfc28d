// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a frame says in its headers, as far as an explanation speaks of it. Nothing is judged: what
/// is cut or faulty is simply not there. Only src/proof includes it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"

namespace sluice::proof {

struct Ports {
    std::uint16_t source = 0;
    std::uint16_t destination = 0;
};

struct Headers {
    std::vector<std::uint16_t> vlans;  ///< Outermost first.
    std::uint16_t ether_type = 0;      ///< Behind the tags; 0: the frame ends before it.
    bool is_ip = false;                ///< The IP header is there; else nothing below is.
    IpAddress source;
    IpAddress destination;
    std::size_t ip_len = 0;      ///< As the header says.
    std::size_t header_len = 0;  ///< Of the IP header, without extension headers.
    std::uint8_t protocol = 0;   ///< Behind extension headers.
    std::vector<std::uint8_t> extensions;
    bool is_fragment = false;
    std::uint32_t fragment_offset = 0;  ///< Bytes.
    std::uint32_t fragment_id = 0;
    bool df = false;
    std::size_t transport_at = 0;  ///< Offset in the frame.
    std::optional<Ports> ports;    ///< TCP and UDP, but of later fragments.
    std::optional<std::uint8_t> icmp_type;
};

Headers headers_of(std::span<const std::uint8_t> frame);

/// "TCP", "ICMPv6", "protocol 132".
std::string protocol_name(std::uint8_t protocol);

}  // namespace sluice::proof
