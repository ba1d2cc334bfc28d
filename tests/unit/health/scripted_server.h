// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Servers on loopback that do exactly what a test says, right or wrong.

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/ip.h"
#include "base/unique_fd.h"

namespace sluice::health {

/// One accepted connection. Everything ends when the server does.
class Peer {
 public:
    Peer(UniqueFd fd, int stop) : fd_(std::move(fd)), stop_(stop) {}

    /// Up to `end` in what the client says, or what there is when it closes.
    std::string read_until(std::string_view end);
    /// At least so many bytes.
    std::string read_bytes(std::size_t count);
    void send(std::string_view bytes);
    /// Byte by byte, one each `every`, while the client listens.
    void drip(std::string_view bytes, std::chrono::milliseconds every);
    /// Until the client closes.
    void hang();
    /// Closes with a reset instead of an end.
    void reset();
    [[nodiscard]] int fd() const { return fd_.get(); }

 private:
    /// Waits for events of the client; false: none came, or the server ends.
    bool wait(short events, int timeout_ms);
    std::string received_;
    UniqueFd fd_;
    int stop_;
};

class ScriptedServer {
 public:
    /// Runs for each connection on a thread of its own; the connection is closed behind it.
    using Script = std::function<void(Peer&)>;

    explicit ScriptedServer(Script script, const IpAddress& address = loopback());
    ~ScriptedServer();
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] const IpAddress& address() const { return address_; }
    static IpAddress loopback() { return *IpAddress::parse("127.0.0.1"); }

 private:
    void accept_all();

    Script script_;
    IpAddress address_;
    std::uint16_t port_ = 0;
    UniqueFd listener_;
    UniqueFd stop_;
    std::list<std::thread> peers_;
    std::thread thread_;
};

/// Answers each datagram with what `answer` makes of it; an empty one is no answer.
class DatagramServer {
 public:
    using Answer = std::function<std::string(std::string_view)>;

    explicit DatagramServer(Answer answer);
    ~DatagramServer();
    DatagramServer(const DatagramServer&) = delete;
    DatagramServer& operator=(const DatagramServer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
    Answer answer_;
    std::uint16_t port_ = 0;
    UniqueFd fd_;
    UniqueFd stop_;
    std::thread thread_;
};

/// A port of 127.0.0.1 that nobody listens on, now and for as long as this lives.
class ShutPort {
 public:
    explicit ShutPort(int type);
    [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
    UniqueFd fd_;
    std::uint16_t port_ = 0;
};

}  // namespace sluice::health
