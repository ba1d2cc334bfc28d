// SPDX-License-Identifier: Apache-2.0
#include "traffic/connections.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice::traffic {
namespace {

constexpr std::size_t kQuestionBytes = 100;

/// Numbers that differ from connection to connection and from run to run.
std::uint64_t seed_of(std::uint64_t key) {
    static const std::uint64_t kRun = now_ns();
    return (kRun + key) * 0x9e3779b97f4a7c15ull;
}

}  // namespace

void Connections::arm(std::uint64_t key, Connection& connection, std::uint64_t due_ns) {
    connection.due_ns = due_ns;
    loop_.at(due_ns, key);
}

void Connections::begin(Kind kind, std::uint64_t number) {
    const std::uint64_t key = next_key_++;
    auto made = std::make_unique<Connection>();
    Connection& connection = *made;
    connection.kind = kind;
    connection.number = number;
    connection.seed = seed_of(key);
    ++report_[kind].begun;
    const Settings::Tuple tuple = settings_.tuple(kind, number);
    auto fd = bound_socket(SOCK_STREAM, tuple.from);
    const SocketAddress to(tuple.to);
    connection.start_ns = connection.heard_ns = connection.asked_ns = now_ns();
    open_.emplace(key, std::move(made));
    if (!fd) return failed(key, connection, fd.error().what);
    connection.fd = std::move(*fd);
    if (::connect(connection.fd.get(), to.get(), to.len) != 0 && errno != EINPROGRESS)
        return failed(key, connection, std::strerror(errno));
    if (auto watched = loop_.watch(connection.fd.get(), key, EPOLLOUT); !watched)
        return failed(key, connection, watched.error().what);
    arm(key, connection, connection.start_ns + settings_.handshake_ns);
}

void Connections::on_event(std::uint64_t key, std::uint32_t events) {
    const auto found = open_.find(key);
    if (found == open_.end()) return;
    Connection& connection = *found->second;
    if (connection.state != State::connecting) return read_all(key, connection);
    int error = 0;
    socklen_t len = sizeof error;
    (void)::getsockopt(connection.fd.get(), SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) return failed(key, connection, std::strerror(error));
    if ((events & EPOLLOUT) != 0) established(key, connection);
}

