// SPDX-License-Identifier: Apache-2.0

/// What the routing tables say about addresses: the kernel is asked, many at a time.

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "kernel/network.h"

namespace sluice::kernel {
namespace {

/// Distinct routes whose source is remembered between two notifications.
constexpr std::size_t kMaxSources = 4096;

std::string refusal_of(const IpAddress& address, int error) {
    switch (error) {
        case EACCES:
            return "the route to " + address.text() + " is prohibited";
        case EINVAL:
            return "the route to " + address.text() + " is a blackhole";
        default:
            return "no route to " + address.text();
    }
}

/// Empty for what packets can be sent by.
std::string refusal_of(const IpAddress& address, const Route& route) {
    switch (route.type) {
        case RTN_UNICAST:
        case RTN_LOCAL:
            return {};
        case RTN_PROHIBIT:
            return refusal_of(address, EACCES);
        case RTN_BLACKHOLE:
            return refusal_of(address, EINVAL);
        case RTN_BROADCAST:
        case RTN_ANYCAST:
        case RTN_MULTICAST:
            return address.text() + " is the address of many hosts, not of one";
        default:
            return refusal_of(address, EHOSTUNREACH);
    }
}

NetlinkRequest route_question(const IpAddress& address, std::uint32_t flags) {
    rtmsg header{};
    header.rtm_family = address.is_ip6 ? AF_INET6 : AF_INET;
    header.rtm_dst_len = address.bits();
    header.rtm_flags = flags;
    NetlinkRequest request(RTM_GETROUTE, 0);
    request.header(header).put_address(RTA_DST, address).unacknowledged();
    return request;
}

}  // namespace

std::vector<Network::RouteReply> Network::ask_routes(std::span<const IpAddress> addresses,
                                                     std::uint32_t flags) {
    std::vector<RouteReply> out(addresses.size());
    std::vector<bool> answered(addresses.size());
    std::vector<NetlinkRequest> questions;
    questions.reserve(addresses.size());
    for (const IpAddress& address : addresses) questions.push_back(route_question(address, flags));
    stats_.route_lookups += questions.size();
    const auto asked =
        requests_.ask(questions, [&](std::size_t index, const NetlinkMessage* answer, int error) {
            answered[index] = true;
            out[index].error = error;
            if (answer == nullptr) return;
            if (auto parsed = parse_route(*answer)) out[index].route = *std::move(parsed);
        });
    if (asked) return out;
    for (std::size_t i = 0; i < out.size(); ++i)
        if (!answered[i]) out[i].failure = asked.error().what;
    return out;
}

/// An IPv4 source follows from the entry's hop (fib_result_prefsrc); an IPv6 one from the
/// destination too (RFC 6724), and that of several hops from the one that is chosen.
std::optional<Network::SourceKey> Network::source_key(const RouteReply& entry) {
    const Route& route = entry.route;
    if (!entry.failure.empty() || entry.error != 0 || route.type != RTN_UNICAST ||
        route.destination.address.is_ip6 || route.hops.size() != 1)
        return std::nullopt;
    const RouteHop& hop = route.hops.front();
    return SourceKey(route.destination, hop.ifindex, hop.gateway, route.preferred_source);
}

/// Two questions. The table's entry has all hops of a multipath route and the configured MTU; the
/// MTU of the other answer may be one that somebody on the way has claimed by ICMP. That other
/// answer alone has the source that Linux would choose, which it is asked for once for each route
/// where it is the same for all addresses.
std::vector<Network::RouteAnswer> Network::look_up(std::span<const IpAddress> addresses) {
    const std::vector<RouteReply> entries = ask_routes(addresses, RTM_F_FIB_MATCH);
    if (sources_.size() > kMaxSources) sources_.clear();
    std::map<SourceKey, std::size_t> first_of;  // Into `asked`.
    std::vector<IpAddress> asked;
    std::vector<std::size_t> asked_at(addresses.size(), addresses.size());
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const auto key = source_key(entries[i]);
        if (key && sources_.contains(*key)) continue;
        asked_at[i] = asked.size();
        if (key) {
            const auto [place, added] = first_of.try_emplace(*key, asked.size());
            asked_at[i] = place->second;
            if (!added) continue;
        }
        asked.push_back(addresses[i]);
    }
    const std::vector<RouteReply> chosen = ask_routes(asked, 0);
    std::vector<RouteAnswer> out;
    out.reserve(addresses.size());
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        if (asked_at[i] < chosen.size()) {
            out.push_back(answer_of(addresses[i], entries[i], &chosen[asked_at[i]]));
            continue;
        }
        out.push_back(answer_of(addresses[i], entries[i], nullptr));
        out.back().route.preferred_source = sources_.at(*source_key(entries[i]));
    }
    for (const auto& [key, at] : first_of)
        if (chosen[at].failure.empty() && chosen[at].error == 0 &&
            chosen[at].route.type == RTN_UNICAST)
            sources_.emplace(key, chosen[at].route.preferred_source);
    return out;
}

/// `chosen` is nothing where the caller knows the source.
Network::RouteAnswer Network::answer_of(const IpAddress& address, const RouteReply& entry,
                                        const RouteReply* chosen) {
    RouteAnswer answer;
    answer.route = entry.route;
    for (const RouteReply* reply : {&entry, chosen}) {
        if (reply == nullptr) continue;
        if (!reply->failure.empty())
            answer.refused = reply->failure;
        else if (reply->error != 0)
            answer.refused = refusal_of(address, reply->error);
        if (!answer.refused.empty()) return answer;
    }
    answer.refused = refusal_of(address, answer.route);
    answer.local = answer.route.type == RTN_LOCAL;
    if (chosen == nullptr) return answer;
    answer.local = answer.local || chosen->route.type == RTN_LOCAL;
    if (!chosen->route.preferred_source.is_unspecified())
        answer.route.preferred_source = chosen->route.preferred_source;
    // Routes on nexthop objects show no hops of their own where nexthop_compat_mode is off.
    if (answer.route.hops.empty()) answer.route.hops = chosen->route.hops;
    return answer;
}

void Network::forget_early_answers() {
    sources_.clear();
    for (const IpAddress& address : std::exchange(early_, {})) {
        const auto found = watched_.find(address);
        if (found != watched_.end() && found->second.links.empty()) found->second.answer.reset();
    }
}

void Network::look_up_watched(std::span<const IpAddress> addresses) {
    std::vector<IpAddress> unknown;
    for (const IpAddress& address : addresses) {
        const auto found = watched_.find(address);
        if (found != watched_.end() && !found->second.answer) unknown.push_back(address);
    }
    std::vector<RouteAnswer> answers = look_up(unknown);
    for (std::size_t i = 0; i < unknown.size(); ++i)
        watched_.find(unknown[i])->second.answer = std::move(answers[i]);
}

}  // namespace sluice::kernel
