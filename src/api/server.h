// SPDX-License-Identifier: Apache-2.0
#pragma once

/// HTTP/1.1 on a unix socket. Who may connect is decided by the socket file: mode 0660, group
/// `sluice` where there is one. Every request that changes something is logged with the peer's
/// process, user and group.
///
/// Nothing a peer does can make it hold more than `max_connections` times the bounds below, and no
/// connection lives longer than its timeouts allow. At the bound new connections wait in the
/// kernel's backlog until another one ends, or until one has waited for its peer for longer than
/// `patience`: the one that has waited longest is closed then, so that peers which send half a
/// request, or do not take their answer, cannot keep others out.
///
/// Bodies are short, but for those that carry a configuration (max_body_len in api/routes.h): such
/// a body must say its length in front, and all that are being received or answered at one time
/// share `max_large_bodies`; who finds no room is told so at once.
///
/// What takes many steps (api/stream.h) takes one of them in a turn of the loop, whoever and how
/// many ask, and stops when its client leaves. A stream that has nothing to send for now rests on a
/// timer: it costs nothing, is not taken for a peer that lets the server wait, and holds its
/// connection; so streams that go on until their client leaves share `max_live_streams`.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "api/loop.h"
#include "base/result.h"
#include "control/status.h"

namespace sluice::api {

struct ServerOptions {
    std::string socket_path;
    /// "127.0.0.1:9105": TCP instead of a unix socket, for who cannot use one: only what
    /// answer_scrape() answers. See scrape_options().
    std::string tcp{};
    std::string group = "sluice";
    std::size_t max_connections = 64;
    std::uint32_t max_header_len = 8192;  ///< Bytes of request line and headers.
    std::uint64_t max_body_len = 65536;
    std::uint64_t max_large_bodies = std::uint64_t{128} << 20;  ///< Bytes, together.
    std::chrono::milliseconds read_timeout{10'000};  ///< For one whole request, idle time included.
    std::chrono::milliseconds write_timeout{30'000};
    /// For a client of a stream to take the next piece: a person may be reading it.
    std::chrono::milliseconds stream_timeout{600'000};
    std::chrono::milliseconds patience{1'000};
    std::size_t max_live_streams = 16;
    /// A live stream that has nothing to say says so after this long.
    std::chrono::milliseconds keep_alive{15'000};
};

/// For strangers: few connections, no bodies, no patience.
ServerOptions scrape_options(const std::string& tcp);

class Server {
 public:
    /// Listens from here on. The socket's directory is made (0750) when it is missing. A socket
    /// file that nobody listens on is replaced in one step; Errc::conflict when somebody does, or
    /// when the path is no socket. `loop` and `node` must outlive the server.
    static Result<std::unique_ptr<Server>> open(Loop& loop, ServerOptions options,
                                                control::NodeView& node);
    /// Removes the socket file if it is still this server's.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    struct Impl;

 private:
    explicit Server(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::api
