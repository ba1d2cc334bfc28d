// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/health/scripted_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>

#include "health/socket.h"

namespace sluice::health {
namespace {

std::uint16_t port_of(int fd) {
    sockaddr_in6 bound{};
    socklen_t len = sizeof(bound);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &len), 0);
    return ntohs(bound.sin6_port);  // At the same place in both families.
}

UniqueFd bound_socket(const IpAddress& address, int type) {
    UniqueFd fd(::socket(address.is_ip6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0));
    const SocketAddress at(address, 0);
    EXPECT_EQ(::bind(fd.get(), &at.any, at.len), 0);
    return fd;
}

/// Waits for either; whether it was `fd`.
bool wait_either(int fd, short events, int stop, int timeout_ms) {
    pollfd both[] = {{.fd = fd, .events = events, .revents = 0},
                     {.fd = stop, .events = POLLIN, .revents = 0}};
    return ::poll(both, 2, timeout_ms) > 0 && both[1].revents == 0 && both[0].revents != 0;
}

}  // namespace

bool Peer::wait(short events, int timeout_ms) {
    return wait_either(fd_.get(), events, stop_, timeout_ms);
}

std::string Peer::read_until(std::string_view end) {
    std::array<char, 4096> buffer;
    for (;;) {
        const std::size_t at = received_.find(end);
        if (at != std::string::npos) {
            std::string out = received_.substr(0, at + end.size());
            received_.erase(0, out.size());
            return out;
        }
        if (!wait(POLLIN, -1)) return std::exchange(received_, {});
        const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) return std::exchange(received_, {});
        received_.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

std::string Peer::read_bytes(std::size_t count) {
    std::array<char, 4096> buffer;
    while (received_.size() < count && wait(POLLIN, -1)) {
        const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) break;
        received_.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return std::exchange(received_, {});
}

void Peer::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

void Peer::drip(std::string_view bytes, std::chrono::milliseconds every) {
    for (const char byte : bytes) {
        send({&byte, 1});
        pollfd ends[] = {{.fd = fd_.get(), .events = POLLRDHUP, .revents = 0},
                         {.fd = stop_, .events = POLLIN, .revents = 0}};
        if (::poll(ends, 2, static_cast<int>(every.count())) != 0) return;
    }
}

void Peer::hang() {
    wait(POLLRDHUP, -1);
}

void Peer::reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    fd_.reset();
}

ScriptedServer::ScriptedServer(Script script, const IpAddress& address)
    : script_(std::move(script)),
      address_(address),
      listener_(bound_socket(address, SOCK_STREAM)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
    EXPECT_EQ(::listen(listener_.get(), 512), 0);
    port_ = port_of(listener_.get());
    thread_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
    for (std::thread& peer : peers_) peer.join();
}

void ScriptedServer::accept_all() {
    while (wait_either(listener_.get(), POLLIN, stop_.get(), -1)) {
        UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!fd.valid()) continue;
        peers_.emplace_back([this, fd = std::move(fd)]() mutable {
            Peer peer(std::move(fd), stop_.get());
            script_(peer);
        });
    }
}

DatagramServer::DatagramServer(Answer answer)
    : answer_(std::move(answer)),
      fd_(bound_socket(ScriptedServer::loopback(), SOCK_DGRAM)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
    port_ = port_of(fd_.get());
    thread_ = std::thread([this] {
        std::array<char, 4096> buffer;
        while (wait_either(fd_.get(), POLLIN, stop_.get(), -1)) {
            sockaddr_in from{};
            socklen_t len = sizeof(from);
            auto* address = reinterpret_cast<sockaddr*>(&from);
            const ssize_t got =
                ::recvfrom(fd_.get(), buffer.data(), buffer.size(), 0, address, &len);
            if (got < 0) continue;
            const std::string reply = answer_({buffer.data(), static_cast<std::size_t>(got)});
            if (!reply.empty()) ::sendto(fd_.get(), reply.data(), reply.size(), 0, address, len);
        }
    });
}

DatagramServer::~DatagramServer() {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
}

ShutPort::ShutPort(int type) : fd_(bound_socket(ScriptedServer::loopback(), type)) {
    port_ = port_of(fd_.get());
    // Bound and not listening refuses streams. A datagram would wait in the socket: the port is
    // free again, and the kernel gives it to nobody who does not ask for it by number.
    if (type == SOCK_DGRAM) fd_.reset();
}

}  // namespace sluice::health
