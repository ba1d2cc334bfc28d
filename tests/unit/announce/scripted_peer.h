// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A BGP peer on loopback that does what a test says: listens or not, answers or not, reads or not.
/// Lives on the test's reactor.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "announce/bgp_message.h"
#include "base/reactor.h"
#include "base/unique_fd.h"

namespace sluice::announce {

class ScriptedPeer {
 public:
    /// Called with what has come so far on the present connection.
    using Script = std::function<void(ScriptedPeer&)>;

    /// On a port of its own choice. `password`: TCP MD5, empty for none.
    explicit ScriptedPeer(Reactor& reactor, bool is_ip6 = false, const std::string& password = {},
                          int receive_buffer = 0);
    ScriptedPeer(const ScriptedPeer&) = delete;
    ScriptedPeer& operator=(const ScriptedPeer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    void on_input(Script script) { script_ = std::move(script); }
    /// OPEN and KEEPALIVE as they should be, and nothing after that.
    void answer_properly(std::uint32_t as, std::uint16_t hold_time_s = 0);

    void say(const Bytes& bytes);
    void hang_up();
    void reset();           ///< With a RST.
    void stop_listening();  ///< Connections are refused.
    void listen_again();
    void stop_reading();
    void go_on_reading();

    [[nodiscard]] int connections() const { return connections_; }
    [[nodiscard]] bool is_connected() const { return fd_.valid(); }
    /// Whole messages of the present or the last connection.
    [[nodiscard]] std::vector<BgpMessage> messages() const;
    /// Their bytes.
    [[nodiscard]] const Bytes& input() const { return input_; }

 private:
    void listen();
    void accept();
    void read();

    Reactor& reactor_;
    bool is_ip6_;
    std::string password_;
    int receive_buffer_;
    std::uint16_t port_ = 0;
    int connections_ = 0;
    bool reads_ = true;
    Bytes input_;
    Script script_;
    UniqueFd listener_;
    UniqueFd fd_;
    Watch listener_watch_;
    Watch watch_;
};

}  // namespace sluice::announce
