// SPDX-License-Identifier: Apache-2.0
#include "control/kept_counters.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::control {

Result<KeptCounters> KeptCounters::open(const std::string& path) {
    const std::string step = "counters in " + path;
    KeptCounters out;
    out.fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
    int saved_errno = errno;
    if (!out.fd_.valid()) return fail(sys_error(saved_errno, "open").in(step));
    File read{};
    const ssize_t len = ::pread(out.fd_.get(), &read, sizeof read, 0);
    saved_errno = errno;
    if (len < 0) return fail(sys_error(saved_errno, "read").in(step));
    if (len == sizeof read && read.magic == kMagic) {
        out.file_ = read;
        return out;
    }
    saved_errno = out.write();
    if (saved_errno != 0) return fail(sys_error(saved_errno, "make room").in(step));
    return out;
}

int KeptCounters::write() {
    const ssize_t len = ::pwrite(fd_.get(), &file_, sizeof file_, 0);
    const int saved_errno = len < 0 ? errno : ENOSPC;
    is_written_ = len == sizeof file_;
    return is_written_ ? 0 : saved_errno;
}

std::uint64_t KeptCounters::fold(Kept which, std::uint64_t own) {
    const auto at = static_cast<std::size_t>(which);
    if (own > folded_[at]) {
        file_.total[at] += own - folded_[at];
        is_written_ = false;
    }
    folded_[at] = own;
    // What a full disk does not take is tried again with the next.
    if (fd_.valid() && !is_written_) (void)write();
    return file_.total[at];
}

}  // namespace sluice::control
