// SPDX-License-Identifier: Apache-2.0
#include "kernel/network.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "sluice/limits.h"

namespace sluice::kernel {
namespace {

using plan::HopState;
using plan::NextHop;

constexpr int kGroups[] = {
    RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
    RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,  RTNLGRP_NEXTHOP,
};

/// Bounds of one call: notifications read by process(), neighbours asked for by tick().
constexpr std::size_t kMaxDatagrams = 8192;
constexpr std::size_t kMaxAsked = 256;
/// Devices under a VLAN device; the kernel itself stops nesting at eight.
constexpr int kMaxStack = 8;

std::uint8_t family_of(const IpAddress& address) {
    return address.is_ip6 ? AF_INET6 : AF_INET;
}

template <typename Key>
void remove_user(std::map<Key, std::set<IpAddress>>& users, const Key& key,
                 const IpAddress& address) {
    const auto found = users.find(key);
    if (found == users.end()) return;
    found->second.erase(address);
    if (found->second.empty()) users.erase(found);
}

NetlinkRequest dump_of(std::uint16_t type) {
    NetlinkRequest request(type, NLM_F_DUMP);
    if (type == RTM_GETLINK) {
        request.header(ifinfomsg{});
        request.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    } else if (type == RTM_GETADDR) {
        request.header(ifaddrmsg{});
    } else {
        request.header(ndmsg{});
    }
    return request;
}

}  // namespace

Network::Network(NetlinkSocket requests, NetlinkSocket events, NetworkOptions options)
    : requests_(std::move(requests)),
      events_(std::move(events)),
      managed_(options.managed_neighbours) {}

Result<std::unique_ptr<Network>> Network::open(NetworkOptions options) {
    NetlinkSocket events = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "open network");
    NetlinkSocket requests = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "open network");
    // Subscribed before the dump: what changes meanwhile is notified afterwards.
    SLC_CHECK(events.listen(kGroups, options.receive_buffer), "open network");
    std::unique_ptr<Network> out(new Network(std::move(requests), std::move(events), options));
    SLC_CHECK(out->resync(), "open network");
    return out;
}

// ---- the snapshot ----

Result<void> Network::resync() {
    SLC_CHECK(dump_links(), "read the network's state");
    SLC_CHECK(dump_addresses(), "read the network's state");
    SLC_CHECK(dump_neighbours(), "read the network's state");
    ++revision_.links;
    ++revision_.addresses;
    forget_early_answers();
    touch_all_routes();
    return {};
}

Result<void> Network::dump_links() {
    return requests_.dump(
        dump_of(RTM_GETLINK), "list links", [&] { links_.clear(); },
        [&](const NetlinkMessage& message) {
            if (auto link = parse_link(message)) links_[link->ifindex] = *std::move(link);
        });
}

Result<void> Network::dump_addresses() {
    return requests_.dump(
        dump_of(RTM_GETADDR), "list addresses", [&] { addresses_.clear(); },
        [&](const NetlinkMessage& message) {
            const auto change = parse_address(message);
            if (change && change->usable) addresses_.insert(change->entry);
        });
}

Result<void> Network::dump_neighbours() {
    return requests_.dump(
        dump_of(RTM_GETNEIGH), "list neighbours", [&] { neighbours_.clear(); },
        [&](const NetlinkMessage& message) {
            if (const auto entry = parse_neighbour(message)) neighbours_[entry->key] = *entry;
        });
}

Result<LinkInfo> Network::link_info(const std::string& name) const {
    for (const auto& [ifindex, link] : links_) {
        if (link.name != name) continue;
        return LinkInfo{ifindex,  name,    link.kind,    link.mac,
                        link.mtu, link.up, link.running, link.ethernet};
    }
    return fail(Errc::not_found, "no interface " + name,
                "'ip link' lists the interfaces of this node");
}

std::vector<IpAddress> Network::local_addresses() const {
    std::set<IpAddress> unique;
    for (const auto& entry : addresses_) unique.insert(entry.address);
    return {unique.begin(), unique.end()};
}

