// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The client's TCP connections: opens, talks on, checks, closes and judges them. A connection that
/// ends before the client ends it is broken. One for which this process had no time for longer than
/// a flow may be idle proves nothing: it is counted as overslept, and another takes its place.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "base/unique_fd.h"
#include "traffic/loop.h"
#include "traffic/report.h"
#include "traffic/settings.h"
#include "traffic/stream.h"

namespace sluice::traffic {

class Connections {
 public:
    Connections(Loop& loop, const Settings& settings, Report& report)
        : loop_(loop), settings_(settings), report_(report) {}

    void begin(Kind kind, std::uint64_t number);
    void on_event(std::uint64_t key, std::uint32_t events);
    void on_time(std::uint64_t key);
    /// Closes those that would go on for ever.
    void close_lasting();
    [[nodiscard]] bool empty() const { return open_.empty(); }

 private:
    enum class State {
        connecting,
        asking,   ///< Waits for an answer; talking ones always do.
        quiet,    ///< Says nothing for a while.
        closing,  ///< Has sent its FIN and waits for the server's.
    };
    struct Connection {
        Kind kind = Kind::talk;
        State state = State::connecting;
        std::uint64_t number = 0;
        UniqueFd fd;
        std::uint64_t seed = 0;
        std::uint64_t start_ns = 0, heard_ns = 0, due_ns = 0;
        std::uint64_t asked_ns = 0;  ///< Just before it last sent anything.
        std::uint64_t sent = 0;      ///< Of the stream.
        std::uint64_t received = 0;  ///< The name included.
        std::uint64_t wanted = 0;    ///< `received` when the answer is complete.
        unsigned questions = 0;
        std::array<char, kNameLen + 1> name{};
    };

    void arm(std::uint64_t key, Connection& connection, std::uint64_t due_ns);
    void established(std::uint64_t key, Connection& connection);
    void read_all(std::uint64_t key, Connection& connection);
    bool take(Connection& connection, std::span<const std::uint8_t> in);
    void ended(std::uint64_t key, Connection& connection, int error);
    void ask(std::uint64_t key, Connection& connection);
    void answered(std::uint64_t key, Connection& connection);
    void wake(std::uint64_t key, Connection& connection);
    [[nodiscard]] bool overslept(const Connection& connection) const;
    void replace(std::uint64_t key);
    bool send(Connection& connection, std::size_t bytes);
    void failed(std::uint64_t key, const Connection& connection, const std::string& why);
    void broken(std::uint64_t key, const Connection& connection, const std::string& why);
    void note(const Connection& connection, const std::string& why);

    Loop& loop_;
    const Settings& settings_;
    Report& report_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> open_;
    std::uint64_t next_key_ = 1;
};

}  // namespace sluice::traffic
