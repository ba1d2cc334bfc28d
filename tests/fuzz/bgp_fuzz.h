// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What must hold whatever a BGP peer sends.

#include <span>

#include "announce/bgp_message.h"

namespace sluice::fuzz {

/// Aborts, after saying why, when something does not hold:
///   - reading takes a whole message, waits for more, or names a notification that RFC 4271 section
///     6 has for it; what comes behind a message or an error changes neither;
///   - a session in any state ends with that very notification, or goes on, however the bytes are
///     cut; all that it says is well formed, and its memory is bounded;
///   - afterwards a peer that behaves gets everything.
void check_bgp(announce::ByteView bytes);

}  // namespace sluice::fuzz