// ---- routes ----

plan::NextHop Network::resolve(const IpAddress& address) {
    const auto found = watched_.find(address);
    Dependencies dependencies;
    if (found == watched_.end())
        return follow(address, look_up({&address, 1}).front(), false, dependencies);
    Watched& watched = found->second;
    if (!watched.answer) watched.answer = look_up({&address, 1}).front();
    NextHop out = follow(address, *watched.answer, true, dependencies);
    set_dependencies(address, watched, std::move(dependencies));
    return out;
}

plan::NextHop Network::follow(const IpAddress& address, const RouteAnswer& answer, bool watched,
                              Dependencies& dependencies) {
    NextHop first;
    if (!answer.refused.empty()) {
        first.state = HopState::no_route;
        first.why = answer.refused;
        return first;
    }
    if (answer.local) {
        first.state = HopState::local;
        first.why = address.text() + " is an address of this node";
        return first;
    }
    bool any = false;
    for (const RouteHop& hop : answer.route.hops) {
        NextHop next = follow_hop(address, hop, watched, dependencies);
        if (answer.route.mtu != 0)
            next.mtu =
                static_cast<std::uint16_t>(std::min<std::uint32_t>(next.mtu, answer.route.mtu));
        next.preferred_source = answer.route.preferred_source;
        // All hops are followed, so that the others are resolved by the time they are needed.
        const bool better =
            !any || (first.state != HopState::resolved && next.state == HopState::resolved);
        if (better) first = std::move(next);
        any = true;
    }
    if (!any) {
        first.state = HopState::no_route;
        first.why = "no route to " + address.text();
    }
    return first;
}

/// From a device to the one that frames leave by, collecting tags on the way. False: not usable.
bool Network::descend(const Link& device, NextHop& out, Dependencies& dependencies) {
    const Link* link = &device;
    out.mtu = static_cast<std::uint16_t>(
        std::min<std::uint32_t>(link->mtu, std::numeric_limits<std::uint16_t>::max()));
    for (int depth = 0; depth < kMaxStack; ++depth) {
        dependencies.links.insert(link->ifindex);
        if (!link->running) {
            out.state = HopState::link_down;
            out.why = "interface " + link->name + (link->up ? " has no carrier" : " is down");
            return false;
        }
        out.mtu = static_cast<std::uint16_t>(std::min<std::uint32_t>(out.mtu, link->mtu));
        if (!link->vlan || link->lower == 0) {
            out.ifindex = link->ifindex;
            out.interface = link->name;
            return true;
        }
        // The upper device's tag is the inner one.
        out.vlans.insert(out.vlans.begin(), *link->vlan);
        const auto lower = links_.find(link->lower);
        if (lower == links_.end()) break;
        link = &lower->second;
    }
    out.state = HopState::link_down;
    out.why = "nothing is known of the device under " + link->name;
    return false;
}

plan::NextHop Network::follow_hop(const IpAddress& address, const RouteHop& hop, bool watched,
                                  Dependencies& dependencies) {
    NextHop out;
    const NeighbourKey key{hop.ifindex, hop.gateway.value_or(address)};
    dependencies.links.insert(hop.ifindex);
    const auto found = links_.find(hop.ifindex);
    if (found == links_.end()) {
        out.state = HopState::link_down;
        out.why = "interface number " + std::to_string(hop.ifindex) + " is gone";
        return out;
    }
    const Link& device = found->second;
    out.interface = device.name;
    out.via_gateway = hop.gateway && *hop.gateway != address;
    if (!descend(device, out, dependencies)) return out;
    if (hop.dead) {
        out.state = HopState::link_down;
        out.why = "the route by " + device.name + " is dead";
        return out;
    }
    if (!device.ethernet) {
        out.why = "interface " + device.name + " is not Ethernet";
        return out;
    }
    if (out.vlans.size() > SLC_MAX_VLANS) {
        out.why = "interface " + device.name + " adds more than two VLAN tags";
        return out;
    }
    dependencies.neighbours.insert(key);
    out.source = device.mac;
    read_neighbour(key, device.name, watched, out);
    return out;
}

