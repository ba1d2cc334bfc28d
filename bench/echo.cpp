// SPDX-License-Identifier: Apache-2.0
#include "bench/echo.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "bench/harness.h"

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Message = std::array<std::uint8_t, 32>;

sockaddr_in place_of(const std::string& address, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &out.sin_addr);
    return out;
}

tl::unexpected<Error> failed(const char* what) {
    const int saved = errno;
    return fail(sys_error(saved, what));
}

void without_delay(int socket) {
    const int on = 1;
    (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Result<UniqueFd> bind_server(int type, const sockaddr_in& place) {
    UniqueFd out(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    const int on = 1;
    (void)::setsockopt(out.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(out.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0)
        return failed("bind the echo server");
    if (type == SOCK_STREAM && ::listen(out.get(), 1) != 0) return failed("listen");
    return out;
}

/// Until `stop` becomes readable.
void serve(int udp, int tcp, int stop) {
    UniqueFd connection;
    Message message{};
    for (;;) {
        std::array<pollfd, 4> watched{
            {{stop, POLLIN, 0}, {udp, POLLIN, 0}, {tcp, POLLIN, 0}, {connection.get(), POLLIN, 0}}};
        (void)::poll(watched.data(), watched.size(), -1);
        if (watched[0].revents != 0) return;
        if (watched[1].revents != 0) {
            sockaddr_in from{};
            socklen_t size = sizeof from;
            const ssize_t got = ::recvfrom(udp, message.data(), message.size(), 0,
                                           reinterpret_cast<sockaddr*>(&from), &size);
            if (got > 0)
                (void)::sendto(udp, message.data(), static_cast<std::size_t>(got), 0,
                               reinterpret_cast<sockaddr*>(&from), size);
        }
        if (watched[2].revents != 0) {
            connection.reset(::accept4(tcp, nullptr, nullptr, SOCK_CLOEXEC));
            without_delay(connection.get());
        }
        if (watched[3].revents != 0) {
            const ssize_t got = ::recv(watched[3].fd, message.data(), message.size(), 0);
            if (got > 0)
                (void)::send(watched[3].fd, message.data(), static_cast<std::size_t>(got),
                             MSG_NOSIGNAL);
            else if (watched[3].fd == connection.get())
                connection.reset();
        }
    }
}

}  // namespace

Result<EchoServer> EchoServer::start(const Namespace& where, const std::string& address,
                                     std::uint16_t port, unsigned cpu) {
    EchoServer out;
    const sockaddr_in place = place_of(address, port);
    {
        const Inside inside = SLC_TRY(Inside::enter(where), "echo server");
        out.udp_ = SLC_TRY(bind_server(SOCK_DGRAM, place), "echo server");
        out.tcp_ = SLC_TRY(bind_server(SOCK_STREAM, place), "echo server");
    }
    out.stop_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!out.stop_.valid()) return failed("eventfd");
    out.thread_ =
        std::thread([udp = out.udp_.get(), tcp = out.tcp_.get(), stop = out.stop_.get(), cpu] {
            // Unpinned it would answer all the same, only less evenly.
            (void)pin_to_cpu(cpu);
            go_first();
            serve(udp, tcp, stop);
        });
    return out;
}

EchoServer::~EchoServer() {
    if (!thread_.joinable()) return;
    (void)::eventfd_write(stop_.get(), 1);
    thread_.join();
}

double Echoes::percentile(double share) const {
    if (us.empty()) return 0;
    const auto at = static_cast<std::size_t>(share * static_cast<double>(us.size()));
    return us[std::min(at, us.size() - 1)];
}

Result<Echoes> ask_echoes(bool tcp, const std::string& address, std::uint16_t port,
                          std::uint32_t count) {
    const UniqueFd socket(::socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
    const timeval second{tcp ? 5 : 1, 0};
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
    if (tcp) without_delay(socket.get());
    const sockaddr_in place = place_of(address, port);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0)
        return failed("connect to the echo server");
    Echoes out;
    Message message{};
    for (std::uint32_t i = 0; i < count + count / 10; ++i) {
        const auto start = Clock::now();
        if (::send(socket.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0)
            return failed("ask");
        const ssize_t got =
            ::recv(socket.get(), message.data(), message.size(), tcp ? MSG_WAITALL : 0);
        const double us = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
        if (got <= 0) {
            if (tcp || ++out.lost > 20) return failed("wait for an answer");
            continue;
        }
        if (i >= count / 10) out.us.push_back(us);  // the first tenth warms up
    }
    std::sort(out.us.begin(), out.us.end());
    return out;
}

}  // namespace sluice::bench
