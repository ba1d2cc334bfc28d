// SPDX-License-Identifier: Apache-2.0
#include "control/kept_counters.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace sluice::control {

Result<KeptCounters> KeptCounters::open(const std::string& path) {
    const std::string step = "counters in " + path;
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
    int saved_errno = errno;
    if (!fd.valid()) return fail(sys_error(saved_errno, "open").in(step));
    if (::ftruncate(fd.get(), sizeof(File)) != 0) {
        saved_errno = errno;
        return fail(sys_error(saved_errno, "make room").in(step));
    }
    void* memory = ::mmap(nullptr, sizeof(File), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    saved_errno = errno;
    if (memory == MAP_FAILED) return fail(sys_error(saved_errno, "map").in(step));
    KeptCounters out;
    out.file_ = static_cast<File*>(memory);
    if (out.file_->magic != kMagic) *out.file_ = {kMagic, {}};
    return out;
}

KeptCounters::KeptCounters(KeptCounters&& other) noexcept
    : own_(other.own_), file_(std::exchange(other.file_, nullptr)), folded_(other.folded_) {}

KeptCounters& KeptCounters::operator=(KeptCounters&& other) noexcept {
    if (this == &other) return *this;
    if (file_ != nullptr) ::munmap(file_, sizeof(File));
    own_ = other.own_;
    file_ = std::exchange(other.file_, nullptr);
    folded_ = other.folded_;
    return *this;
}

KeptCounters::~KeptCounters() {
    if (file_ != nullptr) ::munmap(file_, sizeof(File));
}

std::uint64_t KeptCounters::fold(Kept which, std::uint64_t own) {
    const auto at = static_cast<std::size_t>(which);
    std::uint64_t& total = (file_ != nullptr ? *file_ : own_).total[at];
    if (own > folded_[at]) total += own - folded_[at];
    folded_[at] = own;
    return total;
}

}  // namespace sluice::control
