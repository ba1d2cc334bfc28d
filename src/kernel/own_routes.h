// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Addresses and blackhole routes of ours in the kernel, for routing daemons that redistribute what
/// they find there. Ours bear the protocol number 0x51 (IFA_PROTO since Linux 5.18, rtm_protocol);
/// what somebody else made is neither replaced nor removed.
///
/// One request and its answer at a time; belongs to the network namespace it was opened in, and to
/// one thread.

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "kernel/netlink.h"

namespace sluice::kernel {

inline constexpr std::uint8_t kOwnProtocol = 0x51;

class OwnRoutes {
 public:
    static Result<OwnRoutes> open();

    // What is there already, or gone already, is as wished: no error. Errc::conflict: somebody else
    // has the same. Errc::not_found: no such interface.
    Result<void> add_address(const std::string& interface, const IpPrefix& prefix);
    Result<void> remove_address(const std::string& interface, const IpPrefix& prefix);
    /// `table` 0 is the main one.
    Result<void> add_blackhole(std::uint32_t table, const IpPrefix& prefix);
    Result<void> remove_blackhole(std::uint32_t table, const IpPrefix& prefix);

    /// Ours that are there, in the order of their addresses.
    Result<std::vector<IpPrefix>> addresses(const std::string& interface);
    Result<std::vector<IpPrefix>> blackholes(std::uint32_t table);

 private:
    explicit OwnRoutes(NetlinkSocket socket) : socket_(std::move(socket)) {}

    NetlinkSocket socket_;
};

}  // namespace sluice::kernel
