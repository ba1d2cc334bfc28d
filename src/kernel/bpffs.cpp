// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpffs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

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

}  // namespace

Result<void> make_pin_directory(const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        const std::string parent = path.substr(0, slash);
        struct stat info{};
        if (::stat(parent.c_str(), &info) != 0) SLC_CHECK(make_one(parent), "pins");
    }
    SLC_CHECK(make_one(path), "pins");
    struct statfs system{};
    if (::statfs(path.c_str(), &system) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "statfs " + path));
    }
    if (static_cast<unsigned long>(system.f_type) != BPF_FS_MAGIC)
        return fail(Errc::not_found, path + " is not on a BPF file system",
                    "mount one: mount -t bpf bpf /sys/fs/bpf");
    return {};
}

Result<UniqueFd> lock_pins(const std::string& path, const char* holder, const char* hint) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
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
