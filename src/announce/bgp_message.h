// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Messages of BGP-4, as an announce-only speaker needs them: written in full, read as far as such
/// a speaker must. Called by announce/bgp_speaker.h. Pure; bounded by kBgpMessageMax.
///
/// RFC 4271 (the protocol), 4760 (IPv6 unicast), 6793 (AS numbers of four octets, AS_TRANS and
/// AS4_PATH for those who know two), 1997, 8092 and 8326 (communities), 5492 and 9072
/// (capabilities), 2918 (route refresh), 4724 (graceful restart), 6286 (router id), 9003 (what a
/// shutdown says), 7606 (what of an UPDATE still ends a session).
///
///   0                   16   18   19
///   | marker, all ones  | len | type | body ...        numbers are big-endian
///
/// Reading: whatever the peer sent is either a message, or too little of one, or a BgpNotification
/// with code, subcode and data of RFC 4271 section 6 that the session must end with. UPDATEs are
/// checked for their framing only, since nothing is imported.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "config/announce.h"

namespace sluice::announce {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline constexpr std::size_t kBgpHeader = 19;
inline constexpr std::size_t kBgpMessageMax = 4096;
inline constexpr std::uint32_t kAsTrans = 23456;                 ///< RFC 6793.
inline constexpr std::uint32_t kGracefulShutdown = 0xffff0000U;  ///< 65535:0, RFC 8326.
inline constexpr std::size_t kCommunitiesMax = 64;               ///< Of either kind.
inline constexpr std::uint32_t kPrependMax = 16;
/// Shutdown messages of peers are kept up to this (RFC 9003: 255 octets).
inline constexpr std::size_t kShutdownTextMax = 255;

enum class BgpType : std::uint8_t {
    open = 1,
    update = 2,
    notification = 3,
    keepalive = 4,
    route_refresh = 5,
};

/// Codes and subcodes that we send; peers may send any.
namespace bgp {
inline constexpr std::uint8_t kHeaderError = 1, kNotSynchronized = 1, kBadLength = 2, kBadType = 3;
inline constexpr std::uint8_t kOpenError = 2, kOpenMalformed = 0, kBadVersion = 1, kBadPeerAs = 2,
                              kBadIdentifier = 3, kBadParameter = 4, kBadHoldTime = 6,
                              kMissingCapability = 7;
inline constexpr std::uint8_t kUpdateError = 3, kMalformedAttributes = 1, kBadNetwork = 10;
inline constexpr std::uint8_t kHoldExpired = 4;
/// RFC 6608: which state met a message that does not belong there.
inline constexpr std::uint8_t kStateError = 5, kInOpenSent = 1, kInOpenConfirm = 2,
                              kInEstablished = 3;
inline constexpr std::uint8_t kCease = 6, kShutdown = 2;
}  // namespace bgp

struct BgpNotification {
    std::uint8_t code = 0;
    std::uint8_t subcode = 0;
    Bytes data{};

    /// "6/2 cease: administrative shutdown (\"maintenance\")": for people, one line, printable.
    [[nodiscard]] std::string text() const;
    bool operator==(const BgpNotification&) const = default;
};

enum class BgpFamily : std::uint8_t { ip4 = 1, ip6 = 2 };  ///< AFI, always SAFI 1.

/// RFC 4724. Asked for when routes are to outlive the daemon.
struct BgpRestart {
    bool is_restarting = false;    ///< R: this session follows one that ended.
    std::uint16_t time_s = 120;    ///< For which the peer keeps our routes; 12 bits.
    bool keeps_forwarding = true;  ///< F, for both families: pinned programs go on.
    bool operator==(const BgpRestart&) const = default;
};

struct BgpOpen {
    std::uint32_t as = 0;  ///< Of the capability where there is one.
    std::uint16_t hold_time_s = 0;
    std::uint32_t router_id = 0;  ///< Host byte order.
    /// RFC 4760. A peer that names no family at all means IPv4.
    bool ip4 = true;
    bool ip6 = true;
    bool has_families = true;
    bool has_as4 = true;
    bool has_refresh = true;
    std::optional<BgpRestart> restart{};
    bool operator==(const BgpOpen&) const = default;
};

struct BgpKeepalive {
    bool operator==(const BgpKeepalive&) const = default;
};

struct BgpRouteRefresh {
    std::uint16_t afi = 0;
    std::uint8_t safi = 0;
    bool operator==(const BgpRouteRefresh&) const = default;
};

/// An UPDATE that was well framed; what it said is not kept.
struct BgpUpdateSeen {
    bool operator==(const BgpUpdateSeen&) const = default;
};

using BgpMessage =
    std::variant<BgpOpen, BgpUpdateSeen, BgpNotification, BgpKeepalive, BgpRouteRefresh>;

/// Too little has come; or `size` bytes were `message`; or the session must end with `error`.
struct BgpRead {
    std::size_t size = 0;
    std::optional<BgpMessage> message{};
    std::optional<BgpNotification> error{};
    BgpType type = BgpType::keepalive;  ///< Of the message.
};

/// The message at the front of `input`. Finds errors of the header as soon as it is there.
BgpRead read_bgp(ByteView input);

Bytes write_open(const BgpOpen& open);
Bytes write_keepalive();
/// Data that would not fit is cut.
Bytes write_notification(const BgpNotification& notification);

/// How prefixes are announced to one peer.
struct BgpRoute {
    IpAddress next_hop;  ///< Of the prefixes' family.
    std::uint32_t own_as = 0;
    bool is_internal = false;   ///< To a peer of the same AS: an empty path.
    bool has_as4 = true;        ///< The peer reads four octets.
    std::uint32_t prepend = 0;  ///< Own AS so many times more; not to internal peers.
    std::optional<std::uint32_t> med{};
    std::uint32_t local_preference = 100;  ///< To internal peers.
    std::vector<config::BgpCommunity> communities{};
    /// RFC 8326: the community, and to internal peers a local preference of 0.
    bool is_draining = false;
    bool operator==(const BgpRoute&) const = default;
};

/// UPDATEs, one after the other, that announce prefixes of one family.
Bytes write_announcement(const BgpRoute& route, std::span<const IpPrefix> prefixes);
Bytes write_withdrawal(BgpFamily family, std::span<const IpPrefix> prefixes);
/// RFC 4724: all of this family has been said.
Bytes write_end_of_rib(BgpFamily family);

}  // namespace sluice::announce
