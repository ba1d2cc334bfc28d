// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A TCP connection of a probe, plain or with TLS, that never blocks. One object serves one
/// connection after the other.

#include <memory>
#include <string>
#include <string_view>

#include "base/reactor.h"
#include "base/unique_fd.h"
#include "health/outcome.h"
#include "health/target.h"
#include "health/tls.h"

namespace sluice::health {

class Stream {
 public:
    /// Whoever is told may close the stream in any of these calls; none follows then.
    class User {
     public:
        virtual void on_open() = 0;  ///< Connected, the TLS handshake included.
        virtual void on_data(std::string_view bytes) = 0;
        virtual void on_end() = 0;  ///< The peer will send no more.
        virtual void on_failure(Finding finding) = 0;

     protected:
        ~User() = default;
    };

    /// `tls`: null for a plain one. `name`: what the certificate must prove.
    Stream(Reactor& reactor, User& user, std::shared_ptr<const Tls> tls, std::string name);

    /// May call on_failure at once.
    void open(const Target& target);
    void close();
    /// After on_open. What the socket does not take now is sent when it does.
    void send(std::string_view bytes);
    /// After on_open: the protocol that ALPN agreed on; empty: none.
    [[nodiscard]] std::string_view agreed_protocol() const;
    /// "not connected", "in the TLS handshake", "connected, no answer", "12 bytes received".
    [[nodiscard]] std::string progress() const;

 private:
    enum class Stage { closed, connecting, handshake, open };

    void on_events(std::uint32_t events);
    void connected();
    void handshake();
    void flush();
    void receive(std::uint32_t events);
    /// Bytes read, 0 at the end, -1: nothing more now, or failed and told.
    [[nodiscard]] long read_some();
    [[nodiscard]] long write_some(std::string_view bytes);
    /// -1; false failures (try again later) are not told.
    long tls_result(int result);
    void fail_with(Finding finding);

    User& user_;
    Watch watch_;
    std::shared_ptr<const Tls> tls_;
    std::string name_;
    UniqueFd fd_;
    SslPtr ssl_;
    Stage stage_ = Stage::closed;
    std::uint32_t connection_ = 0;  ///< Counts connections: tells whether a user closed this one.
    std::string unsent_;
    std::size_t received_ = 0;
};

}  // namespace sluice::health
