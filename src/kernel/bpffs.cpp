// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpffs.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <thread>

namespace sluice::kernel {
namespace {

Result<void> make_one(const std::string& path) {
    if (::mkdir(path.c_str(), 0750) == 0) return {};
    const int saved = errno;
    if (saved == EEXIST) return {};
    return fail(sys_error(saved, "create " + path)
                    .advise("the directory of pins must belong to the user sluiced runs as: the "
                            "start step of its systemd unit makes it so"));
}

constexpr std::chrono::milliseconds kPatience{100};
constexpr std::chrono::milliseconds kBetweenTries{2};

/// flock(2), unless somebody holds it for longer than a look takes.
int lock_soon(int fd) {
    const auto give_up = std::chrono::steady_clock::now() + kPatience;
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || std::chrono::steady_clock::now() > give_up) return -1;
        std::this_thread::sleep_for(kBetweenTries);
    }
    return 0;
}

}  // namespace

Result<void> make_pin_directory(const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        const std::string parent = path.substr(0, slash);
        struct stat info{};
        if (::stat(parent.c_str(), &info) != 0) SLC_CHECK(make_one(parent), "pins");
    }
    SLC_CHECK(make_one(path), "pins");
    if (!is_bpffs(path))
        return fail(Errc::not_found, path + " is not on a BPF file system",
                    "mount one: mount -t bpf bpf /sys/fs/bpf");
    return {};
}

bool is_bpffs(const std::string& path) {
    struct statfs system{};
    return ::statfs(path.c_str(), &system) == 0 &&
           static_cast<unsigned long>(system.f_type) == BPF_FS_MAGIC;
}

Result<UniqueFd> open_pin(const std::string& path) {
    UniqueFd fd(::bpf_obj_get(path.c_str()));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open " + path));
    }
    return fd;
}

Result<void> make_pin(int fd, const std::string& path) {
    if (::bpf_obj_pin(fd, path.c_str()) == 0) return {};
    const int saved = errno;
    return fail(sys_error(saved, "pin " + path));
}

Result<void> move_pin(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) == 0) return {};
    const int saved = errno;
    Error error = sys_error(saved, "rename " + from + " to " + to);
    if (saved == ENOTEMPTY) error.code = Errc::conflict;
    return fail(std::move(error));
}

Result<UniqueFd> lock_pins(const std::string& path, const char* holder, const char* hint) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.valid() && lock_soon(fd.get()) == 0) return fd;
    const int saved = errno;
    if (fd.valid() && saved == EWOULDBLOCK)
        return fail(Errc::conflict, std::string(holder) + " holds " + path, hint);
    return fail(sys_error(saved, "lock " + path));
}

Result<void> remove_pins(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return fail(sys_error(error.value(), "remove " + path));
    return {};
}

std::vector<std::string> list_pins(const std::string& path) {
    std::vector<std::string> out;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
         entry.increment(error))
        out.push_back(entry->path().filename());
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace sluice::kernel