// ---- neighbours ----

bool Network::must_ask(const NeighbourKey& key, bool watched) const {
    const auto found = neighbours_.find(key);
    if (found == neighbours_.end()) return true;
    if (found->second.fixed) return false;
    if (!watched) return !found->second.usable();
    // What the kernel does not keep is asked for once here and then at tick()'s pace.
    return !kept_.contains(key) || (managed_ && !found->second.managed);
}

void Network::read_neighbour(const NeighbourKey& key, const std::string& device, bool watched,
                             NextHop& out) {
    std::string refused;
    if (must_ask(key, watched)) refused = ask_neighbour(key, watched);
    const auto found = neighbours_.find(key);
    const std::string name = "neighbour " + key.address.text() + " on " + device;
    if (found != neighbours_.end() && found->second.usable()) {
        out.state = HopState::resolved;
        out.destination = found->second.mac;
        return;
    }
    out.state = HopState::unresolved;
    if (!refused.empty())
        out.why = name + " cannot be asked for: " + refused;
    else if (found != neighbours_.end() && (found->second.state & NUD_FAILED) != 0)
        out.why = name + " does not answer";
    else
        out.why = name + " has not answered yet";
}

NetlinkReply Network::send_neighbour(const NeighbourKey& key, bool keep) {
    ndmsg header{};
    header.ndm_family = family_of(key.address);
    header.ndm_ifindex = static_cast<int>(key.ifindex);
    header.ndm_flags = NTF_USE;
    NetlinkRequest request(RTM_NEWNEIGH, NLM_F_CREATE);
    request.header(header).put_address(NDA_DST, key.address);
    if (keep) request.put_u32(NDA_FLAGS_EXT, NTF_EXT_MANAGED);
    ++stats_.neighbour_requests;
    const auto reply = requests_.exchange(std::move(request));
    if (reply) return *reply;
    return {EIO, reply.error().what, false};
}

std::string Network::ask_neighbour(const NeighbourKey& key, bool keep) {
    if (!is_ours_to_ask(key)) return {};
    const bool managed = keep && managed_;
    NetlinkReply reply = send_neighbour(key, managed);
    if (managed && (reply.error == EINVAL || reply.error == EOPNOTSUPP)) {
        reply = send_neighbour(key, false);
        // Only a kernel that takes the plain request has refused the flag, and not the neighbour.
        if (reply.error == 0) managed_ = false;
    }
    if (reply.error == ENOBUFS)
        return "the neighbour table is full (raise net.ipv4.neigh.default.gc_thresh3 or its "
               "IPv6 sibling)";
    if (reply.error != 0) return reply.message.empty() ? std::strerror(reply.error) : reply.message;
    refresh_neighbour(key);
    if (!keep) return {};
    kept_.insert(key);
    const auto found = neighbours_.find(key);
    // Before 5.16 the flag is ignored without a word.
    if (found != neighbours_.end() && !found->second.managed && !found->second.fixed)
        managed_ = false;
    return {};
}

/// Looks before it leaps: the request would turn an operator's permanent entry, of which we may not
/// have read yet, into a temporary one without an address.
bool Network::is_ours_to_ask(const NeighbourKey& key) {
    refresh_neighbour(key);
    const auto found = neighbours_.find(key);
    return found == neighbours_.end() || !found->second.fixed;
}

void Network::refresh_neighbour(const NeighbourKey& key) {
    ndmsg header{};
    header.ndm_family = family_of(key.address);
    header.ndm_ifindex = static_cast<int>(key.ifindex);
    NetlinkRequest request(RTM_GETNEIGH, 0);
    request.header(header).put_address(NDA_DST, key.address);
    const auto reply = requests_.exchange(std::move(request), [&](const NetlinkMessage& message) {
        if (const auto entry = parse_neighbour(message)) store_neighbour(*entry);
    });
    if (reply && reply->error == ENOENT) drop_neighbour(key);
}

