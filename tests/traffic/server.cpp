// SPDX-License-Identifier: Apache-2.0
#include "traffic/server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "traffic/loop.h"
#include "traffic/socket.h"
#include "traffic/stream.h"

namespace sluice::traffic {
namespace {

constexpr std::uint64_t kListenKey = 0;
constexpr std::uint64_t kDatagramKey = 1;
constexpr std::uint64_t kFirstConnection = 2;
constexpr std::size_t kTalkBytes = 96;

struct Connection {
    UniqueFd fd;
    std::array<std::uint8_t, sizeof(Hello)> greeting{};
    std::uint64_t received = 0;  ///< The greeting included.
    std::uint64_t sent = 0;      ///< Without the name.
    std::uint64_t owed = 0;      ///< Bytes asked for and not yet sent.
    Hello hello;
    bool named = false;
};

class Server : public Loop::Owner {
 public:
    Server(Loop& loop, std::string name, std::uint64_t interval_ns)
        : loop_(loop), interval_ns_(interval_ns) {
        std::memcpy(name_.data(), name.data(), std::min(name.size(), name_.size()));
    }
    Result<void> listen(std::uint16_t port);

    void on_event(std::uint64_t key, std::uint32_t events) override;
    void on_time(std::uint64_t key) override;
    void on_progress() override;
    void on_stop() override { loop_.end(); }

 private:
    void accept_all();
    void answer_datagrams();
    bool read_all(Connection& connection, std::uint64_t key);
    bool take(Connection& connection, std::span<const std::uint8_t> in);
    bool greet(Connection& connection, std::uint64_t key);
    bool send(Connection& connection, std::uint64_t bytes);
    void drop(std::uint64_t key) { connections_.erase(key); }

