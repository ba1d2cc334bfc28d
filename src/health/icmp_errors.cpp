// SPDX-License-Identifier: Apache-2.0
#include "health/icmp_errors.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>  // Before linux/icmp.h, which would declare half of it.

#include <linux/filter.h>
#include <linux/icmp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <utility>

namespace sluice::health {
namespace {

constexpr std::size_t kHeaderLen = 8;  ///< Of ICMP; then the quote.
constexpr std::size_t kIp4Len = 20;
constexpr std::size_t kIp6Len = 40;
/// RFC 1812 4.3.2.3 and RFC 4443 2.4(c) allow 576 and 1,280.
constexpr std::size_t kMostPacket = 2048;
constexpr int kMostAtOnce = 64;  ///< Packets in one round: others have their turn.
constexpr unsigned kIpip = 4, kUdp = 17, kIp6Ip = 41, kGre = 47;

unsigned byte_at(std::string_view bytes, std::size_t at) {
    return static_cast<unsigned char>(bytes[at]);
}

unsigned get16(std::string_view bytes, std::size_t at) {
    return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

bool sums_up(std::string_view bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) sum += byte_at(bytes, i) << (i % 2 == 0 ? 8 : 0);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return sum == 0xffff;
}

bool is_error(unsigned type, unsigned code, bool is_ip6) {
    if (is_ip6)
        return type == ICMP6_DST_UNREACH || type == ICMP6_TIME_EXCEEDED ||
               (type == ICMP6_PARAM_PROB && code == ICMP6_PARAMPROB_NEXTHEADER);
    return (type == ICMP_DEST_UNREACH && code != ICMP_FRAG_NEEDED) || type == ICMP_TIME_EXCEEDED;
}

/// `rest`: what is quoted behind the outer IP header.
QuotedTunnel::Kind kind_of(unsigned protocol, std::string_view rest, std::uint16_t gue_port) {
    using Kind = QuotedTunnel::Kind;
    if (protocol == kIpip || protocol == kIp6Ip || protocol == kGre) return Kind::tunnel;
    if (protocol != kUdp) return Kind::other;
    if (rest.size() < 4) return Kind::malformed;
    return get16(rest, 2) == gue_port ? Kind::tunnel : Kind::other;
}

QuotedTunnel read_ip4(std::string_view quote, std::uint16_t gue_port) {
    if (quote.size() < kIp4Len || byte_at(quote, 0) >> 4 != 4) return {};
    const std::size_t len = (byte_at(quote, 0) & 0xf) * 4;
    const bool is_later_fragment = (get16(quote, 6) & 0x1fff) != 0;
    if (len < kIp4Len || quote.size() < len || is_later_fragment) return {};
    QuotedTunnel out;
    out.kind = kind_of(byte_at(quote, 9), quote.substr(len), gue_port);
    std::copy_n(quote.begin() + 16, 4, out.to.bytes.begin());
    return out;
}

/// The balancer's have no extension headers.
QuotedTunnel read_ip6(std::string_view quote, std::uint16_t gue_port) {
    if (quote.size() < kIp6Len || byte_at(quote, 0) >> 4 != 6) return {};
    QuotedTunnel out;
    out.kind = kind_of(byte_at(quote, 6), quote.substr(kIp6Len), gue_port);
    out.to.is_ip6 = true;
    std::copy_n(quote.begin() + 24, 16, out.to.bytes.begin());
    return out;
}

/// Types that may matter, and of them what quotes a protocol of tunnels. IPv4 packets come with
/// their IP header, IPv6 ones without.
int attach_filter(int fd, bool is_ip6) {
    const sock_filter header_len = is_ip6 ? sock_filter BPF_STMT(BPF_LDX | BPF_IMM, 0)
                                          : sock_filter BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0);
    const std::uint32_t protocol_at = kHeaderLen + (is_ip6 ? 6 : 9);
    sock_filter code[] = {
        header_len,
        BPF_STMT(BPF_LD | BPF_B | BPF_IND, protocol_at),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kIpip, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kIp6Ip, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kGre, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kUdp, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, kMostPacket),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const sock_fprog program{.len = std::size(code), .filter = code};
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
        return errno;
    int result = 0;
    if (is_ip6) {
        icmp6_filter types;
        ICMP6_FILTER_SETBLOCKALL(&types);
        for (const int type : {ICMP6_DST_UNREACH, ICMP6_TIME_EXCEEDED, ICMP6_PARAM_PROB})
            ICMP6_FILTER_SETPASS(type, &types);
        result = ::setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &types, sizeof(types));
    } else {
        const icmp_filter types{.data = ~(1U << ICMP_DEST_UNREACH | 1U << ICMP_TIME_EXCEEDED)};
        result = ::setsockopt(fd, SOL_RAW, ICMP_FILTER, &types, sizeof(types));
    }
    return result == 0 ? 0 : errno;
}

}  // namespace

