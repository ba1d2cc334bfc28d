// SPDX-License-Identifier: Apache-2.0
#include "health/socket.h"

#include <fmt/format.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace sluice::health {
namespace {

bool set_option(int fd, int level, int name, int value) {
    return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/// 0, or errno of what failed, with its name in `operation`.
int prepare(int fd, const Target& target, int type, const char*& operation) {
    if (type == SOCK_STREAM) {
        const linger reset{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        // The ACK of the handshake travels with the first data, or with the reset.
        set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
    } else if (target.address.is_ip6) {
        // Else only "port unreachable" would be told, and not what routers say.
        set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    } else {
        set_option(fd, IPPROTO_IP, IP_RECVERR, 1);
    }
    operation = "mark a socket";
    if (target.mark != 0 && !set_option(fd, SOL_SOCKET, SO_MARK, static_cast<int>(target.mark)))
        return errno;
    if (!target.source) return 0;
    operation = "bind to the source address";
    // The port is chosen by connect(), which knows the other three of the tuple.
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    const SocketAddress source(*target.source, 0);
    return ::bind(fd, &source.any, source.len) == 0 ? 0 : errno;
}

}  // namespace

SocketAddress::SocketAddress(const IpAddress& address, std::uint16_t port) {
    if (address.is_ip6) {
        ip6 = {};
        ip6.sin6_family = AF_INET6;
        ip6.sin6_port = htons(port);
        std::memcpy(&ip6.sin6_addr, address.bytes.data(), 16);
        len = sizeof(ip6);
    } else {
        ip4 = {};
        ip4.sin_family = AF_INET;
        ip4.sin_port = htons(port);
        ip4.sin_addr.s_addr = address.ip4_be();
        len = sizeof(ip4);
    }
}

Why why_of_errno(int error) {
    switch (error) {
        case ECONNREFUSED:
            return Why::refused;
        case ECONNRESET:
        case EPIPE:
            return Why::reset;
        case ETIMEDOUT:
            return Why::timeout;
        case ENETUNREACH:
        case EHOSTUNREACH:
        case EHOSTDOWN:
        case ENETDOWN:
        case ENONET:
        case ENOPROTOOPT:  // ICMP: protocol unreachable.
        case EACCES:       // ICMP: administratively prohibited; a route that prohibits.
        case EPROTO:
        case EINVAL:  // A blackhole route.
            return Why::unreachable;
        default:
            return Why::local;
    }
}

Finding finding_of_errno(int error, const char* operation) {
    const Why why = why_of_errno(error);
    const char* text = ::strerrordesc_np(error);
    if (text == nullptr) text = "unknown error";
    if (why != Why::local) return {.why = why, .text = text, .load = {}};
    return {.why = why, .text = fmt::format("{}: {}", operation, text), .load = {}};
}

OpenedSocket connect_socket(const Target& target, int type) {
    OpenedSocket out;
    const int family = target.address.is_ip6 ? AF_INET6 : AF_INET;
    UniqueFd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) {
        out.failure = finding_of_errno(errno, "open a socket");
        out.failure.why = Why::local;
        return out;
    }
    const char* operation = "connect";
    if (const int error = prepare(fd.get(), target, type, operation); error != 0) {
        out.failure = finding_of_errno(error, operation);
        out.failure.why = Why::local;
        return out;
    }
    const SocketAddress to(target.address, target.port);
    const int error = ::connect(fd.get(), &to.any, to.len) == 0 ? 0 : errno;
    if (error != 0 && error != EINPROGRESS) {
        out.failure = finding_of_errno(error, "connect");
        // Of a marked probe this is the route to the VIP, which clients' packets do not take.
        if (target.mark != 0 && out.failure.why == Why::unreachable) {
            out.failure.why = Why::local;
            out.failure.text = "no route to the VIP: " + out.failure.text;
        }
        return out;
    }
    out.fd = std::move(fd);
    return out;
}

int pending_error(int fd) {
    int error = 0;
    socklen_t len = sizeof(error);
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

}  // namespace sluice::health
