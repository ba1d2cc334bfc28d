// SPDX-License-Identifier: Apache-2.0

/// How virtual IPs are made known to routers: `announce`.

#include <algorithm>
#include <utility>

#include "config/draft.h"
#include "config/rules.h"

namespace sluice::config {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::array kWhiles = {AnnounceWhile::any, AnnounceWhile::all};
constexpr std::array kExits = {OnExit::withdraw, OnExit::keep};
constexpr std::uint32_t kLocalTable = 255;  ///< RT_TABLE_LOCAL: the kernel's own.

/// Of a file or a socket.
void assign_path(const Reader& in, const MapReader& map, std::string_view key, std::string& out) {
    if (const YamlNode* node = map.find(key))
        out = read_ruled(in, *node, map.path().at(key), problem_with_path).value_or(out);
}

void assign_truth(const Reader& in, const MapReader& map, std::string_view key, bool& out) {
    if (const YamlNode* node = map.find(key))
        out = read_bool(in, *node, map.path().at(key)).value_or(out);
}

/// Which of them a protocol gives a meaning of their own nobody should have to know by heart.
std::uint32_t read_as(const Reader& in, const YamlNode& node, const Path& path) {
    const auto value = read_number(in, node, path, "the number of an AS", 1, UINT32_MAX - 1);
    if (value && (*value == 23456 || *value == 65535)) {  // RFC 6793 9, RFC 7300.
        in.error(node, path, std::to_string(*value) + " is reserved: no AS has this number");
        return 0;
    }
    return value.value_or(0);
}

/// An end of a session, which may be on this machine.
std::optional<IpAddress> read_session_address(const Reader& in, const YamlNode& node,
                                              const Path& path) {
    const auto text = read_string(in, node, path);
    if (!text) return std::nullopt;
    const auto address = IpAddress::parse(*text);
    if (address && address->is_loopback()) return address;
    return read_address(in, node, path);
}

std::optional<IpAddress> read_family(const Reader& in, const MapReader& map, std::string_view key,
                                     bool is_ip6) {
    const YamlNode* node = map.find(key);
    if (node == nullptr) return std::nullopt;
    const Path path = map.path().at(key);
    const auto address = read_address(in, *node, path);
    if (!address || address->is_ip6 == is_ip6) return address;
    in.error(*node, path,
             address->text() + " is not an " + (is_ip6 ? "IPv6" : "IPv4") + " address");
    return std::nullopt;
}

void parse_next_hop(const Reader& in, const YamlNode& node, const Path& path, BgpPeer& out) {
    const MapReader map(in, node, path, keys::kNextHop);
    if (map.valid() && node.children == 0)
        in.error(node, path, "is empty: give ipv4, ipv6 or both");
    out.next_hop4 = read_family(in, map, "ipv4", false);
    out.next_hop6 = read_family(in, map, "ipv6", true);
}

void parse_times(const Reader& in, const MapReader& map, BgpPeer& out, Mark& hold_mark) {
    const Path& path = map.path();
    if (const YamlNode* hold = map.find("hold_time")) {
        hold_mark = hold->mark;
        const auto value = read_duration(in, *hold, path.at("hold_time"), "a hold time", seconds(0),
                                         seconds(UINT16_MAX));
        if (value && (value->count() == 1 || value->count() == 2))
            in.error(*hold, path.at("hold_time"),
                     hold->scalar + " is too short: a hold time is 0s (none) or at least 3s");
        else
            out.hold_time = value.value_or(out.hold_time);
    }
    if (const YamlNode* retry = map.find("retry"))
        out.retry = read_duration(in, *retry, path.at("retry"), "a time", seconds(1), hours(1))
                        .value_or(out.retry);
}

struct PeerMarks {
    Mark place;
    Mark hold_time;
};

/// Nothing without a good address, which everything else is about.
std::optional<BgpPeer> parse_peer(const Reader& in, const YamlNode& node, const Path& path,
                                  PeerMarks& marks) {
    const MapReader map(in, node, path, keys::kPeer);
    BgpPeer out;
    marks.place = node.mark;
    std::optional<IpAddress> address;
    if (const YamlNode* value = map.require("address"))
        address = read_session_address(in, *value, path.at("address"));
    if (address) out.address = *address;
    if (const YamlNode* port = map.find("port"))
        out.port = static_cast<std::uint16_t>(
            read_number(in, *port, path.at("port"), "a port", 1, 65535).value_or(out.port));
    if (const YamlNode* as = map.require("as")) out.as = read_as(in, *as, path.at("as"));
    if (const YamlNode* source = map.find("source")) {
        out.source = read_session_address(in, *source, path.at("source"));
        if (out.source && address && out.source->is_ip6 != address->is_ip6)
            in.error(*source, path.at("source"),
                     out.source->text() + " is not of the family of " + address->text());
    }
    assign_path(in, map, "password_file", out.password_file);
    assign_truth(in, map, "ttl_security", out.ttl_security);
    parse_times(in, map, out, marks.hold_time);
    if (const YamlNode* next_hop = map.find("next_hop"))
        parse_next_hop(in, *next_hop, path.at("next_hop"), out);
    if (!address) return std::nullopt;
    return out;
}

/// Of how many entries a list may have: reports none, or more than `limit`.
bool expect_entries(const Reader& in, const YamlNode& list, const Path& path, std::size_t limit) {
    if (!expect_list(in, list, path)) return false;
    if (list.children == 0) in.error(list, path, "is an empty list, it needs at least one entry");
    if (list.children > limit)
        in.error(list, path,
                 "has " + std::to_string(list.children) + " entries, at most " +
                     std::to_string(limit) + " are possible");
    return list.children <= limit;
}

void parse_peers(const Reader& in, const YamlNode& list, const Path& path, AnnounceBgp& out,
                 AnnounceNotes& notes) {
    if (!expect_entries(in, list, path, kMaxPeers)) return;
    Seen seen;
    std::size_t index = 0;
    for (const YamlNode* item = in.tree.first(list); item != nullptr; item = in.tree.next(*item)) {
        const Path at = path.at(index++);
        PeerMarks marks;
        const auto peer = parse_peer(in, *item, at, marks);
        if (!peer) continue;
        const std::string place = peer->address.text() + " port " + std::to_string(peer->port);
        if (const std::uint32_t line = seen.line_of(place, item->mark)) {
            in.error(*item, at,
                     "peer " + place + " is listed twice, first on line " + std::to_string(line));
            continue;
        }
        out.peers.push_back(*peer);
        notes.peers.push_back(marks.place);
        notes.hold_times.push_back(marks.hold_time);
    }
}

void parse_communities(const Reader& in, const YamlNode& list, const Path& path, AnnounceBgp& out,
                       AnnounceNotes& notes) {
    if (!expect_entries(in, list, path, kMaxCommunities)) return;
    Seen seen;
    std::size_t index = 0;
    for (const YamlNode* item = in.tree.first(list); item != nullptr; item = in.tree.next(*item)) {
        const Path at = path.at(index++);
        const auto text = read_string(in, *item, at);
        if (!text) continue;
        const auto community = parse_community(*text);
        if (!community) {
            in.error(*item, at,
                     quoted(*text) +
                         " is not a community, as in \"65000:1\", \"65000:1:2\" or no-export");
            continue;
        }
        const std::string name = text_of(*community);
        if (const std::uint32_t line = seen.line_of(name, item->mark)) {
            in.error(*item, at, name + " is listed twice, first on line " + std::to_string(line));
            continue;
        }
        out.communities.push_back(*community);
        notes.communities.push_back(item->mark);
    }
}

std::uint32_t read_router_id(const Reader& in, const YamlNode& node, const Path& path) {
    const auto text = read_string(in, node, path);
    if (!text) return 0;
    const auto address = IpAddress::parse(*text);
    std::uint32_t out = 0;
    if (address && !address->is_ip6)
        for (std::size_t i = 0; i < 4; ++i) out = out << 8 | address->bytes[i];
    if (out == 0)
        in.error(node, path,
                 quoted(*text) + " is not a router id, which looks like an IPv4 address");
    return out;
}

void parse_bgp(const Reader& in, const YamlNode& node, const Path& path, AnnounceBgp& out,
               AnnounceNotes& notes) {
    const MapReader map(in, node, path, keys::kBgp);
    if (const YamlNode* as = map.require("as")) out.as = read_as(in, *as, path.at("as"));
    if (const YamlNode* router_id = map.find("router_id"))
        out.router_id = read_router_id(in, *router_id, path.at("router_id"));
    if (const YamlNode* peers = map.require("peers"))
        parse_peers(in, *peers, path.at("peers"), out, notes);
    if (const YamlNode* communities = map.find("communities"))
        parse_communities(in, *communities, path.at("communities"), out, notes);
    if (const YamlNode* med = map.find("med"))
        out.med = read_number(in, *med, path.at("med"), "a metric", 0, UINT32_MAX);
    if (const YamlNode* preference = map.find("local_preference")) {
        notes.local_preference = preference->mark;
        out.local_preference = read_number(in, *preference, path.at("local_preference"),
                                           "a preference", 0, UINT32_MAX);
    }
    if (const YamlNode* prepend = map.find("prepend")) {
        notes.prepend = prepend->mark;
        out.prepend =
            read_number(in, *prepend, path.at("prepend"), "a number of times", 0, kMaxPrepend)
                .value_or(out.prepend);
    }
}

void parse_kernel(const Reader& in, const YamlNode& node, const Path& path, AnnounceKernel& out) {
    const MapReader map(in, node, path, keys::kKernel);
    const YamlNode* interface = map.find("interface");
    const YamlNode* table = map.find("table");
    if (interface != nullptr)
        out.interface = read_ruled(in, *interface, path.at("interface"), problem_with_interface)
                            .value_or(out.interface);
    if (table == nullptr) return;
    if (interface != nullptr)
        in.error(*table, path.at("table"), "give interface or table, not both");
    const auto value =
        read_number(in, *table, path.at("table"), "the number of a table", 1, UINT32_MAX);
    if (value == kLocalTable) in.error(*table, path.at("table"), "255 is the kernel's own table");
    if (!value) return;
    out.interface.clear();
    out.table = *value;
}

}  // namespace

