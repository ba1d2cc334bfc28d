// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What `sluice` and `sluiced` tell a script. Part of their interface: documented in sluice(1).

#include "base/result.h"

namespace sluice {

enum ExitCode : int {
    kExitDone = 0,
    kExitFailed = 1,
    kExitPending = 2,      ///< Changes are pending; only with --detailed-exitcode.
    kExitInvalid = 3,      ///< The configuration is invalid.
    kExitUnreachable = 4,  ///< The daemon does not answer.
    kExitNotFound = 5,     ///< No such thing, or it is held by somebody else.
    kExitDegraded = 6,     ///< It works, but not all of it.
    kExitUsage = 64,       ///< The command line is wrong (EX_USAGE of sysexits.h).
};

inline ExitCode exit_code_of(Errc code) {
    switch (code) {
        case Errc::invalid:
            return kExitInvalid;
        case Errc::unreachable:
            return kExitUnreachable;
        case Errc::not_found:
        case Errc::conflict:
            return kExitNotFound;
        default:
            return kExitFailed;
    }
}

}  // namespace sluice
