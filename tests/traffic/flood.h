// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `traffic flood`: packets at a fixed rate out of an interface, made by the kernel itself (live
/// frames), either from spoofed sources, each packet of another flow, or over the tuples of live
/// connections in turn (--from, --from-count, --first-port, --ports).
///   --kind syn | ack | udp | fin | rst | sweep (SYN, FIN and RST in turn)
///   --len N      bytes of a frame, 74 without it
/// Says how many it has sent and in what time; what arrived only the other end can say.
///   --flows N    spoofed sources of so many flows in turn, instead of a new one for each packet
///   --window N   numbered: as fast as the way lets through with at most so many packets on it, and
///                --arrived ID are the counters of the filter at its other end. A packet that was
///                sent and has not arrived is lost: no queue on the way was ever too short for it.
///
/// `traffic filter`: behind the balancer. Drops what is spoofed or numbered; of a sweep's packets
/// passes one in `--pass-every`, by chance. Counts them.

#include "base/result.h"
#include "traffic/options.h"

namespace sluice::traffic {

Result<void> run_flood(const Options& options);
Result<void> run_filter(const Options& options);

}  // namespace sluice::traffic
