// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How a backend is reached, as the kernel's routes, neighbours and links say it. Filled by
/// kernel/network.h, by hand in tests; read by plan/header_template.h.

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"

namespace sluice::plan {

struct VlanTag {
    std::uint16_t id = 0;             ///< 1..4094.
    std::uint16_t protocol = 0x8100;  ///< 0x8100 (802.1Q) or 0x88a8 (802.1ad), host byte order.
    auto operator<=>(const VlanTag&) const = default;
};

enum class HopState {
    resolved,    ///< Everything below is known.
    local,       ///< The address is this node's own: deliver.
    no_route,    ///< No route, or an unreachable, blackhole or prohibit one.
    unresolved,  ///< The neighbour is not known (yet); resolution was asked for.
    link_down,   ///< The interface is gone or down.
};

struct NextHop {
    HopState state = HopState::unresolved;
    std::uint32_t ifindex = 0;   ///< The device frames leave by: below VLAN devices.
    std::string interface;       ///< Its name.
    std::vector<VlanTag> vlans;  ///< Outermost first, at most SLC_MAX_VLANS.
    MacAddress source;
    MacAddress destination;
    std::uint16_t mtu = 0;       ///< Longest IP packet: the least of route and links, bytes.
    IpAddress preferred_source;  ///< What Linux would use as source; unspecified if unknown.
    bool via_gateway = false;    ///< Not on-link: no L2 forwarding is possible.
    std::string why;  ///< For people, when not resolved: "no neighbour 10.0.0.5 on eth0".

    bool operator==(const NextHop&) const = default;
};

const char* name_of(HopState state);

}  // namespace sluice::plan
