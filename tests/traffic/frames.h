// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `traffic frames`: sends the packets of --file, one notation (docs/reference/packets.md) a line,
/// in that order out of --interface, --rate a second, and ends: so slowly that no queue is too
/// short for them, unless it is asked for. Prints how many it sent.

#include "base/result.h"
#include "traffic/options.h"

namespace sluice::traffic {

Result<void> run_frames(const Options& options);

}  // namespace sluice::traffic
