// SPDX-License-Identifier: Apache-2.0
#include "kernel/own_routes.h"

#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace sluice::kernel {
namespace {

// linux/if_addr.h of Debian 12 has it; older headers do not.
constexpr std::uint16_t kAddressProtocol = 11;  // IFA_PROTO

std::uint8_t family_of(const IpAddress& address) {
    return address.is_ip6 ? AF_INET6 : AF_INET;
}

Result<std::uint32_t> index_of(const std::string& interface) {
    const std::uint32_t index = ::if_nametoindex(interface.c_str());
    if (index == 0) return fail(Errc::not_found, "there is no interface " + interface);
    return index;
}

/// An address or a route that is there.
struct Found {
    IpPrefix prefix;
    std::uint8_t protocol = 0;
};

Result<std::vector<Found>> list_addresses(NetlinkSocket& socket, std::uint32_t index) {
    NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
    ifaddrmsg header{};
    header.ifa_index = index;
    request.header(header);
    std::vector<Found> out;
    SLC_CHECK(socket.dump(
                  request, "list addresses", [&] { out.clear(); },
                  [&](const NetlinkMessage& message) {
                      const auto about = message.header<ifaddrmsg>();
                      if (message.type != RTM_NEWADDR || about.ifa_index != index) return;
                      std::optional<IpAddress> address, local;
                      Found found;
                      for_each_attribute(message.attributes<ifaddrmsg>(),
                                         [&](const Attribute& each) {
                                             if (each.type == IFA_ADDRESS) address = each.address();
                                             if (each.type == IFA_LOCAL) local = each.address();
                                             if (each.type == kAddressProtocol)
                                                 found.protocol = each.u8();
                                         });
                      if (!local) local = address;  // IPv6 says it so.
                      if (!local) return;
                      found.prefix = {*local, about.ifa_prefixlen};
                      out.push_back(found);
                  }),
              "own addresses");
    return out;
}

std::uint32_t table_of(std::uint32_t table) {
    return table == 0 ? std::uint32_t{RT_TABLE_MAIN} : table;
}

/// All routes of a table, but for those that the kernel caches.
Result<std::vector<Found>> list_routes(NetlinkSocket& socket, std::uint32_t table, bool ip6) {
    NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP);
    rtmsg header{};
    header.rtm_family = ip6 ? AF_INET6 : AF_INET;
    request.header(header);
    std::vector<Found> out;
    SLC_CHECK(socket.dump(
                  request, "list routes", [&] { out.clear(); },
                  [&](const NetlinkMessage& message) {
                      const auto about = message.header<rtmsg>();
                      if (message.type != RTM_NEWROUTE || (about.rtm_flags & RTM_F_CLONED) != 0)
                          return;
                      std::uint32_t in = about.rtm_table;
                      Found found;
                      found.prefix.address.is_ip6 = ip6;
                      found.prefix.len = about.rtm_dst_len;
                      for_each_attribute(message.attributes<rtmsg>(), [&](const Attribute& each) {
                          if (each.type == RTA_TABLE) in = each.u32();
                          if (each.type != RTA_DST) return;
                          if (const auto address = each.address()) found.prefix.address = *address;
                      });
                      if (in != table) return;
                      const bool is_ours =
                          about.rtm_protocol == kOwnProtocol && about.rtm_type == RTN_BLACKHOLE;
                      found.protocol = is_ours ? kOwnProtocol : std::uint8_t{0};
                      out.push_back(found);
                  }),
              "own routes");
    return out;
}

bool is_ours(const std::vector<Found>& all, const IpPrefix& prefix) {
    return std::any_of(all.begin(), all.end(), [&](const Found& each) {
        return each.prefix == prefix && each.protocol == kOwnProtocol;
    });
}

std::vector<IpPrefix> ours(const std::vector<Found>& all) {
    std::vector<IpPrefix> out;
    for (const Found& each : all)
        if (each.protocol == kOwnProtocol) out.push_back(each.prefix);
    std::sort(out.begin(), out.end());
    return out;
}

NetlinkRequest address_request(std::uint16_t type, std::uint16_t flags, std::uint32_t index,
                               const IpPrefix& prefix) {
    ifaddrmsg header{};
    header.ifa_family = family_of(prefix.address);
    header.ifa_prefixlen = prefix.len;
    // Nobody else has a VIP on this link, or all have it and do not answer for it.
    header.ifa_flags = prefix.address.is_ip6 ? IFA_F_NODAD : 0;
    header.ifa_index = index;
    NetlinkRequest request(type, flags);
    request.header(header)
        .put_address(IFA_LOCAL, prefix.address)
        .put_address(IFA_ADDRESS, prefix.address)
        .put(kAddressProtocol, {&kOwnProtocol, 1});
    return request;
}