void Connections::established(std::uint64_t key, Connection& connection) {
    Counts& counts = report_[connection.kind];
    const std::uint64_t now = now_ns();
    counts.slowest_ns = std::max(counts.slowest_ns, now - connection.start_ns);
    tcp_info info{};
    socklen_t len = sizeof info;
    (void)::getsockopt(connection.fd.get(), IPPROTO_TCP, TCP_INFO, &info, &len);
    if (info.tcpi_total_retrans > 0) {
        ++counts.slow;
        if (report_.slow_starts.size() < Report::kMaxSlowStarts)
            report_.slow_starts.push_back(connection.start_ns);
    }
    if (overslept(connection)) return replace(key);
    loop_.change(connection.fd.get(), key, EPOLLIN);
    connection.heard_ns = now;
    const Hello hello{connection.seed,
                      connection.kind == Kind::talk ? Manner::talk : Manner::answer, 0};
    // The first bytes of a connection fit into its buffer.
    if (::send(connection.fd.get(), &hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello)
        return broken(key, connection, "greeting not sent");
    connection.wanted = kNameLen;
    ask(key, connection);
}

bool Connections::send(Connection& connection, std::size_t bytes) {
    std::array<std::uint8_t, kQuestionBytes> buffer{};
    const std::span<std::uint8_t> out(buffer.data(), std::min(bytes, buffer.size()));
    Stream(connection.seed).fill(connection.sent, out);
    const ssize_t sent = ::send(connection.fd.get(), out.data(), out.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    connection.sent += static_cast<std::uint64_t>(sent);
    connection.wanted += static_cast<std::uint64_t>(sent);
    report_[connection.kind].up_bytes += static_cast<std::uint64_t>(sent);
    return true;
}

bool Connections::overslept(const Connection& connection) const {
    return now_ns() - connection.asked_ns >= settings_.idle_ns;
}

void Connections::replace(std::uint64_t key) {
    const auto found = open_.find(key);
    if (found == open_.end()) return;
    const Kind kind = found->second->kind;
    const std::uint64_t number = found->second->number;
    ++report_[kind].overslept;
    open_.erase(found);
    if (kind == Kind::talk) begin(kind, number + settings_.talk);
    if (kind == Kind::silent) begin(kind, number + settings_.silent);
}

void Connections::ask(std::uint64_t key, Connection& connection) {
    connection.state = State::asking;
    ++connection.questions;
    const bool sent = send(connection, kQuestionBytes);
    // Judged after the packet has left, too: in between this process may have lost its turn.
    if (overslept(connection)) return replace(key);
    connection.asked_ns = now_ns();
    if (!sent) return ended(key, connection, errno);
    const bool talks = connection.kind == Kind::talk;
    // Between three and five quarters of the interval.
    const std::uint64_t pause =
        settings_.interval_ns * (75 + (connection.seed >> 32 ^ connection.sent) % 50) / 100;
    arm(key, connection, connection.asked_ns + (talks ? pause : settings_.stall_ns));
}

bool Connections::take(Connection& connection, std::span<const std::uint8_t> in) {
    Counts& counts = report_[connection.kind];
    std::uint64_t at = connection.received;
    connection.received += in.size();
    counts.down_bytes += in.size();
    if (at < kNameLen) {
        const std::size_t part = std::min<std::size_t>(in.size(), kNameLen - at);
        std::memcpy(connection.name.data() + at, in.data(), part);
        in = in.subspan(part);
        at += part;
        if (at == kNameLen) {
            OfBackend& backend = counts.backends[connection.name.data()];
            ++counts.opened;
            ++backend.opened;
            backend.last_start_ns = std::max(backend.last_start_ns, connection.start_ns);
        }
    }
    return Stream::down(connection.seed).matches(at - kNameLen, in);
}

void Connections::read_all(std::uint64_t key, Connection& connection) {
    std::array<std::uint8_t, 8192> buffer{};
    Counts& counts = report_[connection.kind];
    while (true) {
        const ssize_t got = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EAGAIN) break;
        if (got <= 0) return ended(key, connection, got == 0 ? 0 : errno);
        const std::uint64_t now = now_ns();
        counts.longest_gap_ns = std::max(counts.longest_gap_ns, now - connection.heard_ns);
        connection.heard_ns = now;
        if (!take(connection, {buffer.data(), static_cast<std::size_t>(got)})) {
            ++counts.corrupt;
            return broken(key, connection, "corrupt");
        }
    }
    if (connection.kind != Kind::talk && connection.state == State::asking &&
        connection.received >= connection.wanted)
        answered(key, connection);
}

void Connections::answered(std::uint64_t key, Connection& connection) {
    ++report_[connection.kind].rounds;
    std::uint64_t quiet_ns = settings_.silence_ns;
    if (connection.kind == Kind::brief && connection.questions == 1 && connection.number % 2 == 1 &&
        settings_.hold_ns > 0) {
        quiet_ns = (connection.seed >> 20) % settings_.hold_ns;
    } else if (connection.kind == Kind::brief) {
        connection.state = State::closing;
        (void)::shutdown(connection.fd.get(), SHUT_WR);
        if (overslept(connection)) return replace(key);
        return arm(key, connection, now_ns() + settings_.stall_ns);
    }
    connection.state = State::quiet;
    arm(key, connection, connection.asked_ns + quiet_ns);
}

void Connections::ended(std::uint64_t key, Connection& connection, int error) {
    if (error == 0 && connection.state == State::closing) {
        ++report_[connection.kind].finished;
        open_.erase(key);
        return;
    }
    if (error == ECONNRESET || error == EPIPE) ++report_[connection.kind].resets;
    broken(key, connection, error == 0 ? "ended by the other side" : std::strerror(error));
}

void Connections::wake(std::uint64_t key, Connection& connection) {
    const std::uint64_t now = now_ns();
    switch (connection.state) {
        case State::connecting:
            return failed(key, connection, "no answer");
        case State::closing:
            return broken(key, connection, "not closed by the other side");
        case State::asking:
            if (connection.kind == Kind::talk && now - connection.heard_ns < settings_.stall_ns)
                return ask(key, connection);
            return broken(key, connection, "no answer");
        case State::quiet:
            return ask(key, connection);
    }
}

void Connections::on_time(std::uint64_t key) {
    const auto found = open_.find(key);
    if (found != open_.end() && now_ns() >= found->second->due_ns) wake(key, *found->second);
}

void Connections::note(const Connection& connection, const std::string& why) {
    if (report_.troubles.size() < Report::kMaxTroubles)
        report_.troubles.push_back({connection.kind, why,
                                    settings_.tuple(connection.kind, connection.number).text(),
                                    connection.name.data(), connection.start_ns, now_ns()});
}

void Connections::failed(std::uint64_t key, const Connection& connection, const std::string& why) {
    ++report_[connection.kind].failed;
    if (report_.slow_starts.size() < Report::kMaxSlowStarts)
        report_.slow_starts.push_back(connection.start_ns);
    note(connection, "handshake: " + why);
    open_.erase(key);
}

void Connections::broken(std::uint64_t key, const Connection& connection, const std::string& why) {
    Counts& counts = report_[connection.kind];
    ++counts.broken;
    ++counts.backends[connection.name.data()].broken;
    note(connection, why);
    open_.erase(key);
}

void Connections::close_lasting() {
    std::erase_if(open_, [](const auto& entry) { return entry.second->kind != Kind::brief; });
}

}  // namespace sluice::traffic
