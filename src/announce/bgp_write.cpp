// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cassert>

#include "announce/bgp_bytes.h"
#include "announce/bgp_message.h"

namespace sluice::announce {
namespace {

// RFC 4271 4.3 and 5: flags of attributes.
constexpr std::uint8_t kOptional = 0x80, kTransitive = 0x40, kExtended = 0x10;
constexpr std::uint8_t kAttrOrigin = 1, kAttrAsPath = 2, kAttrNextHop = 3, kAttrMed = 4,
                       kAttrLocalPreference = 5, kAttrCommunities = 8, kAttrReach = 14,
                       kAttrUnreach = 15, kAttrAs4Path = 17, kAttrLarge = 32;
constexpr std::uint8_t kAsSequence = 2;
constexpr std::uint8_t kUnicast = 1;
constexpr std::uint8_t kVersion = 4;
constexpr std::uint8_t kParameterCapability = 2;
constexpr std::uint8_t kCapFamily = 1, kCapRefresh = 2, kCapRestart = 64, kCapAs4 = 65;
/// Header, both lengths of an UPDATE, and nothing else.
constexpr std::size_t kUpdateMin = kBgpHeader + 4;

Bytes begin(BgpType type) {
    Bytes out(16, 0xff);
    put16(out, 0);
    put8(out, static_cast<std::uint8_t>(type));
    return out;
}

void finish(Bytes& message) {
    assert(message.size() <= kBgpMessageMax);
    set16(message, 16, message.size());
}

std::uint16_t two_octets(std::uint32_t as) {
    return static_cast<std::uint16_t>(as > 0xffff ? kAsTrans : as);
}

void put_family_capability(Bytes& out, BgpFamily family) {
    put8(out, kCapFamily);
    put8(out, 4);
    put16(out, static_cast<std::uint8_t>(family));
    put8(out, 0);
    put8(out, kUnicast);
}

void put_restart_capability(Bytes& out, const BgpRestart& restart) {
    put8(out, kCapRestart);
    put8(out, 2 + 2 * 4);
    put16(out, (restart.is_restarting ? 0x8000U : 0U) | (restart.time_s & 0x0fffU));
    for (const BgpFamily family : {BgpFamily::ip4, BgpFamily::ip6}) {
        put16(out, static_cast<std::uint8_t>(family));
        put8(out, kUnicast);
        put8(out, restart.keeps_forwarding ? 0x80 : 0);
    }
}

void put_attribute(Bytes& out, std::uint8_t flags, std::uint8_t type, ByteView value) {
    if (value.size() > 255) flags |= kExtended;
    put8(out, flags);
    put8(out, type);
    if (value.size() > 255) {
        put16(out, static_cast<std::uint32_t>(value.size()));
    } else {
        put8(out, static_cast<std::uint32_t>(value.size()));
    }
    put_all(out, value);
}

void put_attribute32(Bytes& out, std::uint8_t flags, std::uint8_t type, std::uint32_t value) {
    Bytes bytes;
    put32(bytes, value);
    put_attribute(out, flags, type, bytes);
}

std::size_t octets_of(const IpPrefix& prefix) {
    return (prefix.len + 7U) / 8U;
}

void put_prefix(Bytes& out, const IpPrefix& prefix) {
    const IpPrefix network = prefix.network();
    put8(out, network.len);
    put_all(out, ByteView(network.address.bytes).first(octets_of(network)));
}

/// The own AS as often as it is to be there, in numbers of two or four octets.
Bytes path_of(const BgpRoute& route, bool wide) {
    Bytes out;
    if (route.is_internal) return out;
    const std::uint32_t count = 1 + std::min(route.prepend, kPrependMax);
    put8(out, kAsSequence);
    put8(out, count);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (wide) {
            put32(out, route.own_as);
        } else {
            put16(out, two_octets(route.own_as));
        }
    }
    return out;
}

/// And between both kinds, in the order of their types, AS4_PATH.
void put_communities(Bytes& out, const BgpRoute& route) {
    std::vector<std::uint32_t> plain;
    Bytes large;
    std::size_t count_large = 0;
    for (const config::BgpCommunity& community : route.communities) {
        if (!community.is_large) {
            if (plain.size() < kCommunitiesMax)
                plain.push_back(community.values[0] << 16 | (community.values[1] & 0xffff));
        } else if (count_large < kCommunitiesMax) {
            ++count_large;
            for (const std::uint32_t value : community.values) put32(large, value);
        }
    }
    if (route.is_draining) plain.push_back(kGracefulShutdown);
    std::sort(plain.begin(), plain.end());
    plain.erase(std::unique(plain.begin(), plain.end()), plain.end());
    Bytes bytes;
    for (const std::uint32_t community : plain) put32(bytes, community);
    if (!bytes.empty()) put_attribute(out, kOptional | kTransitive, kAttrCommunities, bytes);
    // RFC 6793 4.2.2: only where AS_TRANS hides a number.
    if (!route.is_internal && !route.has_as4 && route.own_as > 0xffff)
        put_attribute(out, kOptional | kTransitive, kAttrAs4Path, path_of(route, true));
    if (!large.empty()) put_attribute(out, kOptional | kTransitive, kAttrLarge, large);
}

/// All but the prefixes of IPv6; the next hop of IPv4 among them.
Bytes attributes_of(const BgpRoute& route) {
    Bytes out;
    const Bytes igp = {0};
    put_attribute(out, kTransitive, kAttrOrigin, igp);
    put_attribute(out, kTransitive, kAttrAsPath, path_of(route, route.has_as4));
    if (!route.next_hop.is_ip6)
        put_attribute(out, kTransitive, kAttrNextHop, ByteView(route.next_hop.bytes).first(4));
    if (route.med) put_attribute32(out, kOptional, kAttrMed, *route.med);
    if (route.is_internal)
        put_attribute32(out, kTransitive, kAttrLocalPreference,
                        route.is_draining ? 0 : route.local_preference);
    put_communities(out, route);
    return out;
}

/// AFI and SAFI, then what `before` says, then prefixes: MP_REACH_NLRI or MP_UNREACH_NLRI. Always
/// with the long form of the length, so that its size does not depend on its content.
Bytes multiprotocol(std::uint8_t type, ByteView before, ByteView prefixes) {
    Bytes out;
    put8(out, kOptional | kExtended);
    put8(out, type);
    put16(out, static_cast<std::uint32_t>(3 + before.size() + prefixes.size()));
    put16(out, static_cast<std::uint8_t>(BgpFamily::ip6));
    put8(out, kUnicast);
    put_all(out, before);
    put_all(out, prefixes);
    return out;
}

Bytes update(ByteView withdrawn, ByteView attributes, ByteView more_attributes, ByteView prefixes) {
    Bytes message = begin(BgpType::update);
    put16(message, static_cast<std::uint32_t>(withdrawn.size()));
    put_all(message, withdrawn);
    put16(message, static_cast<std::uint32_t>(attributes.size() + more_attributes.size()));
    put_all(message, attributes);
    put_all(message, more_attributes);
    put_all(message, prefixes);
    finish(message);
    return message;
}

/// As many prefixes as fit into `room` bytes, from `next` on.
Bytes take_prefixes(std::span<const IpPrefix> prefixes, std::size_t& next, std::size_t room) {
    Bytes out;
    while (next < prefixes.size() && out.size() + 1 + octets_of(prefixes[next]) <= room)
        put_prefix(out, prefixes[next++]);
    return out;
}

}  // namespace

