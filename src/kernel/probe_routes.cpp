// SPDX-License-Identifier: Apache-2.0

/// Where marked packets to VIPs leave: the kernel is asked as it would be by the probes themselves,
/// so that rules for their mark count.

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/netlink.h"
#include "kernel/probe_path.h"
#include "kernel/rtnetlink.h"

namespace sluice::kernel {
namespace {

struct Reply {
    Route route;
    int error = 0;
};

NetlinkRequest question(const IpAddress& vip, std::uint32_t flags) {
    rtmsg header{};
    header.rtm_family = vip.is_ip6 ? AF_INET6 : AF_INET;
    header.rtm_dst_len = vip.bits();
    header.rtm_flags = flags;
    NetlinkRequest request(RTM_GETROUTE, 0);
    request.header(header)
        .put_address(RTA_DST, vip)
        .put_u32(RTA_MARK, ProbePath::mark_of(0))
        .unacknowledged();
    return request;
}

Result<std::vector<Reply>> ask(NetlinkSocket& socket, const std::vector<IpAddress>& vips,
                               std::uint32_t flags) {
    std::vector<NetlinkRequest> questions;
    questions.reserve(vips.size());
    for (const IpAddress& vip : vips) questions.push_back(question(vip, flags));
    std::vector<Reply> out(vips.size());
    SLC_CHECK(socket.ask(questions,
                         [&](std::size_t index, const NetlinkMessage* answer, int error) {
                             out[index].error = error;
                             if (answer == nullptr) return;
                             if (auto parsed = parse_route(*answer)) out[index].route = *parsed;
                         }),
              "routes of probes");
    return out;
}

/// Empty for what packets can be sent by.
std::string refusal_of(const IpAddress& vip, const Reply& reply) {
    if (reply.error != 0) return "no route to " + vip.text() + ": " + std::strerror(reply.error);
    const std::uint8_t type = reply.route.type;
    if (type == RTN_UNICAST || type == RTN_LOCAL) return {};
    return "the route to " + vip.text() + " takes no packets";
}

constexpr std::uint32_t kLoopback = 1;  ///< Index of lo, in every namespace.

/// Those of lo last: among them may be VIPs that nobody probes.
Result<std::vector<IpAddress>> own_addresses(NetlinkSocket& socket) {
    NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
    request.header(ifaddrmsg{});
    std::vector<LocalAddress> found;
    SLC_CHECK(socket.dump(
                  request, "list addresses", [&] { found.clear(); },
                  [&](const NetlinkMessage& message) {
                      const auto change = parse_address(message);
                      if (change && change->usable) found.push_back(change->entry);
                  }),
              "addresses");
    std::ranges::stable_partition(
        found, [](const LocalAddress& each) { return each.ifindex != kLoopback; });
    std::vector<IpAddress> out;
    for (const LocalAddress& each : found) out.push_back(each.address);
    return out;
}

/// Answers to a VIP would stay on the backend's host, and link-local ones do not cross routers.
bool can_be_source(const IpAddress& address, const std::vector<IpAddress>& vips) {
    return !address.is_unspecified() && !address.is_loopback() && !address.is_link_local() &&
           std::ranges::find(vips, address) == vips.end();
}

IpAddress source_of(const ProbeRoute& route, const IpAddress& chosen,
                    const std::vector<IpAddress>& own, const std::vector<IpAddress>& vips) {
    if (can_be_source(chosen, vips)) return chosen;
    // Where no device is decided on, any address of the node will do.
    const bool is_free = route.is_local || !route.refused.empty();
    for (const IpAddress& each : own)
        if (is_free && each.is_ip6 == route.vip.is_ip6 && can_be_source(each, vips)) return each;
    IpAddress none;
    none.is_ip6 = route.vip.is_ip6;
    return none;
}

void add_hops(const Reply& reply, std::set<std::string>& interfaces) {
    for (const RouteHop& hop : reply.route.hops) {
        char name[IF_NAMESIZE] = {};
        if (::if_indextoname(hop.ifindex, name) != nullptr) interfaces.insert(name);
    }
}

}  // namespace

/// Two questions: the table's entry has all hops of a multipath route, the choice has the source
/// and the hops of nexthop objects.
Result<std::vector<ProbeRoute>> probe_routes(const std::vector<IpAddress>& vips) {
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "routes of probes");
    const auto entries = SLC_TRY(ask(socket, vips, RTM_F_FIB_MATCH), "probes");
    const auto chosen = SLC_TRY(ask(socket, vips, 0), "probes");
    const auto own = SLC_TRY(own_addresses(socket), "probes");
    std::vector<ProbeRoute> out;
    for (std::size_t i = 0; i < vips.size(); ++i) {
        ProbeRoute route{.vip = vips[i], .refused = refusal_of(vips[i], chosen[i])};
        route.is_local = chosen[i].route.type == RTN_LOCAL;
        route.source = source_of(route, chosen[i].route.preferred_source, own, vips);
        if (route.refused.empty()) {
            // Whatever device has a local address, packets to it leave by lo.
            if (!route.is_local) add_hops(entries[i], route.interfaces);
            add_hops(chosen[i], route.interfaces);
        }
        out.push_back(std::move(route));
    }
    return out;
}

Result<std::set<std::string>> probe_interfaces(const std::vector<IpAddress>& vips) {
    std::set<std::string> out;
    for (const ProbeRoute& route : SLC_TRY(probe_routes(vips), "probes"))
        out.insert(route.interfaces.begin(), route.interfaces.end());
    return out;
}

}  // namespace sluice::kernel
