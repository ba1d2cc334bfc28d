// SPDX-License-Identifier: Apache-2.0
#include "health/icmp_port.h"

#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <openssl/rand.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "health/socket.h"

namespace sluice::health {
namespace {

constexpr std::size_t kHeaderLen = 8;  ///< Of ICMP: type, code, checksum, identifier, sequence.
constexpr std::size_t kRequestLen = kHeaderLen + sizeof(std::uint64_t);
constexpr std::size_t kMostPacket = 2048;
constexpr int kMostAtOnce = 64;  ///< Packets in one round: others have their turn.
constexpr int kReceiveBuffer = 4 << 20;
constexpr std::size_t kMostPending = 32768;
constexpr std::size_t kIp6HeaderLen = 40;

unsigned byte_at(std::string_view bytes, std::size_t at) {
    return static_cast<unsigned char>(bytes[at]);
}

unsigned get16(std::string_view bytes, std::size_t at) {
    return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

/// Without its IPv4 header; empty: cut short.
std::string_view without_ip4(std::string_view packet) {
    if (packet.empty()) return {};
    const std::size_t len = (byte_at(packet, 0) & 0xf) * 4;
    return packet.size() < len + kHeaderLen ? std::string_view() : packet.substr(len);
}

std::uint16_t checksum(const unsigned char* bytes, std::size_t size) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i + 1 < size; i += 2)
        sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

IpAddress address_of(const sockaddr_storage& from, bool is_ip6) {
    if (is_ip6)
        return IpAddress::from_ip6(&reinterpret_cast<const sockaddr_in6*>(&from)->sin6_addr);
    return IpAddress::from_ip4(reinterpret_cast<const sockaddr_in*>(&from)->sin_addr.s_addr);
}

/// RFC 792 and RFC 4443: unreachable and time exceeded.
bool is_error_type(unsigned type, bool is_ip6) {
    return is_ip6 ? type == ICMP6_DST_UNREACH || type == ICMP6_TIME_EXCEEDED
                  : type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED;
}

bool is_reply_type(unsigned type, bool is_ip6) {
    return type == (is_ip6 ? unsigned{ICMP6_ECHO_REPLY} : unsigned{ICMP_ECHOREPLY});
}

/// Ancillary data of one packet: its mark and its source address.
class Control {
 public:
    Control() { header_.msg_control = buffer_.data(); }
    template <typename T>
    void add(int level, int type, const T& value) {
        auto* entry = reinterpret_cast<cmsghdr*>(buffer_.data() + header_.msg_controllen);
        entry->cmsg_level = level;
        entry->cmsg_type = type;
        entry->cmsg_len = CMSG_LEN(sizeof(T));
        std::memcpy(CMSG_DATA(entry), &value, sizeof(T));
        header_.msg_controllen += CMSG_SPACE(sizeof(T));
    }
    msghdr& header() {
        if (header_.msg_controllen == 0) header_.msg_control = nullptr;
        return header_;
    }

