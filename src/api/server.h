// SPDX-License-Identifier: Apache-2.0
#pragma once

/// HTTP/1.1 on a unix socket. Who may connect is decided by the socket file: mode 0660, group
/// `sluice` where there is one. Every request that changes something is logged with the peer's
/// process, user and group.
///
/// Nothing a peer does can make it hold more than `max_connections` times the bounds below, and no
/// connection lives longer than its timeouts allow. At the bound new connections wait in the
/// kernel's backlog until another one ends.

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
    std::string group = "sluice";
    std::size_t max_connections = 64;
    std::uint32_t max_header_len = 8192;  ///< Bytes of request line and headers.
    std::uint64_t max_body_len = 65536;
    std::chrono::milliseconds read_timeout{10'000};  ///< For one whole request, idle time included.
    std::chrono::milliseconds write_timeout{30'000};
};

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
