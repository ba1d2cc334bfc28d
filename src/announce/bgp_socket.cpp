// SPDX-License-Identifier: Apache-2.0
#include "announce/bgp_socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace sluice::announce {
namespace {

// netinet/in.h has it since glibc 2.39 only.
constexpr int kIp6MinHopCount = 73;
/// The kernel doubles it. More would only be said before a withdrawal that comes later.
constexpr int kSendBuffer = 64 * 1024;

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    SocketAddress(const IpAddress& address, std::uint16_t port) {
        if (address.is_ip6) {
            auto* out = reinterpret_cast<sockaddr_in6*>(&storage);
            out->sin6_family = AF_INET6;
            out->sin6_port = htons(port);
            std::memcpy(&out->sin6_addr, address.bytes.data(), 16);
            size = sizeof *out;
        } else {
            auto* out = reinterpret_cast<sockaddr_in*>(&storage);
            out->sin_family = AF_INET;
            out->sin_port = htons(port);
            std::memcpy(&out->sin_addr, address.bytes.data(), 4);
            size = sizeof *out;
        }
    }
    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

Result<void> set_option(int fd, int level, int option, int value, const char* name) {
    if (::setsockopt(fd, level, option, &value, sizeof value) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, name));
}

Result<void> set_password(int fd, const config::BgpPeer& peer) {
    std::string password = SLC_TRY(read_whole_file(peer.password_file), "TCP MD5 password");
    while (!password.empty() && (password.back() == '\n' || password.back() == '\r'))
        password.pop_back();
    if (password.empty() || password.size() > TCP_MD5SIG_MAXKEYLEN)
        return fail(Errc::invalid,
                    "TCP MD5 password: " + peer.password_file +
                        " must hold 1 to 80 bytes, followed by a newline or nothing");
    const SocketAddress address(peer.address, 0);
    tcp_md5sig signature{};
    std::memcpy(&signature.tcpm_addr, &address.storage, sizeof signature.tcpm_addr);
    signature.tcpm_keylen = static_cast<std::uint16_t>(password.size());
    std::memcpy(signature.tcpm_key, password.data(), password.size());
    if (::setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof signature) == 0) return {};
    const int saved = errno;
    // What kernels without CONFIG_TCP_MD5SIG say.
    if (saved == ENOPROTOOPT)
        return fail(Errc::unsupported, "TCP MD5: this kernel has none",
                    "a kernel with CONFIG_TCP_MD5SIG is needed, or a session without password");
    return fail(sys_error(saved, "TCP MD5"));
}

/// RFC 5082: only who is one hop away can send what arrives with 255.
Result<void> set_ttl_security(int fd, bool is_ip6) {
    if (is_ip6) {
        SLC_CHECK(set_option(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255, "IPV6_UNICAST_HOPS"),
                  "TTL security");
        return set_option(fd, IPPROTO_IPV6, kIp6MinHopCount, 255, "IPV6_MINHOPCOUNT");
    }
    SLC_CHECK(set_option(fd, IPPROTO_IP, IP_TTL, 255, "IP_TTL"), "TTL security");
    return set_option(fd, IPPROTO_IP, IP_MINTTL, 255, "IP_MINTTL");
}

Result<void> bind_source(int fd, const IpAddress& source) {
    const SocketAddress address(source, 0);
    if (::bind(fd, address.get(), address.size) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "bind to " + source.text()));
}

}  // namespace

Result<UniqueFd> connect_bgp(const config::BgpPeer& peer) {
    const bool is_ip6 = peer.address.is_ip6;
    UniqueFd fd(
        ::socket(is_ip6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "socket"));
    }
    SLC_CHECK(set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"), "socket");
    SLC_CHECK(set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, kSendBuffer, "SO_SNDBUF"), "socket");
    // Internetwork control, as routers mark it: RFC 4271 appendix E. Not being able to does no
    // harm.
    const int tos = 0xc0;
    (void)::setsockopt(fd.get(), is_ip6 ? IPPROTO_IPV6 : IPPROTO_IP, is_ip6 ? IPV6_TCLASS : IP_TOS,
                       &tos, sizeof tos);
    if (peer.ttl_security) SLC_CHECK(set_ttl_security(fd.get(), is_ip6), "socket");
    if (!peer.password_file.empty()) SLC_CHECK(set_password(fd.get(), peer), "socket");
    if (peer.source) SLC_CHECK(bind_source(fd.get(), *peer.source), "socket");
    const SocketAddress address(peer.address, peer.port);
    if (::connect(fd.get(), address.get(), address.size) != 0 && errno != EINPROGRESS) {
        const int saved = errno;
        return fail(sys_error(saved, "connect"));
    }
    return fd;
}

IpAddress local_address(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
    if (storage.ss_family == AF_INET6)
        return IpAddress::from_ip6(&reinterpret_cast<sockaddr_in6*>(&storage)->sin6_addr);
    return IpAddress::from_ip4(reinterpret_cast<sockaddr_in*>(&storage)->sin_addr.s_addr);
}

std::uint32_t find_router_id(std::uint32_t otherwise) {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return otherwise;
    std::uint32_t found = otherwise;
    for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
        if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET) continue;
        const auto* address = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
        const IpAddress ip = IpAddress::from_ip4(address->sin_addr.s_addr);
        if (ip.is_loopback() || ip.is_unspecified()) continue;
        found = ntohl(address->sin_addr.s_addr);
        break;
    }
    ::freeifaddrs(all);
    return found;
}

}  // namespace sluice::announce
