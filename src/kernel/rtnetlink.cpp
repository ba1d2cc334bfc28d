// SPDX-License-Identifier: Apache-2.0
#include "kernel/rtnetlink.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>

namespace sluice::kernel {
namespace {

MacAddress mac_of(ByteSpan data) {
    MacAddress out;
    std::copy_n(data.begin(), out.bytes.size(), out.bytes.begin());
    return out;
}

void read_link_info(ByteSpan info, Link& link) {
    ByteSpan kind_data;
    for_each_attribute(info, [&](const Attribute& attribute) {
        if (attribute.type == IFLA_INFO_KIND) link.kind = attribute.text();
        if (attribute.type == IFLA_INFO_DATA) kind_data = attribute.data;
    });
    if (link.kind != "vlan") return;
    plan::VlanTag tag;
    for_each_attribute(kind_data, [&](const Attribute& attribute) {
        if (attribute.type == IFLA_VLAN_ID) tag.id = attribute.u16();
        if (attribute.type == IFLA_VLAN_PROTOCOL) tag.protocol = ntohs(attribute.u16());
    });
    link.vlan = tag;
}

void read_xdp(ByteSpan xdp, Link& link) {
    for_each_attribute(xdp, [&](const Attribute& attribute) {
        if (attribute.type == IFLA_XDP_PROG_ID) link.xdp_prog_id = attribute.u32();
        if (attribute.type != IFLA_XDP_ATTACHED) return;
        switch (attribute.u8()) {
            case XDP_ATTACHED_DRV:
                link.xdp_mode = "native";
                break;
            case XDP_ATTACHED_SKB:
                link.xdp_mode = "generic";
                break;
            case XDP_ATTACHED_HW:
                link.xdp_mode = "offload";
                break;
            case XDP_ATTACHED_MULTI:
                link.xdp_mode = "multiple";
                break;
            default:
                break;
        }
    });
}

bool dead(unsigned flags) {
    return (flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0;
}

/// RTA_VIA: family and address, used when the gateway's family is not the route's.
std::optional<IpAddress> via_address(const Attribute& attribute) {
    if (attribute.data.size() < sizeof(std::uint16_t)) return std::nullopt;
    return Attribute{0, attribute.data.subspan(sizeof(std::uint16_t))}.address();
}

void read_gateway(const Attribute& attribute, RouteHop& hop) {
    if (attribute.type == RTA_GATEWAY) hop.gateway = attribute.address();
    if (attribute.type == RTA_VIA) hop.gateway = via_address(attribute);
}

void read_multipath(ByteSpan bytes, Route& route) {
    while (bytes.size() >= sizeof(rtnexthop)) {
        rtnexthop header;
        std::memcpy(&header, bytes.data(), sizeof header);
        if (header.rtnh_len < sizeof header || header.rtnh_len > bytes.size()) return;
        RouteHop hop{static_cast<std::uint32_t>(header.rtnh_ifindex), std::nullopt,
                     dead(header.rtnh_flags)};
        for_each_attribute(bytes.subspan(sizeof header, header.rtnh_len - sizeof header),
                           [&](const Attribute& attribute) { read_gateway(attribute, hop); });
        route.hops.push_back(hop);
        bytes = bytes.subspan(std::min<std::size_t>(RTNH_ALIGN(header.rtnh_len), bytes.size()));
    }
}

}  // namespace

std::optional<Link> parse_link(const NetlinkMessage& message) {
    if (message.type != RTM_NEWLINK && message.type != RTM_DELLINK) return std::nullopt;
    const auto header = message.header<ifinfomsg>();
    if (header.ifi_family != AF_UNSPEC || header.ifi_index <= 0) return std::nullopt;
    Link link;
    link.ifindex = static_cast<std::uint32_t>(header.ifi_index);
    link.ethernet = header.ifi_type == ARPHRD_ETHER;
    link.up = (header.ifi_flags & IFF_UP) != 0;
    link.running = link.up && (header.ifi_flags & IFF_RUNNING) != 0;
    std::uint32_t linked = 0;
    bool other_namespace = false;
    for_each_attribute(message.attributes<ifinfomsg>(), [&](const Attribute& attribute) {
        switch (attribute.type) {
            case IFLA_IFNAME:
                link.name = attribute.text();
                break;
            case IFLA_ADDRESS:
                if (attribute.data.size() == 6) link.mac = mac_of(attribute.data);
                break;
            case IFLA_MTU:
                link.mtu = attribute.u32();
                break;
            case IFLA_MASTER:
                link.master = attribute.u32();
                break;
            case IFLA_LINK:
                linked = attribute.u32();
                break;
            case IFLA_LINK_NETNSID:
                other_namespace = true;
                break;
            case IFLA_LINKINFO:
                read_link_info(attribute.data, link);
                break;
            case IFLA_XDP:
                read_xdp(attribute.data, link);
                break;
            default:
                break;
        }
    });
    // A veth's link is its peer, and a VLAN device may have been moved away from what it sits on:
    // frames then leave by the device itself, which adds the tag.
    if (link.vlan && !other_namespace)
        link.lower = linked;
    else
        link.vlan.reset();
    return link;
}

bool Neighbour::usable() const {
    constexpr std::uint16_t kUsable =
        NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
    return has_mac && (state & kUsable) != 0;
}

std::optional<Neighbour> parse_neighbour(const NetlinkMessage& message) {
    if (message.type != RTM_NEWNEIGH && message.type != RTM_DELNEIGH) return std::nullopt;
    const auto header = message.header<ndmsg>();
    if (header.ndm_family != AF_INET && header.ndm_family != AF_INET6) return std::nullopt;
    Neighbour out;
    out.key.ifindex = static_cast<std::uint32_t>(header.ndm_ifindex);
    out.state = header.ndm_state;
    out.fixed = (header.ndm_state & (NUD_PERMANENT | NUD_NOARP)) != 0 ||
                (header.ndm_flags & NTF_EXT_LEARNED) != 0;
    bool has_address = false;
    for_each_attribute(message.attributes<ndmsg>(), [&](const Attribute& attribute) {
        if (attribute.type == NDA_DST) {
            const auto address = attribute.address();
            has_address = address && address->is_ip6 == (header.ndm_family == AF_INET6);
            if (has_address) out.key.address = *address;
        } else if (attribute.type == NDA_LLADDR && attribute.data.size() == 6) {
            out.mac = mac_of(attribute.data);
            out.has_mac = true;
        } else if (attribute.type == NDA_FLAGS_EXT) {
            out.managed = (attribute.u32() & NTF_EXT_MANAGED) != 0;
        }
    });
    if (!has_address) return std::nullopt;
    return out;
}

std::optional<AddressChange> parse_address(const NetlinkMessage& message) {
    if (message.type != RTM_NEWADDR && message.type != RTM_DELADDR) return std::nullopt;
    const auto header = message.header<ifaddrmsg>();
    std::optional<IpAddress> address;
    std::uint32_t flags = header.ifa_flags;
    bool has_local = false;
    for_each_attribute(message.attributes<ifaddrmsg>(), [&](const Attribute& attribute) {
        // On a point-to-point link IFA_ADDRESS is the peer's and IFA_LOCAL ours.
        if (attribute.type == IFA_LOCAL) {
            address = attribute.address();
            has_local = true;
        } else if (attribute.type == IFA_ADDRESS && !has_local) {
            address = attribute.address();
        } else if (attribute.type == IFA_FLAGS) {
            flags = attribute.u32();
        }
    });
    if (!address) return std::nullopt;
    AddressChange out{{header.ifa_index, *address}, false};
    const bool waits = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
    out.usable = message.type == RTM_NEWADDR && !waits && (flags & IFA_F_DADFAILED) == 0;
    return out;
}

std::optional<Route> parse_route(const NetlinkMessage& message) {
    if (message.type != RTM_NEWROUTE && message.type != RTM_DELROUTE) return std::nullopt;
    const auto header = message.header<rtmsg>();
    if (header.rtm_family != AF_INET && header.rtm_family != AF_INET6) return std::nullopt;
    Route route;
    route.type = header.rtm_type;
    route.destination.address.is_ip6 = header.rtm_family == AF_INET6;
    route.destination.len = std::min(header.rtm_dst_len, route.destination.address.bits());
    RouteHop single;
    for_each_attribute(message.attributes<rtmsg>(), [&](const Attribute& attribute) {
        read_gateway(attribute, single);
        const auto address = attribute.address();
        if (attribute.type == RTA_DST && address) route.destination.address = *address;
        if (attribute.type == RTA_PREFSRC && address) route.preferred_source = *address;
        if (attribute.type == RTA_OIF) single.ifindex = attribute.u32();
        if (attribute.type == RTA_MULTIPATH) read_multipath(attribute.data, route);
        if (attribute.type != RTA_METRICS) return;
        for_each_attribute(attribute.data, [&](const Attribute& metric) {
            if (metric.type == RTAX_MTU) route.mtu = metric.u32();
        });
    });
    single.dead = dead(header.rtm_flags);
    if (single.ifindex != 0) route.hops.push_back(single);
    return route;
}

}  // namespace sluice::kernel
