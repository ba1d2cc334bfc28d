// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Network namespaces without names: they live as long as their descriptor, so that a test that
/// fails or is killed leaves nothing behind.

#include <string>

#include "base/unique_fd.h"

namespace sluice::test {

class Namespace {
 public:
    /// A new one; the calling thread stays where it is. IPv6 addresses need no DAD in it.
    static Namespace create();

    /// A path that `ip link set ... netns PATH` takes.
    [[nodiscard]] std::string path() const;
    /// Moves the calling thread there.
    void enter() const;
    /// Runs a shell command there; a failure fails the test.
    void run(const std::string& command) const;
    /// The same, and whether it succeeded, for commands that a kernel may refuse.
    [[nodiscard]] bool try_run(const std::string& command) const;
    /// Standard output of a command there.
    [[nodiscard]] std::string output(const std::string& command) const;
    void sysctl(const std::string& name, const std::string& value) const;
    [[nodiscard]] std::string sysctl(const std::string& name) const;

 private:
    explicit Namespace(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

/// Empty if namespaces can be made here; else why not, for the message of a skipped program.
std::string namespaces_refused();

}  // namespace sluice::test
