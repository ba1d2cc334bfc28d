// SPDX-License-Identifier: Apache-2.0
#pragma once

/// TCP sockets towards BGP peers, with what protects such sessions: TCP MD5 (RFC 2385) and GTSM
/// (RFC 5082). Called by announce/bgp_session.h.

#include <cstdint>

#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "config/announce.h"

namespace sluice::announce {

/// A non-blocking socket whose connection to the peer has begun. The password file is read each
/// time, so that a changed one is taken up with the next connection.
Result<UniqueFd> connect_bgp(const config::BgpPeer& peer);

/// Its own address.
IpAddress local_address(int fd);

/// The machine's first IPv4 address that is no loopback, in host byte order, or `otherwise`.
std::uint32_t find_router_id(std::uint32_t otherwise);

}  // namespace sluice::announce
