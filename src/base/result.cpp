// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace sluice {
namespace {

Errc code_of(int saved_errno) {
    switch (saved_errno) {
        case EPERM:
        case EACCES:
            return Errc::denied;
        case ENOENT:
        case ENODEV:
        case ENXIO:
            return Errc::not_found;
        case ENOMEM:
        case E2BIG:
        case ENOSPC:
        case EMFILE:
        case ENFILE:
            return Errc::limit;
        case EOPNOTSUPP:
        case ENOSYS:
            return Errc::unsupported;
        case EEXIST:
        case EBUSY:
            return Errc::conflict;
        default:
            return Errc::system;
    }
}

}  // namespace

Error sys_error(int saved_errno, std::string_view operation) {
    Error error;
    error.code = code_of(saved_errno);
    error.sys = saved_errno;
    error.what = std::string(operation) + ": " + std::strerror(saved_errno);
    return error;
}

}  // namespace sluice