    Loop& loop_;
    std::array<std::uint8_t, kNameLen> name_{};
    std::uint64_t interval_ns_;
    UniqueFd listener_;
    UniqueFd datagrams_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
    std::uint64_t next_key_ = kFirstConnection;
    std::uint64_t corrupt_ = 0;
    std::uint64_t answered_ = 0;
};

Result<void> Server::listen(std::uint16_t port) {
    listener_ = SLC_TRY(listen_tcp(port), "server");
    datagrams_ = SLC_TRY(bind_udp(port), "server");
    SLC_CHECK(loop_.watch(listener_.get(), kListenKey, EPOLLIN), "server");
    return loop_.watch(datagrams_.get(), kDatagramKey, EPOLLIN);
}

void Server::accept_all() {
    while (true) {
        UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd.valid()) return;
        const std::uint64_t key = next_key_++;
        auto connection = std::make_unique<Connection>();
        connection->fd = std::move(fd);
        if (!loop_.watch(connection->fd.get(), key, EPOLLIN)) continue;
        connections_.emplace(key, std::move(connection));
    }
}

/// False when it cannot be sent: the client will see it.
bool Server::send(Connection& connection, std::uint64_t bytes) {
    std::array<std::uint8_t, 4096> buffer{};
    const std::size_t size = std::min<std::uint64_t>(bytes, buffer.size());
    const std::span<std::uint8_t> out(buffer.data(), size);
    Stream::down(connection.hello.seed).fill(connection.sent, out);
    const ssize_t sent = ::send(connection.fd.get(), out.data(), out.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    connection.sent += static_cast<std::uint64_t>(sent);
    connection.owed -= std::min(connection.owed, static_cast<std::uint64_t>(sent));
    return true;
}

bool Server::greet(Connection& connection, std::uint64_t key) {
    std::memcpy(&connection.hello, connection.greeting.data(), sizeof(Hello));
    connection.named = true;
    // The first bytes of a connection fit into its buffer.
    if (::send(connection.fd.get(), name_.data(), name_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(name_.size()))
        return false;
    if (connection.hello.manner == Manner::talk)
        loop_.at(now_ns() + key * 7919 * kMillisecond % interval_ns_, key);
    return true;
}

bool Server::take(Connection& connection, std::span<const std::uint8_t> in) {
    std::uint64_t at = connection.received;
    connection.received += in.size();
    if (at < sizeof(Hello)) {
        const std::size_t part = std::min<std::size_t>(in.size(), sizeof(Hello) - at);
        std::memcpy(connection.greeting.data() + at, in.data(), part);
        in = in.subspan(part);
        at += part;
    }
    if (in.empty()) return true;
    if (!connection.named)
        std::memcpy(&connection.hello, connection.greeting.data(), sizeof(Hello));
    if (connection.hello.manner == Manner::answer) connection.owed += in.size();
    return Stream(connection.hello.seed).matches(at - sizeof(Hello), in);
}

bool Server::read_all(Connection& connection, std::uint64_t key) {
    std::array<std::uint8_t, 8192> buffer{};
    while (true) {
        const ssize_t got = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
        if (got < 0) return errno == EAGAIN;
        if (got == 0) return false;
        if (!take(connection, {buffer.data(), static_cast<std::size_t>(got)})) {
            ++corrupt_;
            return false;
        }
        if (!connection.named && connection.received >= sizeof(Hello) && !greet(connection, key))
            return false;
        if (connection.owed > 0 && !send(connection, connection.owed)) return false;
    }
}

void Server::answer_datagrams() {
    struct Answer {
        std::array<std::uint8_t, kNameLen> name{};
        Datagram datagram;
    } answer{name_, {}};
    while (true) {
        sockaddr_storage from{};
        alignas(cmsghdr) std::array<char, 128> control{};
        iovec in{&answer.datagram, sizeof answer.datagram};
        msghdr message{};
        message.msg_name = &from;
        message.msg_namelen = sizeof from;
        message.msg_iov = &in;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(datagrams_.get(), &message, 0);
        if (got < 0) return;
        if (got != sizeof(Datagram)) continue;
        const Datagram& datagram = answer.datagram;
        const std::uint64_t at = datagram.number * sizeof datagram.bytes;
        if (!Stream(datagram.seed).matches(at, datagram.bytes)) {
            ++corrupt_;
            continue;
        }
        Stream::down(datagram.seed).fill(at, answer.datagram.bytes);
        iovec out{&answer, sizeof answer};
        message.msg_iov = &out;
        // The control message names the address that was asked; the interface is the route's.
        for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part))
            if (part->cmsg_type == IPV6_PKTINFO)
                reinterpret_cast<in6_pktinfo*>(CMSG_DATA(part))->ipi6_ifindex = 0;
        if (::sendmsg(datagrams_.get(), &message, MSG_NOSIGNAL) > 0) ++answered_;
    }
}

void Server::on_event(std::uint64_t key, std::uint32_t /*events*/) {
    if (key == kListenKey) return accept_all();
    if (key == kDatagramKey) return answer_datagrams();
    const auto found = connections_.find(key);
    if (found != connections_.end() && !read_all(*found->second, key)) drop(key);
}

void Server::on_time(std::uint64_t key) {
    const auto found = connections_.find(key);
    if (found == connections_.end()) return;
    if (!send(*found->second, kTalkBytes)) return drop(key);
    loop_.at(now_ns() + interval_ns_, key);
}

void Server::on_progress() {
    fmt::print(R"({{"open":{},"accepted":{},"corrupt":{},"datagrams":{}}})"
               "\n",
               connections_.size(), next_key_ - kFirstConnection, corrupt_, answered_);
    std::fflush(stdout);
}

}  // namespace

Result<void> run_server(const Options& options) {
    raise_descriptor_limit();
    const std::uint64_t port = SLC_TRY(options.number("port", 7100), "server");
    const std::uint64_t interval_ms = SLC_TRY(options.number("interval-ms", 200), "server");
    Loop loop = SLC_TRY(Loop::open(), "server");
    Server server(loop, options.text("name", "?"), interval_ms * kMillisecond);
    SLC_CHECK(server.listen(static_cast<std::uint16_t>(port)), "server");
    fmt::print("ready\n");
    std::fflush(stdout);
    SLC_CHECK(loop.run(server), "server");
    server.on_progress();
    return {};
}

}  // namespace sluice::traffic