Bytes write_open(const BgpOpen& open) {
    Bytes capabilities;
    if (open.has_families && open.ip4) put_family_capability(capabilities, BgpFamily::ip4);
    if (open.has_families && open.ip6) put_family_capability(capabilities, BgpFamily::ip6);
    if (open.has_refresh) {
        put8(capabilities, kCapRefresh);
        put8(capabilities, 0);
    }
    if (open.has_as4) {
        put8(capabilities, kCapAs4);
        put8(capabilities, 4);
        put32(capabilities, open.as);
    }
    if (open.restart) put_restart_capability(capabilities, *open.restart);

    Bytes message = begin(BgpType::open);
    put8(message, kVersion);
    put16(message, two_octets(open.as));
    put16(message, open.hold_time_s);
    put32(message, open.router_id);
    if (capabilities.empty()) {
        put8(message, 0);
    } else {
        put8(message, static_cast<std::uint32_t>(capabilities.size() + 2));
        put8(message, kParameterCapability);
        put8(message, static_cast<std::uint32_t>(capabilities.size()));
        put_all(message, capabilities);
    }
    finish(message);
    return message;
}

Bytes write_keepalive() {
    Bytes message = begin(BgpType::keepalive);
    finish(message);
    return message;
}

Bytes write_notification(const BgpNotification& notification) {
    Bytes message = begin(BgpType::notification);
    put8(message, notification.code);
    put8(message, notification.subcode);
    const std::size_t room = kBgpMessageMax - message.size();
    put_all(message, ByteView(notification.data).first(std::min(room, notification.data.size())));
    finish(message);
    return message;
}

Bytes write_announcement(const BgpRoute& route, std::span<const IpPrefix> prefixes) {
    const Bytes attributes = attributes_of(route);
    Bytes before;
    if (route.next_hop.is_ip6) {
        put8(before, 16);
        put_all(before, route.next_hop.bytes);
        put8(before, 0);  // Reserved.
    }
    Bytes out;
    std::size_t next = 0;
    while (next < prefixes.size()) {
        const std::size_t used = kUpdateMin + attributes.size() + before.size();
        if (route.next_hop.is_ip6) {
            // Header of MP_REACH_NLRI (4) and of what it holds (3). It comes first: RFC 7606 5.1.
            const Bytes some = take_prefixes(prefixes, next, kBgpMessageMax - used - 7);
            put_all(out, update({}, multiprotocol(kAttrReach, before, some), attributes, {}));
        } else {
            const Bytes some = take_prefixes(prefixes, next, kBgpMessageMax - used);
            put_all(out, update({}, attributes, {}, some));
        }
    }
    return out;
}

Bytes write_withdrawal(BgpFamily family, std::span<const IpPrefix> prefixes) {
    Bytes out;
    std::size_t next = 0;
    while (next < prefixes.size()) {
        if (family == BgpFamily::ip6) {
            const Bytes some = take_prefixes(prefixes, next, kBgpMessageMax - kUpdateMin - 7);
            put_all(out, update({}, multiprotocol(kAttrUnreach, {}, some), {}, {}));
        } else {
            const Bytes some = take_prefixes(prefixes, next, kBgpMessageMax - kUpdateMin);
            put_all(out, update(some, {}, {}, {}));
        }
    }
    return out;
}

Bytes write_end_of_rib(BgpFamily family) {
    if (family == BgpFamily::ip4) return update({}, {}, {}, {});
    return update({}, multiprotocol(kAttrUnreach, {}, {}), {}, {});
}

}  // namespace sluice::announce
