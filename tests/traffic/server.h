// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `traffic server --name b1 --port 7100`: the backend's end of every connection, TCP and UDP, on
/// all addresses of its node. Sends without being asked, checks each byte that it gets, and says on
/// each connection first who it is. Prints one JSON object per report: open, accepted, corrupt
/// connections, datagrams.

#include "base/result.h"
#include "traffic/options.h"

namespace sluice::traffic {

Result<void> run_server(const Options& options);

}  // namespace sluice::traffic
