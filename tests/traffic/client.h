// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `traffic client`: the clients of a whole town, in one thread.
///
///   talk       N connections that stay; both ends send all the while
///   silent     N connections that ask, say nothing for a set time, ask again, and so on
///   brief      R new connections a second: ask, some wait and ask again, close in good order
///   datagrams  N flows of UDP
///
/// Every connection has a tuple of its own: address and port are chosen here, so that a flood can
/// be aimed at them. Prints Report::json when asked (loop.h).

#include "base/result.h"
#include "traffic/options.h"

namespace sluice::traffic {

/// Ports of each kind of connection, one after the other for each source address.
inline constexpr std::uint16_t kTalkPorts = 20000;
inline constexpr std::uint16_t kSilentPorts = 25000;
inline constexpr std::uint16_t kDatagramPorts = 27000;
inline constexpr std::uint16_t kBriefPorts = 30000;
inline constexpr std::uint16_t kBriefPortCount = 31000;

Result<void> run_client(const Options& options);

}  // namespace sluice::traffic
