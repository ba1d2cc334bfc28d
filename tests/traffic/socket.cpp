// SPDX-License-Identifier: Apache-2.0
#include "traffic/socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace sluice::traffic {
namespace {

constexpr int kBufferBytes = 16 * 1024;
constexpr int kBacklog = 16 * 1024;

void set(int fd, int level, int option, int value) {
    (void)::setsockopt(fd, level, option, &value, sizeof value);
}

Result<UniqueFd> open_socket(int family, int type) {
    UniqueFd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd.valid()) return fd;
    const int saved = errno;
    return fail(sys_error(saved, "open a socket"));
}

Result<UniqueFd> any_socket(int type, std::uint16_t port) {
    UniqueFd fd = SLC_TRY(open_socket(AF_INET6, type), "any");
    set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
    set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0) return fd;
    const int saved = errno;
    return fail(sys_error(saved, fmt::format("bind port {}", port)));
}

}  // namespace

std::string Endpoint::text() const {
    return fmt::format(fmt::runtime(address.is_ip6 ? "[{}]:{}" : "{}:{}"), address.text(), port);
}

SocketAddress::SocketAddress(const Endpoint& endpoint) {
    if (endpoint.address.is_ip6) {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(endpoint.port);
        std::memcpy(&in.sin6_addr, endpoint.address.bytes.data(), sizeof in.sin6_addr);
        std::memcpy(&storage, &in, sizeof in);
        len = sizeof in;
        return;
    }
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    in.sin_addr.s_addr = endpoint.address.ip4_be();
    std::memcpy(&storage, &in, sizeof in);
    len = sizeof in;
}

Result<UniqueFd> bound_socket(int type, const Endpoint& from) {
    UniqueFd fd = SLC_TRY(open_socket(from.address.is_ip6 ? AF_INET6 : AF_INET, type), "bound");
    if (type == SOCK_STREAM) {
        keep_buffers_small(fd.get());
        set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    }
    const SocketAddress address(from);
    if (::bind(fd.get(), address.get(), address.len) == 0) return fd;
    const int saved = errno;
    return fail(sys_error(saved, "bind " + from.text()));
}

Result<UniqueFd> listen_tcp(std::uint16_t port) {
    UniqueFd fd = SLC_TRY(any_socket(SOCK_STREAM, port), "listen");
    keep_buffers_small(fd.get());
    if (::listen(fd.get(), kBacklog) == 0) return fd;
    const int saved = errno;
    return fail(sys_error(saved, "listen"));
}

Result<UniqueFd> bind_udp(std::uint16_t port) {
    UniqueFd fd = SLC_TRY(any_socket(SOCK_DGRAM, port), "udp");
    set(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set(fd.get(), SOL_SOCKET, SO_RCVBUF, 1 << 20);
    return fd;
}

void keep_buffers_small(int fd) {
    set(fd, SOL_SOCKET, SO_RCVBUF, kBufferBytes);
    set(fd, SOL_SOCKET, SO_SNDBUF, kBufferBytes);
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

}  // namespace sluice::traffic
