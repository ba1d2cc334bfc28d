// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sluice::kernel {

/// Waits until every packet that is being handled now has left: XDP programs run inside RCU
/// read-side sections, and membarrier(2) with MEMBARRIER_CMD_GLOBAL waits for those. Some
/// milliseconds. False on kernels that refuse the call (nohz_full): the caller waits by the clock.
inline bool wait_for_packets() {
    return ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
}

}  // namespace sluice::kernel
