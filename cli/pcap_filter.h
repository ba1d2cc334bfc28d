// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Filters as tcpdump has them: `host 192.0.2.1 and tcp port 443`. The command compiles them with
/// libpcap, because names of hosts, networks and ports are looked up where the person is; the
/// daemon gets instructions.

#include <string>

#include "base/result.h"

namespace sluice::cli {

/// The program for Ethernet frames, as kernel::read_filter() reads it. An expression of blanks
/// matches everything. Errors: invalid with libpcap's words for what is no expression, or asks what
/// a frame alone does not tell; not_found for a name that nobody knows; unsupported for one that
/// needs a loop; limit when it is too long.
Result<std::string> compile_filter(const std::string& expression);

}  // namespace sluice::cli
