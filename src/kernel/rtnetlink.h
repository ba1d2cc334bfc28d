// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Links, neighbours, addresses and routes as values, read from single rtnetlink messages. Pure:
/// what arrives on the socket is decided by network.cpp, and the parsers are tested with bytes.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "kernel/netlink.h"
#include "plan/next_hop.h"

namespace sluice::kernel {

/// An interface. Nothing in it changes with traffic, so that equality means "nothing happened".
struct Link {
    std::uint32_t ifindex = 0;
    std::string name;
    std::string kind;  ///< "veth", "vlan", "bond"; empty for hardware.
    MacAddress mac;
    std::uint32_t mtu = 0;
    bool ethernet = false;    ///< Frames on it start with an Ethernet header.
    bool up = false;          ///< Administratively.
    bool running = false;     ///< Up, with carrier, and not dormant.
    std::uint32_t lower = 0;  ///< VLAN devices: what they sit on, in the same namespace; else 0.
    std::optional<plan::VlanTag> vlan;
    std::uint32_t master = 0;  ///< Bond or bridge that it is a port of, or 0.
    std::uint32_t xdp_prog_id = 0;
    std::string xdp_mode;  ///< "native", "generic", "offload", "multiple" or empty.

    bool operator==(const Link&) const = default;
};

/// Nothing for other messages, and for those of bridges about their ports, which are no links.
std::optional<Link> parse_link(const NetlinkMessage& message);

struct NeighbourKey {
    std::uint32_t ifindex = 0;
    IpAddress address;
    auto operator<=>(const NeighbourKey&) const = default;
};

struct Neighbour {
    NeighbourKey key;
    MacAddress mac;
    std::uint16_t state = 0;  ///< NUD_*.
    bool has_mac = false;
    bool managed = false;  ///< The kernel keeps it resolved for somebody (NTF_EXT_MANAGED).
    bool fixed = false;  ///< Permanent, without ARP, or kept by a control plane: not ours to touch.

    /// May a frame be sent to it? Old knowledge counts until the kernel finds it wrong.
    [[nodiscard]] bool usable() const;
};

/// IPv4 and IPv6 neighbours only; bridge forwarding entries are none.
std::optional<Neighbour> parse_neighbour(const NetlinkMessage& message);

struct LocalAddress {
    std::uint32_t ifindex = 0;
    IpAddress address;
    auto operator<=>(const LocalAddress&) const = default;
};

/// Addresses that the kernel uses: tentative and failed ones (DAD) are none.
struct AddressChange {
    LocalAddress entry;
    bool usable = false;
};
std::optional<AddressChange> parse_address(const NetlinkMessage& message);

struct RouteHop {
    std::uint32_t ifindex = 0;
    std::optional<IpAddress> gateway;  ///< May be IPv6 for an IPv4 route.
    bool dead = false;                 ///< The kernel knows that its link is down.
    bool operator==(const RouteHop&) const = default;
};

struct Route {
    std::uint8_t type = 0;  ///< RTN_*.
    IpPrefix destination;
    IpAddress preferred_source;  ///< Unspecified if the route says none.
    std::uint32_t mtu = 0;       ///< Metric; 0 if none.
    std::vector<RouteHop> hops;  ///< More than one: a multipath route, in the kernel's order.
};
std::optional<Route> parse_route(const NetlinkMessage& message);

}  // namespace sluice::kernel
