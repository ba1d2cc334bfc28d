// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Sockets of the tools: never blocking.

#include <sys/socket.h>

#include <cstdint>

#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::traffic {

struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;
    [[nodiscard]] std::string text() const;
};

/// An Endpoint as the kernel takes it.
struct SocketAddress {
    explicit SocketAddress(const Endpoint& endpoint);
    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    sockaddr_storage storage{};
    socklen_t len = 0;
};

/// SOCK_STREAM or SOCK_DGRAM, bound to `from`.
Result<UniqueFd> bound_socket(int type, const Endpoint& from);

/// Listens on every address of both families.
Result<UniqueFd> listen_tcp(std::uint16_t port);

/// On every address of both families; tells for each datagram which address it was sent to.
Result<UniqueFd> bind_udp(std::uint16_t port);

/// Small buffers: what is in flight must not hide for seconds that a connection is dead, and a
/// small window leaves little to whoever guesses sequence numbers.
void keep_buffers_small(int fd);

}  // namespace sluice::traffic
