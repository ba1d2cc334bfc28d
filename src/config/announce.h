// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How virtual IPs are made known to routers, as values: part of config/model.h. Carried out by
/// announce/announcer.h.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"

namespace sluice::config {

enum class OnExit { withdraw, keep };
/// Which of a VIP's services must have healthy backends for it to be announced.
enum class AnnounceWhile { any, all };

/// BIRD 2 through its control socket: prefixes are static routes in an included file.
struct AnnounceBird {
    std::string socket = "/run/bird/bird.ctl";
    std::string include = "/run/sluice/bird.conf";  ///< Written by sluiced, included by bird.conf.
    bool operator==(const AnnounceBird&) const = default;
};

/// A community (RFC 1997), 16 bits each half, or a large one (RFC 8092).
struct BgpCommunity {
    std::uint32_t values[3] = {};
    bool is_large = false;
    bool operator==(const BgpCommunity&) const = default;
};

struct BgpPeer {
    IpAddress address;
    std::uint16_t port = 179;
    std::uint32_t as = 0;  ///< RFC 6793: 32 bits.
    std::optional<IpAddress> source;
    std::string password_file;          ///< TCP MD5 (RFC 2385); empty: none.
    bool ttl_security = false;          ///< GTSM (RFC 5082), one hop.
    std::chrono::seconds hold_time{9};  ///< 0, or 3 s..65,535 s (RFC 4271 4.2).
    std::chrono::seconds retry{5};
    std::optional<IpAddress> next_hop4, next_hop6;  ///< Empty: the session's own address.
    bool operator==(const BgpPeer&) const = default;
};

struct AnnounceBgp {
    std::uint32_t as = 0;
    std::uint32_t router_id = 0;  ///< Host byte order; 0: the session's IPv4 address, or the first.
    std::vector<BgpPeer> peers;
    std::vector<BgpCommunity> communities;
    std::optional<std::uint32_t> med;
    std::optional<std::uint32_t> local_preference;  ///< To peers of the same AS.
    std::uint32_t prepend = 0;                      ///< Own AS so many times more, 0..16.
    bool operator==(const AnnounceBgp&) const = default;
};

/// For any other daemon: addresses or routes in the kernel that it redistributes.
struct AnnounceKernel {
    std::string interface = "lo";  ///< Gets the VIPs as addresses; empty: `table` gets routes.
    std::uint32_t table = 0;       ///< Blackhole routes, proto 0x51 ("sluice").
    bool operator==(const AnnounceKernel&) const = default;
};

struct Announce {
    std::optional<AnnounceBird> bird;
    std::optional<AnnounceBgp> bgp;
    std::optional<AnnounceKernel> kernel;
    AnnounceWhile while_healthy = AnnounceWhile::any;
    OnExit on_daemon_exit = OnExit::withdraw;
    std::chrono::seconds drain{30};  ///< From graceful shutdown (RFC 8326) to the withdrawal.
    bool operator==(const Announce&) const = default;
};

/// The words of the configuration, the CLI, the API and the metrics.
const char* name_of(OnExit value);
const char* name_of(AnnounceWhile value);
std::string text_of(const BgpCommunity& community);  ///< "65535:0", "65000:1:2".

}  // namespace sluice::config
