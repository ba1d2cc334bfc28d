// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What announcing through the kernel needs of it: addresses and routes that a routing daemon
/// redistributes. src/kernel implements it by netlink; tests have a fake. Called on the announcer's
/// thread only, so calls must be short: one request, one answer.

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace sluice::announce {

class KernelRoutes {
 public:
    KernelRoutes() = default;
    KernelRoutes(const KernelRoutes&) = delete;
    KernelRoutes& operator=(const KernelRoutes&) = delete;
    virtual ~KernelRoutes() = default;

    // What is there already, or gone already, is as wished: no error. Ours bear the protocol 0x51
    // (IFA_PROTO, rtm_protocol); what others made is neither replaced nor removed, and adding it
    // is Errc::conflict.
    virtual Result<void> add_address(const std::string& interface, const IpPrefix& prefix) = 0;
    virtual Result<void> remove_address(const std::string& interface, const IpPrefix& prefix) = 0;
    virtual Result<void> add_blackhole(std::uint32_t table, const IpPrefix& prefix) = 0;
    virtual Result<void> remove_blackhole(std::uint32_t table, const IpPrefix& prefix) = 0;

    /// Ours that are there.
    virtual Result<std::vector<IpPrefix>> addresses(const std::string& interface) = 0;
    virtual Result<std::vector<IpPrefix>> blackholes(std::uint32_t table) = 0;
};

}  // namespace sluice::announce
