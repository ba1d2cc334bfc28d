// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Frames by which neighbours on one link learn whose an address is: ARP (RFC 826, RFC 5227) for
/// IPv4, neighbour discovery (RFC 4861) for IPv6. Written and read without a socket. Pure.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ip.h"

namespace sluice::kernel {

/// Somebody says that an address is his.
struct NeighbourClaim {
    enum class Kind { arp_request, arp_reply, advertisement };
    Kind kind = Kind::arp_reply;
    IpAddress address;
    MacAddress mac;  ///< Where its packets shall be sent.
    auto operator<=>(const NeighbourClaim&) const = default;
};

/// The claim of a frame, Ethernet header included and VLAN tag taken off; nothing where there is
/// none or it is malformed. Of ARP requests and replies the sender's address, which all who hear it
/// may believe (RFC 826); none in a probe. Of neighbour advertisements the target, if all that RFC
/// 4861 7.1.2 asks for holds, the checksum too.
std::optional<NeighbourClaim> claim_of(std::span<const std::uint8_t> frame);

/// Frames from `mac`, which asks.
std::vector<std::uint8_t> arp_probe(const MacAddress& mac, const IpAddress& address);
/// `source`: an address of the interface, so that the answer comes to `mac` alone.
std::vector<std::uint8_t> neighbour_solicitation(const MacAddress& mac, const IpAddress& source,
                                                 const IpAddress& address);

/// Frames that say to all neighbours that `address` is at `mac`: what they remember of it is
/// replaced. Both forms of ARP, because some hear only one of them (RFC 5227 3); a neighbour
/// advertisement with the override flag (RFC 4861 7.2.6).
std::vector<std::vector<std::uint8_t>> announcements(const MacAddress& mac,
                                                     const IpAddress& address);

}  // namespace sluice::kernel