void parse_announce(const Reader& in, const YamlNode& node, Draft& draft) {
    const Path root;
    const Path path = root.at("announce");
    const MapReader map(in, node, path, keys::kAnnounce);
    if (!map.valid()) return;
    draft.announce.place = node.mark;
    Announce& out = draft.config.announce.emplace();
    const YamlNode* bird = map.find("bird");
    const YamlNode* bgp = map.find("bgp");
    const YamlNode* kernel = map.find("kernel");
    if (bird == nullptr && bgp == nullptr && kernel == nullptr)
        in.error(node, path, "says no way of announcing: give bird, bgp or kernel");
    if (bird != nullptr) {
        const Path at = path.at("bird");
        const MapReader keys(in, *bird, at, keys::kBird);
        out.bird.emplace();
        assign_path(in, keys, "socket", out.bird->socket);
        assign_path(in, keys, "include", out.bird->include);
    }
    if (bgp != nullptr) parse_bgp(in, *bgp, path.at("bgp"), out.bgp.emplace(), draft.announce);
    if (kernel != nullptr) parse_kernel(in, *kernel, path.at("kernel"), out.kernel.emplace());
    assign_word(in, map, "while_healthy", kWhiles, out.while_healthy);
    assign_word(in, map, "on_daemon_exit", kExits, out.on_daemon_exit);
    if (const YamlNode* drain = map.find("drain"))
        out.drain = read_duration(in, *drain, path.at("drain"), "a duration", seconds(0), hours(1))
                        .value_or(out.drain);
}

}  // namespace sluice::config
