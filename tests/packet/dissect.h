// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Reads frames back: as named fields for a diff that a person can use, and as a judge of what the
/// data plane sends. Shares no code with packet.cpp nor with bpf/.

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/packet/packet.h"

namespace sluice::packet {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// Every field of every header, in order: {"ip4[0].dst", "10.0.0.5"}. Never fails: what cannot be
/// read is one field of raw bytes.
Fields dissect(const Bytes& frame, std::uint16_t gue_port = 6080);

/// Fields that differ, then both hexdumps. Empty when the frames are equal.
std::string diff(const Bytes& want, const Bytes& got);

std::string hexdump(const Bytes& bytes);

/// What was found at the head of a frame.
struct Head {
    std::size_t l3 = 0;  ///< Offset of the IP header.
    std::uint16_t ether_type = 0;
    bool readable = false;  ///< Ethernet and at most two tags are whole.
};
Head head_of(const Bytes& frame);

/// Destination of the outermost IP header, when it can be read.
std::optional<IpAddress> destination_of(const Bytes& frame);

/// Judges a frame that is about to leave: Ethernet and tags whole; IP lengths equal to what is
/// there, but for up to `padding` bytes behind it; IPv4 header sum right; of a tunnel (`tunnel`
/// set) GRE, UDP and GUE headers whole and sums right down to the inner IP header, whose length
/// must fill the tunnel; of an answer to ICMP its sum. Returns what is wrong, or nothing.
std::optional<std::string> judge(const Bytes& frame, bool tunnel, std::size_t padding = 0,
                                 std::uint16_t gue_port = 6080);

/// Whether the IPv4 header sum and the TCP or UDP sum of a whole IP packet are right. True for
/// other protocols and fragments, whose sums are not looked at.
bool sums_right(const Bytes& ip);

/// The IP packet that a tunnel frame carries, or nothing if it is none.
std::optional<Bytes> inner_of(const Bytes& frame, std::uint16_t gue_port = 6080);

/// The IP packet of a plain frame, without Ethernet padding as far as its length can be believed.
std::optional<Bytes> ip_of(const Bytes& frame);

}  // namespace sluice::packet
