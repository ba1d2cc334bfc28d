// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The unix socket of the API as a file: made, replaced and removed.

#include <sys/types.h>

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
    Listener(Listener&& other) noexcept;
    Listener& operator=(Listener&&) = delete;
    ~Listener();

    [[nodiscard]] int fd() const { return fd_.get(); }
    /// The descriptor is the caller's from now on; the file stays this object's.
    [[nodiscard]] int release_fd() { return fd_.release(); }

 private:
    Listener(UniqueFd fd, std::string path, dev_t device, ino_t inode)
        : fd_(std::move(fd)), path_(std::move(path)), device_(device), inode_(inode) {}
    UniqueFd fd_;
    std::string path_;
    dev_t device_;
    ino_t inode_;
};

}  // namespace sluice::api