void Network::release_neighbour(const NeighbourKey& key) {
    if (kept_.erase(key) == 0) return;
    if (!is_ours_to_ask(key)) return;
    const auto found = neighbours_.find(key);
    // A request without the flag takes it away.
    if (found != neighbours_.end() && found->second.managed) send_neighbour(key, false);
}

void Network::tick() {
    std::size_t left = std::min(kMaxAsked, neighbour_users_.size());
    std::size_t seen = neighbour_users_.size();
    auto next = neighbour_users_.upper_bound(tick_position_);
    for (; left > 0 && seen > 0; --seen) {
        if (next == neighbour_users_.end()) next = neighbour_users_.begin();
        const NeighbourKey key = next->first;
        ++next;
        tick_position_ = key;
        const auto entry = neighbours_.find(key);
        const bool fixed = entry != neighbours_.end() && entry->second.fixed;
        const bool usable = entry != neighbours_.end() && entry->second.usable();
        // Where the kernel keeps them, only those that fail are asked for once more.
        if (fixed || (usable && managed_)) continue;
        const auto device = links_.find(key.ifindex);
        if (device == links_.end() || !device->second.running) continue;
        --left;
        if (is_ours_to_ask(key) && send_neighbour(key, managed_).error == 0) kept_.insert(key);
    }
}

// ---- what depends on what ----

void Network::set_dependencies(const IpAddress& address, Watched& watched, Dependencies now) {
    for (const auto ifindex : watched.links)
        if (!now.links.contains(ifindex)) remove_user(link_users_, ifindex, address);
    for (const auto& key : watched.neighbours) {
        if (now.neighbours.contains(key)) continue;
        remove_user(neighbour_users_, key, address);
        if (!neighbour_users_.contains(key)) release_neighbour(key);
    }
    for (const auto ifindex : now.links) {
        link_users_[ifindex].insert(address);
        uplinks_.insert(ifindex);
    }
    for (const auto& key : now.neighbours) neighbour_users_[key].insert(address);
    watched.links = std::move(now.links);
    watched.neighbours = std::move(now.neighbours);
}

void Network::forget(const IpAddress& address, Watched& watched) {
    set_dependencies(address, watched, {});
    dirty_.erase(address);
}

void Network::watch(const std::set<IpAddress>& addresses) {
    for (auto it = watched_.begin(); it != watched_.end();) {
        if (addresses.contains(it->first)) {
            ++it;
            continue;
        }
        forget(it->first, it->second);
        it = watched_.erase(it);
    }
    std::vector<IpAddress> added;
    for (const auto& address : addresses)
        if (watched_.try_emplace(address).second) added.push_back(address);
    look_up_watched(added);
    early_.insert(early_.end(), added.begin(), added.end());
}

void Network::touch_route(const IpAddress& address, Watched& watched) {
    watched.answer.reset();
    dirty_.insert(address);
}

void Network::touch_all_routes() {
    for (auto& [address, watched] : watched_) touch_route(address, watched);
}

/// Routes too: when an IPv4 interface goes, the kernel drops its routes without a notification.
void Network::touch_link_users(std::uint32_t ifindex) {
    const auto users = link_users_.find(ifindex);
    if (users == link_users_.end()) return;
    for (const auto& address : users->second) {
        const auto found = watched_.find(address);
        if (found != watched_.end()) touch_route(address, found->second);
    }
}

// ---- notifications ----

Result<std::set<IpAddress>> Network::process() {
    const bool overrun = SLC_TRY(
        events_.drain(kMaxDatagrams, [&](const NetlinkMessage& message) { on_message(message); }),
        "follow the network");
    if (overrun) {
        ++stats_.overruns;
        SLC_CHECK(resync(), "follow the network");
    }
    look_up_watched(std::vector<IpAddress>(dirty_.begin(), dirty_.end()));
    return std::exchange(dirty_, {});
}

void Network::on_message(const NetlinkMessage& message) {
    ++stats_.notifications;
    forget_early_answers();
    switch (message.type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
            return on_link(message);
        case RTM_NEWADDR:
        case RTM_DELADDR:
            return on_address(message);
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            return on_neighbour(message);
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
            return on_route(message);
        case RTM_NEWRULE:
        case RTM_DELRULE:
        case RTM_NEWNEXTHOP:
        case RTM_DELNEXTHOP:
            return touch_all_routes();
        default:
            return;
    }
}

