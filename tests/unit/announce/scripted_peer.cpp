// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/announce/scripted_peer.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace sluice::announce {

ScriptedPeer::ScriptedPeer(Reactor& reactor, bool is_ip6, const std::string& password,
                           int receive_buffer)
    : reactor_(reactor),
      is_ip6_(is_ip6),
      password_(password),
      receive_buffer_(receive_buffer),
      script_([](ScriptedPeer&) {}),
      listener_watch_(reactor, [this](std::uint32_t) { accept(); }),
      watch_(reactor, [this](std::uint32_t) { read(); }) {
    listen();
}

void ScriptedPeer::listen() {
    listener_.reset(
        ::socket(is_ip6_ ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (receive_buffer_ != 0)
        ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_,
                     sizeof receive_buffer_);
    sockaddr_storage storage{};
    socklen_t size = 0;
    if (is_ip6_) {
        auto* address = reinterpret_cast<sockaddr_in6*>(&storage);
        *address = {};
        address->sin6_family = AF_INET6;
        address->sin6_addr = in6addr_loopback;
        address->sin6_port = htons(port_);
        size = sizeof *address;
    } else {
        auto* address = reinterpret_cast<sockaddr_in*>(&storage);
        *address = {};
        address->sin_family = AF_INET;
        address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address->sin_port = htons(port_);
        size = sizeof *address;
    }
    if (!password_.empty()) {
        tcp_md5sig signature{};
        std::memcpy(&signature.tcpm_addr, &storage, sizeof storage);
        signature.tcpm_keylen = static_cast<std::uint16_t>(password_.size());
        std::memcpy(signature.tcpm_key, password_.data(), password_.size());
        ASSERT_EQ(
            ::setsockopt(listener_.get(), IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof signature),
            0);
    }
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
    ASSERT_EQ(::listen(listener_.get(), 5), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&storage), &size);
    port_ = ntohs(is_ip6_ ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                          : reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
    ASSERT_TRUE(listener_watch_.set(listener_.get(), EPOLLIN).has_value());
}

void ScriptedPeer::stop_listening() {
    listener_watch_.stop();
    listener_.reset();
}

void ScriptedPeer::listen_again() {
    listen();
}

void ScriptedPeer::accept() {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) return;
    ++connections_;
    watch_.stop();
    fd_ = std::move(fd);
    input_.clear();
    if (reads_) go_on_reading();
    script_(*this);
}

void ScriptedPeer::stop_reading() {
    reads_ = false;
    watch_.stop();
}

void ScriptedPeer::go_on_reading() {
    reads_ = true;
    ASSERT_TRUE(watch_.set(fd_.get(), EPOLLIN).has_value());
}

void ScriptedPeer::read() {
    std::array<std::uint8_t, 65536> buffer;
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return hang_up();
    input_.insert(input_.end(), buffer.begin(), buffer.begin() + got);
    script_(*this);
}

void ScriptedPeer::say(const Bytes& bytes) {
    (void)::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

void ScriptedPeer::hang_up() {
    watch_.stop();
    fd_.reset();
}

void ScriptedPeer::reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    hang_up();
}

void ScriptedPeer::answer_properly(std::uint32_t as, std::uint16_t hold_time_s) {
    on_input([as, hold_time_s, answered = 0](ScriptedPeer& peer) mutable {
        if (peer.connections() == answered || peer.messages().empty()) return;
        answered = peer.connections();
        peer.say(write_open({.as = as, .hold_time_s = hold_time_s, .router_id = 0x7f000001}));
        peer.say(write_keepalive());
    });
}

std::vector<BgpMessage> ScriptedPeer::messages() const {
    std::vector<BgpMessage> out;
    ByteView rest = input_;
    for (;;) {
        const BgpRead read = read_bgp(rest);
        EXPECT_FALSE(read.error.has_value()) << read.error->text();
        if (!read.message) return out;
        out.push_back(*read.message);
        rest = rest.subspan(read.size);
    }
}

}  // namespace sluice::announce