NetlinkRequest route_request(std::uint16_t type, std::uint16_t flags, std::uint32_t table,
                             const IpPrefix& prefix) {
    rtmsg header{};
    header.rtm_family = family_of(prefix.address);
    header.rtm_dst_len = prefix.len;
    header.rtm_table =
        table < 256 ? static_cast<std::uint8_t>(table) : std::uint8_t{RT_TABLE_COMPAT};
    header.rtm_protocol = kOwnProtocol;
    header.rtm_scope = RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_BLACKHOLE;
    NetlinkRequest request(type, flags);
    request.header(header).put_address(RTA_DST, prefix.network().address).put_u32(RTA_TABLE, table);
    return request;
}

tl::unexpected<Error> refused(const NetlinkReply& reply, const std::string& what) {
    Error error = sys_error(reply.error, what);
    if (!reply.message.empty()) error.what += ": " + reply.message;
    return fail(std::move(error));
}

tl::unexpected<Error> taken(const std::string& what) {
    return fail(Errc::conflict, what + " is there already, and not ours",
                "remove it, or announce the VIP by another way");
}

}  // namespace

Result<OwnRoutes> OwnRoutes::open() {
    return OwnRoutes(SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "own routes"));
}

Result<void> OwnRoutes::add_address(const std::string& interface, const IpPrefix& prefix) {
    const std::uint32_t index = SLC_TRY(index_of(interface), "add address");
    const NetlinkReply reply = SLC_TRY(
        socket_.exchange(address_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, prefix)),
        "add address");
    if (reply.error == 0) return {};
    const std::string what = fmt::format("address {} on {}", prefix.text(), interface);
    if (reply.error != EEXIST) return refused(reply, "add " + what);
    if (is_ours(SLC_TRY(list_addresses(socket_, index), "add address"), prefix)) return {};
    return taken(what);
}

Result<void> OwnRoutes::remove_address(const std::string& interface, const IpPrefix& prefix) {
    const auto index = index_of(interface);
    if (!index) return {};  // Its addresses went with it.
    if (!is_ours(SLC_TRY(list_addresses(socket_, *index), "remove address"), prefix)) return {};
    const NetlinkReply reply = SLC_TRY(
        socket_.exchange(address_request(RTM_DELADDR, 0, *index, prefix)), "remove address");
    if (reply.error == 0 || reply.error == EADDRNOTAVAIL) return {};
    return refused(reply, fmt::format("remove address {} on {}", prefix.text(), interface));
}

Result<void> OwnRoutes::add_blackhole(std::uint32_t table, const IpPrefix& prefix) {
    const std::uint32_t in = table_of(table);
    const NetlinkReply reply = SLC_TRY(
        socket_.exchange(route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, in, prefix)),
        "add route");
    if (reply.error == 0) return {};
    const std::string what = fmt::format("route {} in table {}", prefix.text(), in);
    if (reply.error != EEXIST) return refused(reply, "add " + what);
    const auto all = SLC_TRY(list_routes(socket_, in, prefix.address.is_ip6), "add route");
    if (is_ours(all, prefix.network())) return {};
    return taken(what);
}

Result<void> OwnRoutes::remove_blackhole(std::uint32_t table, const IpPrefix& prefix) {
    const std::uint32_t in = table_of(table);
    // The kernel removes what has this protocol and this type, and nothing else.
    const NetlinkReply reply =
        SLC_TRY(socket_.exchange(route_request(RTM_DELROUTE, 0, in, prefix)), "remove route");
    if (reply.error == 0 || reply.error == ESRCH) return {};
    return refused(reply, fmt::format("remove route {} in table {}", prefix.text(), in));
}

Result<std::vector<IpPrefix>> OwnRoutes::addresses(const std::string& interface) {
    const auto index = index_of(interface);
    if (!index) return std::vector<IpPrefix>{};
    return ours(SLC_TRY(list_addresses(socket_, *index), "own addresses"));
}

Result<std::vector<IpPrefix>> OwnRoutes::blackholes(std::uint32_t table) {
    auto out = ours(SLC_TRY(list_routes(socket_, table_of(table), false), "own routes"));
    const auto more = ours(SLC_TRY(list_routes(socket_, table_of(table), true), "own routes"));
    out.insert(out.end(), more.begin(), more.end());
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace sluice::kernel