QuotedTunnel quoted_tunnel(std::string_view message, bool is_ip6, std::uint16_t gue_port) {
    if (message.size() < kHeaderLen) return {};
    if (!is_error(byte_at(message, 0), byte_at(message, 1), is_ip6))
        return {.kind = QuotedTunnel::Kind::other, .to = {}};
    if (!is_ip6 && !sums_up(message)) return {};
    const std::string_view quote = message.substr(kHeaderLen);
    return is_ip6 ? read_ip6(quote, gue_port) : read_ip4(quote, gue_port);
}

IcmpErrors::IcmpErrors(Reactor& reactor, std::uint16_t gue_port, Call call, int most_in_a_second)
    : gue_port_(gue_port),
      call_(std::move(call)),
      most_in_a_second_(most_in_a_second),
      ip4_(reactor, [this](std::uint32_t) { on_readable(ip4_, false); }),
      ip6_(reactor, [this](std::uint32_t) { on_readable(ip6_, true); }) {}

Result<std::unique_ptr<IcmpErrors>> IcmpErrors::open(Reactor& reactor, std::uint16_t gue_port,
                                                     Call call, int most_in_a_second) {
    std::unique_ptr<IcmpErrors> out(
        new IcmpErrors(reactor, gue_port, std::move(call), most_in_a_second));
    SLC_CHECK(out->listen(out->ip4_, false), "hear ICMP errors");
    SLC_CHECK(out->listen(out->ip6_, true), "hear ICMPv6 errors");
    return out;
}

Result<void> IcmpErrors::listen(Socket& socket, bool is_ip6) {
    const int protocol = is_ip6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
    UniqueFd fd(
        ::socket(is_ip6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd.valid()) {
        const int saved = errno;
        // A node without IPv6 has no tunnels over it.
        if (is_ip6 && saved == EAFNOSUPPORT) return {};
        return fail(sys_error(saved, "open a raw socket"));
    }
    if (const int error = attach_filter(fd.get(), is_ip6); error != 0)
        return fail(sys_error(error, "filter"));
    SLC_CHECK(socket.watch.set(fd.get(), EPOLLIN), "wait");
    socket.fd = std::move(fd);
    return {};
}

void IcmpErrors::on_readable(const Socket& socket, bool is_ip6) {
    std::array<char, kMostPacket> buffer;
    for (int i = 0; i < kMostAtOnce; ++i) {
        const ssize_t got = ::recv(socket.fd.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) return;
        std::string_view message(buffer.data(), static_cast<std::size_t>(got));
        // The kernel has looked at this header.
        if (!is_ip6)
            message.remove_prefix(
                std::min<std::size_t>((byte_at(message, 0) & 0xf) * 4, message.size()));
        on_message(message, is_ip6);
    }
}

void IcmpErrors::on_message(std::string_view message, bool is_ip6) {
    const QuotedTunnel quoted = quoted_tunnel(message, is_ip6, gue_port_);
    switch (quoted.kind) {
        case QuotedTunnel::Kind::malformed:
            ++counts_.malformed;
            return;
        case QuotedTunnel::Kind::other:
            ++counts_.other;
            return;
        case QuotedTunnel::Kind::tunnel:
            break;
    }
    if (!take_token()) {
        ++counts_.beyond_rate;
        return;
    }
    ++counts_.told;
    call_(quoted.to);
}

bool IcmpErrors::take_token() {
    const auto now = Reactor::Clock::now();
    if (now - second_begun_ >= std::chrono::seconds(1)) {
        second_begun_ = now;
        calls_in_second_ = 0;
    }
    if (calls_in_second_ >= most_in_a_second_) return false;
    ++calls_in_second_;
    return true;
}

}  // namespace sluice::health