 private:
    alignas(cmsghdr) std::array<char, 128> buffer_{};
    msghdr header_{};
};

void add_source(Control& control, const IpAddress& source) {
    if (source.is_ip6) {
        in6_pktinfo info{};
        std::memcpy(&info.ipi6_addr, source.bytes.data(), 16);
        control.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
    } else {
        in_pktinfo info{};
        info.ipi_spec_dst.s_addr = source.ip4_be();
        control.add(IPPROTO_IP, IP_PKTINFO, info);
    }
}

}  // namespace

IcmpPort::IcmpPort(Reactor& reactor, bool is_ip6)
    : is_ip6_(is_ip6), watch_(reactor, [this](std::uint32_t) { on_readable(); }) {
    ::RAND_bytes(reinterpret_cast<unsigned char*>(&id_), sizeof(id_));
    ::RAND_bytes(reinterpret_cast<unsigned char*>(&next_), sizeof(next_));
}

int IcmpPort::attach_filter(int fd) const {
    // IPv4 packets come with their IP header, IPv6 ones without.
    const auto reply =
        static_cast<std::uint32_t>(is_ip6_ ? unsigned{ICMP6_ECHO_REPLY} : unsigned{ICMP_ECHOREPLY});
    const sock_filter header_len = is_ip6_ ? sock_filter BPF_STMT(BPF_LDX | BPF_IMM, 0)
                                           : sock_filter BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0);
    sock_filter code[] = {
        header_len,
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),             // The type;
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, reply, 0, 2),  // errors are looked at here,
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),             // replies have the identifier.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id_, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, kMostPacket),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const sock_fprog program{.len = std::size(code), .filter = code};
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
        return errno;
    int result = 0;
    if (is_ip6_) {
        icmp6_filter types;
        ICMP6_FILTER_SETBLOCKALL(&types);
        for (const int type : {ICMP6_ECHO_REPLY, ICMP6_DST_UNREACH, ICMP6_TIME_EXCEEDED})
            ICMP6_FILTER_SETPASS(type, &types);
        result = ::setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &types, sizeof(types));
    } else {
        const icmp_filter types{
            .data = ~(1U << ICMP_ECHOREPLY | 1U << ICMP_DEST_UNREACH | 1U << ICMP_TIME_EXCEEDED)};
        result = ::setsockopt(fd, SOL_RAW, ICMP_FILTER, &types, sizeof(types));
    }
    return result == 0 ? 0 : errno;
}

int IcmpPort::open() {
    const int family = is_ip6_ ? AF_INET6 : AF_INET;
    const int protocol = is_ip6_ ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
    UniqueFd fd(::socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd.valid()) return errno;
    if (const int error = attach_filter(fd.get()); error != 0) return error;
    // The answers of thousands who are asked at once; by force where that is permitted.
    for (const int option : {SO_RCVBUFFORCE, SO_RCVBUF})
        if (::setsockopt(fd.get(), SOL_SOCKET, option, &kReceiveBuffer, sizeof(kReceiveBuffer)) ==
            0)
            break;
    if (const auto watched = watch_.set(fd.get(), EPOLLIN); !watched) return watched.error().sys;
    fd_ = std::move(fd);
    return 0;
}

std::uint16_t IcmpPort::free_sequence() {
    while (pending_.contains(next_)) ++next_;
    return next_++;
}

Finding IcmpPort::send(const Target& target, User& user, std::uint16_t& sequence) {
    if (!fd_.valid()) {
        if (const int error = open(); error != 0) {
            Finding finding = finding_of_errno(error, "open a raw socket");
            finding.why = Why::local;
            return finding;
        }
    }
    if (pending_.size() >= kMostPending)
        return {.why = Why::local, .text = "too many requests at once", .load = {}};
    Pending pending{.user = &user, .to = target.address, .token = 0};
    ::RAND_bytes(reinterpret_cast<unsigned char*>(&pending.token), sizeof(pending.token));
    sequence = free_sequence();
    if (const int error = transmit(target, sequence, pending.token); error != 0)
        return finding_of_errno(error, "send");
    pending_[sequence] = pending;
    return {};
}

int IcmpPort::transmit(const Target& target, std::uint16_t sequence, std::uint64_t token) {
    std::array<unsigned char, kRequestLen> request{};
    request[0] = is_ip6_ ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    request[4] = static_cast<unsigned char>(id_ >> 8);
    request[5] = static_cast<unsigned char>(id_ & 0xff);
    request[6] = static_cast<unsigned char>(sequence >> 8);
    request[7] = static_cast<unsigned char>(sequence & 0xff);
    std::memcpy(request.data() + kHeaderLen, &token, sizeof(token));
    if (!is_ip6_) {  // The kernel does ICMPv6's.
        const std::uint16_t sum = checksum(request.data(), request.size());
        request[2] = static_cast<unsigned char>(sum >> 8);
        request[3] = static_cast<unsigned char>(sum & 0xff);
    }
    SocketAddress to(target.address, 0);
    iovec bytes{.iov_base = request.data(), .iov_len = request.size()};
    Control control;
    if (target.mark != 0) control.add(SOL_SOCKET, SO_MARK, target.mark);
    if (target.source) add_source(control, *target.source);
    msghdr& message = control.header();
    message.msg_name = &to.any;
    message.msg_namelen = to.len;
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    if (::sendmsg(fd_.get(), &message, MSG_NOSIGNAL) >= 0) return 0;
    return errno;
}