void Network::on_link(const NetlinkMessage& message) {
    auto link = parse_link(message);
    if (!link) return;
    const std::uint32_t ifindex = link->ifindex;
    const auto before = links_.find(ifindex);
    if (message.type == RTM_DELLINK) {
        if (before == links_.end()) return;
        links_.erase(before);
        uplinks_.erase(ifindex);
    } else {
        if (before != links_.end() && before->second == *link) return;
        const bool came_up = link->running && (before == links_.end() || !before->second.running);
        links_[ifindex] = *std::move(link);
        // With ignore_routes_with_linkdown the kernel may have used another route meanwhile.
        if (came_up && uplinks_.contains(ifindex)) touch_all_routes();
    }
    ++revision_.links;
    touch_link_users(ifindex);
}

void Network::on_address(const NetlinkMessage& message) {
    const auto change = parse_address(message);
    if (!change) return;
    const bool changed = change->usable ? addresses_.insert(change->entry).second
                                        : addresses_.erase(change->entry) != 0;
    if (!changed) return;
    ++revision_.addresses;
    // Of its family: routes of the other one neither prefer it nor go with it. A hundred thousand
    // IPv4 backends are not asked for again because an interface has got its link-local address.
    const bool is_ip6 = change->entry.address.is_ip6;
    for (auto& [address, watched] : watched_) {
        if (address.is_ip6 != is_ip6) continue;
        // Routes that prefer a source go with it, without a notification.
        const bool is_source =
            watched.answer && (watched.answer->route.preferred_source == change->entry.address ||
                               watched.answer->route.preferred_source.is_unspecified());
        if (is_source || address == change->entry.address ||
            watched.links.contains(change->entry.ifindex))
            touch_route(address, watched);
    }
}

void Network::on_neighbour(const NetlinkMessage& message) {
    const auto entry = parse_neighbour(message);
    if (!entry) return;
    if (message.type == RTM_DELNEIGH)
        drop_neighbour(entry->key);
    else
        store_neighbour(*entry);
}

/// The only ways into the snapshot but for the dump, so that whoever learns of a change first, a
/// notification or an answer to a question, reports it to all who depend on it.
void Network::store_neighbour(const Neighbour& entry) {
    const auto [place, added] = neighbours_.try_emplace(entry.key, entry);
    const Neighbour before = std::exchange(place->second, entry);
    const auto failed = [](const Neighbour& one) { return (one.state & NUD_FAILED) != 0; };
    const bool lost = managed_ && kept_.contains(entry.key) && !entry.managed;
    if (added || lost || before.usable() != entry.usable() || failed(before) != failed(entry) ||
        (entry.usable() && before.mac != entry.mac))
        touch_neighbour_users(entry.key);
}

void Network::drop_neighbour(const NeighbourKey& key) {
    if (neighbours_.erase(key) != 0) touch_neighbour_users(key);
}

void Network::touch_neighbour_users(const NeighbourKey& key) {
    const auto users = neighbour_users_.find(key);
    if (users != neighbour_users_.end()) dirty_.insert(users->second.begin(), users->second.end());
}

void Network::on_route(const NetlinkMessage& message) {
    const auto route = parse_route(message);
    if (!route) return;
    const IpPrefix covered = route->destination.network();
    // IPv4 addresses sort among the IPv6 ones, by their bytes; hence the check of the family.
    IpAddress first = covered.address;
    first.is_ip6 = false;
    for (auto it = watched_.lower_bound(first); it != watched_.end(); ++it) {
        if (covered.contains(it->first)) {
            touch_route(it->first, it->second);
            continue;
        }
        IpAddress same_family = it->first;
        same_family.is_ip6 = covered.address.is_ip6;
        if (!covered.contains(same_family)) break;
    }
}

}  // namespace sluice::kernel
