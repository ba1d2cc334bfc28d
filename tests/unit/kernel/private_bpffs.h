// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A BPF file system of this process alone, in a mount namespace of its own: its pins go with it,
/// however the test ends.

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace sluice::test {

/// Mounts one below a fresh directory of /tmp. Empty on failure, with `why` set. Call it before any
/// thread is made.
inline std::string private_bpffs(std::string& why) {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        why = std::string("a mount namespace: ") + std::strerror(errno);
        return {};
    }
    if (::mount("tmpfs", "/mnt", "tmpfs", 0, nullptr) != 0 || ::mkdir("/mnt/bpf", 0700) != 0 ||
        ::mount("bpf", "/mnt/bpf", "bpf", 0, nullptr) != 0) {
        why = std::string("a BPF file system: ") + std::strerror(errno);
        return {};
    }
    return "/mnt/bpf";
}

}  // namespace sluice::test