void IcmpPort::on_readable() {
    std::array<char, kMostPacket> buffer;
    for (int i = 0; i < kMostAtOnce; ++i) {
        sockaddr_storage from{};
        socklen_t from_len = sizeof(from);
        const ssize_t got = ::recvfrom(fd_.get(), buffer.data(), buffer.size(), 0,
                                       reinterpret_cast<sockaddr*>(&from), &from_len);
        const int saved = errno;
        // Errors of a raw socket are of some earlier packet: its own timeout tells.
        if (got < 0 && saved == EAGAIN) return;
        if (got > 0)
            on_packet({buffer.data(), static_cast<std::size_t>(got)}, address_of(from, is_ip6_));
    }
}

void IcmpPort::on_packet(std::string_view packet, const IpAddress& from) {
    const std::string_view message = is_ip6_ ? packet : without_ip4(packet);
    if (message.size() < kHeaderLen) return;
    const unsigned type = byte_at(message, 0);
    if (is_reply_type(type, is_ip6_))
        on_echo_reply(message, from);
    else if (is_error_type(type, is_ip6_))
        on_error(message);
}

/// Of a request or reply with our identifier.
std::unordered_map<std::uint16_t, IcmpPort::Pending>::iterator IcmpPort::find(
    std::string_view echo) {
    if (echo.size() < kHeaderLen || get16(echo, 4) != id_) return pending_.end();
    return pending_.find(static_cast<std::uint16_t>(get16(echo, 6)));
}

void IcmpPort::on_echo_reply(std::string_view message, const IpAddress& from) {
    const auto found = find(message);
    if (found == pending_.end() || message.size() < kRequestLen) return;
    if (from != found->second.to ||
        std::memcmp(message.data() + kHeaderLen, &found->second.token, sizeof(std::uint64_t)) != 0)
        return;
    User* user = found->second.user;
    pending_.erase(found);
    user->on_icmp({});
}

void IcmpPort::on_error(std::string_view message) {
    // The error quotes the request. Routers need quote no more than 8 bytes of it (RFC 792), so
    // the token is compared where it is there.
    std::string_view quoted = message.substr(kHeaderLen);
    const unsigned wanted = is_ip6_ ? unsigned{ICMP6_ECHO_REQUEST} : unsigned{ICMP_ECHO};
    const std::size_t to_at = is_ip6_ ? 24 : 16;
    const std::size_t address_len = is_ip6_ ? 16 : 4;
    if (quoted.size() < (is_ip6_ ? kIp6HeaderLen : 20)) return;
    const std::string_view to = quoted.substr(to_at, address_len);
    quoted = is_ip6_ ? quoted.substr(kIp6HeaderLen) : without_ip4(quoted);
    if (quoted.size() < kHeaderLen || byte_at(quoted, 0) != wanted) return;
    const auto found = find(quoted);
    if (found == pending_.end()) return;
    if (std::memcmp(to.data(), found->second.to.bytes.data(), address_len) != 0) return;
    if (quoted.size() >= kRequestLen &&
        std::memcmp(quoted.data() + kHeaderLen, &found->second.token, sizeof(std::uint64_t)) != 0)
        return;
    User* user = found->second.user;
    pending_.erase(found);
    user->on_icmp({.why = Why::unreachable, .text = "ICMP says so", .load = {}});
}

}  // namespace sluice::health
