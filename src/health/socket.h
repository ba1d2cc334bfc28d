// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Sockets of probes: non-blocking, marked and bound as the target says before anything leaves.

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>

#include "base/ip.h"
#include "base/unique_fd.h"
#include "health/outcome.h"
#include "health/target.h"

namespace sluice::health {

/// A socket address of either family.
struct SocketAddress {
    union {
        sockaddr any;
        sockaddr_in ip4;
        sockaddr_in6 ip6;
    };
    socklen_t len = 0;

    SocketAddress(const IpAddress& address, std::uint16_t port);
};

/// Why::local for what is this node's own trouble (no descriptor, no port, not permitted), else
/// what the error says of the backend.
Why why_of_errno(int error);
/// The same with the error's text.
Finding finding_of_errno(int error, const char* operation);

struct OpenedSocket {
    UniqueFd fd;  ///< A stream's connection is on its way. Not valid: `failure` says why.
    Finding failure;
};

/// Opens and connects. `type`: SOCK_STREAM or SOCK_DGRAM. A stream is reset when it is closed, so
/// that no check leaves a port in TIME_WAIT: with thousands of checks to one VIP ports would run
/// out.
OpenedSocket connect_socket(const Target& target, int type);

/// What getsockopt(SO_ERROR) says, which it also clears.
int pending_error(int fd);

}  // namespace sluice::health
