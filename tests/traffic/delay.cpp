// SPDX-License-Identifier: Apache-2.0
#include "traffic/delay.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <vector>

#include "traffic/loop.h"
#include "traffic/socket.h"

namespace sluice::traffic {
namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr std::size_t kMostWaiting = 100'000;

Result<UniqueFd> raw_socket(int family, int mark) {
    UniqueFd fd(::socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW));
    const int yes = 1;
    if (!fd.valid() || ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0 ||
        (family == AF_INET6 &&
         ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_HDRINCL, &yes, sizeof yes) != 0)) {
        const int saved = errno;
        return fail(sys_error(saved, "raw socket"));
    }
    return fd;
}

Result<UniqueFd> packet_socket(const std::string& interface) {
    UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    if (!fd.valid() || address.sll_ifindex == 0 ||
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, interface));
    }
    return fd;
}

class Delay : public Loop::Owner {
 public:
    Delay(Loop& loop, std::uint64_t delay_ns) : loop_(loop), delay_ns_(delay_ns) {}

    Result<void> open(const std::string& interface, int mark) {
        in_ = SLC_TRY(packet_socket(interface), "delay");
        out4_ = SLC_TRY(raw_socket(AF_INET, mark), "delay");
        out6_ = SLC_TRY(raw_socket(AF_INET6, mark), "delay");
        return loop_.watch(in_.get(), 1, EPOLLIN);
    }

    void on_event(std::uint64_t /*key*/, std::uint32_t /*events*/) override {
        std::array<std::uint8_t, 2048> buffer{};
        while (true) {
            const ssize_t got = ::recv(in_.get(), buffer.data(), buffer.size(), 0);
            if (got < 0) return;
            const auto size = static_cast<std::size_t>(got);
            if (size < kEthernetBytes + 40 || waiting_.size() >= kMostWaiting) continue;
            waiting_.push_back(
                {now_ns() + delay_ns_, {buffer.begin() + kEthernetBytes, buffer.begin() + got}});
            loop_.at(waiting_.back().due_ns, 0);
        }
    }

    void on_time(std::uint64_t /*key*/) override {
        for (const std::uint64_t now = now_ns(); !waiting_.empty() && waiting_[0].due_ns <= now;) {
            send(waiting_[0].bytes);
            waiting_.pop_front();
        }
    }

    void on_progress() override {
        fmt::print(R"({{"sent":{},"failed":{},"waiting":{}}})"
                   "\n",
                   sent_, failed_, waiting_.size());
        std::fflush(stdout);
    }

    void on_stop() override { loop_.end(); }

 private:
    struct Packet {
        std::uint64_t due_ns;
        std::vector<std::uint8_t> bytes;
    };

    void send(const std::vector<std::uint8_t>& packet) {
        const bool ip6 = packet[0] >> 4 == 6;
        Endpoint to;
        to.address.is_ip6 = ip6;
        std::memcpy(to.address.bytes.data(), packet.data() + (ip6 ? 24 : 16), ip6 ? 16 : 4);
        const SocketAddress address(to);
        const ssize_t sent = ::sendto((ip6 ? out6_ : out4_).get(), packet.data(), packet.size(), 0,
                                      address.get(), address.len);
        ++(sent < 0 ? failed_ : sent_);
    }

    Loop& loop_;
    std::uint64_t delay_ns_;
    UniqueFd in_, out4_, out6_;
    std::deque<Packet> waiting_;
    std::uint64_t sent_ = 0, failed_ = 0;
};

}  // namespace

Result<void> run_delay(const Options& options) {
    const std::uint64_t delay_ms = SLC_TRY(options.number("ms", 2000), "delay");
    const std::uint64_t mark = SLC_TRY(options.number("mark", 119), "delay");
    Loop loop = SLC_TRY(Loop::open(), "delay");
    Delay owner(loop, delay_ms * kMillisecond);
    SLC_CHECK(owner.open(options.text("interface", "hold1"), static_cast<int>(mark)), "delay");
    fmt::print("ready\n");
    std::fflush(stdout);
    SLC_CHECK(loop.run(owner), "delay");
    owner.on_progress();
    return {};
}

}  // namespace sluice::traffic
