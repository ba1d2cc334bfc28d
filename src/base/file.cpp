// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/unique_fd.h"

namespace sluice {
namespace {

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t written = ::write(fd, content.data(), content.size());
        const int saved = errno;
        if (written < 0 && saved == EINTR) continue;
        if (written < 0) return fail(sys_error(saved, "write " + path));
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

}  // namespace

Result<void> write_file(const std::string& path, std::string_view content) {
    const std::string temporary = path + ".new";
    UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "create " + temporary));
    }
    auto written = write_all(fd.get(), content, temporary);
    if (written && ::fsync(fd.get()) != 0) {
        const int saved = errno;
        written = fail(sys_error(saved, "write " + temporary));
    }
    fd.reset();
    if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
        const int saved = errno;
        written = fail(sys_error(saved, "replace " + path));
    }
    if (!written) ::unlink(temporary.c_str());
    return written;
}

Result<std::string> read_whole_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open " + path));
    }
    std::string out;
    char buffer[65536];
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
        const int saved = errno;
        if (got < 0 && saved == EINTR) continue;
        if (got < 0) return fail(sys_error(saved, "read " + path));
        if (got == 0) return out;
        out.append(buffer, static_cast<std::size_t>(got));
    }
}

Result<void> make_directory(const std::string& path) {
    for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (::mkdir(part.c_str(), 0750) != 0 && errno != EEXIST) {
            const int saved = errno;
            return fail(sys_error(saved, "create " + part));
        }
        if (slash == std::string::npos) return {};
    }
}

}  // namespace sluice
