// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Sending with the kernel's live frames (BPF_F_TEST_XDP_LIVE_FRAMES): bench_generate writes each
/// packet and XDP_TX really sends it.

#include <atomic>
#include <cstdint>

#include "bench/driver.h"

namespace sluice::bench {

/// Sends `packets` out of the interface, whose namespace the calling thread must be in. Writing
/// them and all that the wire does happens on this thread's CPU. The kernel may break off for its
/// own reasons (EINTR without a signal): then it is asked again, unless `stop` is set, and more
/// packets than `packets` may have gone. Only a count at the other end says how many.
Result<void> send_live(Driver& driver, std::uint32_t ifindex, unsigned queue, std::uint32_t packets,
                       const std::atomic<bool>* stop = nullptr);

/// Sets the driver's bench_count to zero.
Result<void> reset_count(Driver& driver);

/// Millions of packets per second that bench_count has seen since, from its first look at the clock
/// to its last: not the time that a call takes to begin and to end, which is 16 ms.
Result<double> counted_mpps(Driver& driver);

}  // namespace sluice::bench
