// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One row of a packet table: a configuration, a frame, and what must become of it.
///
/// The addresses of the tables (RFC 5737, RFC 3849; backends in 10.0.0.0/24 and fd00::/64). How a
/// backend is reached follows from its last number:
///
///     5   on the interface the packet came by, MTU 9000
///     6   the same, VLAN 100                       9   no neighbour yet
///     7   the same, QinQ 200 (802.1ad), 300       10   this very node
///     8   by another interface (redirect)         11   MTU 1500
///    12   the route leads nowhere                 13   MTU 1280
///
/// Any other number is as 5.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/next_hop.h"
#include "tests/packet/packet.h"

namespace sluice::packet {

class Bench;

enum class Reason : std::uint16_t {
#define SLC_REASON(symbol, label, text, remedy) symbol,
#include "sluice/reasons.def"
#undef SLC_REASON
    COUNT,
};

const char* label_of(Reason reason);

enum class Verdict { aborted = 0, drop = 1, pass = 2, tx = 3, redirect = 4 };  // enum xdp_action

const char* name_of(Verdict verdict);

struct Want {
    Verdict verdict = Verdict::drop;
    Reason reason = Reason::NONE;
    std::optional<Packet> frame = {};  ///< Absent: the frame as it came in.
};

Want tx(Reason reason, Packet frame);
Want redirect(Reason reason, Packet frame);
Want drop(Reason reason);
Want pass(Reason reason);
Want pass(Reason reason, Packet frame);

/// What the flow hash is taken of. Absent in a case: read from the layers of its packet.
struct Flow {
    Ip src = kClient4;
    Ip dst = kVip4;
    std::uint16_t sport = 40000;
    std::uint16_t dport = 80;
    std::uint8_t proto = 6;
    std::optional<std::uint32_t> fragment_id = {};  ///< A later fragment: hashed by this instead.
};

/// What a packet adds to slc_flow_counter. Zero in steady slots, whatever comes.
struct FlowCounts {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t inserts = 0;
    std::uint64_t refused_full = 0;
    std::uint64_t refused_ceiling = 0;
    std::uint64_t held = 0;
    std::uint64_t ids_unknown = 0;
    bool operator==(const FlowCounts&) const = default;
};

std::string text_of(const FlowCounts& counts);

struct Case {
    std::string name;
    std::string config;
    std::function<void(Bench&)> prepare = {};  ///< Makes slots, entries and members what is wanted.
    std::vector<Packet> before = {};           ///< Run first, with whatever outcome.
    Packet in;
    Want want;
    std::string service =
        {};  ///< Its counter must move; empty: none may, unless the frame is sent.
    std::string backend = {};  ///< Its counter must move.
    std::optional<Flow> flow = {};
    FlowCounts counts = {};  ///< Of the service, if any.
    bool inner_sums = true;  ///< The transport sum inside is right, so that verify.py checks it.
};

/// The flow of the outermost IP header and the transport behind it.
std::optional<Flow> flow_of(const Packet& packet);

/// How a test backend is reached; see above.
plan::NextHop fake_hop(const IpAddress& backend);

/// Ethernet header and tags towards a backend.
Packet link_to(const char* backend);

inline constexpr const char* kTunnelSource4 = "10.255.0.0";  // /24 in the configurations
inline constexpr const char* kTunnelSource6 = "fd00:ff::";   // /64

/// Link and outer IP header towards a backend, source entropy and flow label by the flow hash.
Packet outer4(const char* backend, std::uint8_t tos = 0);
Packet outer6(const char* backend, std::uint8_t traffic_class = 0);
/// The same by the family of the address.
Packet outer(const char* backend, std::uint8_t tos = 0);
/// outer() and UDP and GUE headers.
Packet outer_gue(const char* backend, std::uint8_t tos = 0);

/// Without Ethernet, tags and padding.
Packet inner(const Packet& packet);

/// Rows in which one thing varies are made by loops; this joins tables.
std::vector<Case> operator+(std::vector<Case> left, std::vector<Case> right);

}  // namespace sluice::packet
