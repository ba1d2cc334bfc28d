// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Where the API listens: a unix socket, with the file that it is reached by (made, replaced and
/// removed), or a TCP port.

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::api {

/// A listening socket and the file it is reached by. The destructor removes the file unless
/// another process has replaced it since.
class Listener {
 public:
    /// See Server::open for what happens with a path that exists. `group` that does not exist, or
    /// that this process may not give a file to, leaves the file with the process's own group.
    static Result<Listener> open(const std::string& path, const std::string& group);
    /// "127.0.0.1:9105", "[::1]:9105", or "9105", which means 127.0.0.1. Errors: invalid for
    /// anything else; conflict when the port is taken.
    static Result<Listener> open_tcp(const std::string& where);
    Listener(Listener&& other) noexcept;
    Listener& operator=(Listener&&) = delete;
    ~Listener();

    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] int family() const { return family_; }  ///< AF_UNIX, AF_INET, AF_INET6.
    [[nodiscard]] std::uint16_t port() const;             ///< TCP; else 0.
    /// The descriptor is the caller's from now on; the file stays this object's.
    [[nodiscard]] int release_fd() { return fd_.release(); }

 private:
    Listener(UniqueFd fd, int family, std::string path, dev_t device, ino_t inode)
        : fd_(std::move(fd)),
          family_(family),
          path_(std::move(path)),
          device_(device),
          inode_(inode) {}
    UniqueFd fd_;
    int family_;
    std::string path_;  ///< Empty: there is no file.
    dev_t device_;
    ino_t inode_;
};

}  // namespace sluice::api
