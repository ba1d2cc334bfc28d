// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What Sluice needs to know of this node's network, and nothing of how it is found out:
/// kernel/network.h asks the kernel, tests/unit/kernel/fake_network.h is told.
///
///   watch(backends)            which addresses matter from now on
///   resolve(each)              how they are reached now
///   loop: fd() readable -> process() -> resolve(each that it returned)
///         about once a second  -> tick()
///
/// Not thread-safe: one thread owns it.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "plan/next_hop.h"

namespace sluice::kernel {

struct LinkInfo {
    std::uint32_t ifindex = 0;
    std::string name;
    std::string kind;  ///< "veth", "vlan", "bond"; empty for hardware.
    MacAddress mac;
    std::uint32_t mtu = 0;
    bool up = false;       ///< Administratively.
    bool running = false;  ///< Up and with carrier.
    bool ethernet = false;
};

/// Each number grows when what it names has changed.
struct NetworkRevision {
    std::uint64_t links = 0;      ///< What link_info() answers.
    std::uint64_t addresses = 0;  ///< What local_addresses() answers.
    bool operator==(const NetworkRevision&) const = default;
};

/// Counts only ever grow.
struct NetworkStats {
    std::uint64_t notifications = 0;
    std::uint64_t overruns = 0;  ///< Notifications were lost; everything was read again.
    std::uint64_t route_lookups = 0;
    std::uint64_t neighbour_requests = 0;
};

class NetworkPort {
 public:
    virtual ~NetworkPort() = default;

    /// How `address` is reached now. Asks the kernel to resolve its neighbour, and to keep it
    /// resolved when the address is watched. A failure to find out is `unresolved` with a `why`.
    virtual plan::NextHop resolve(const IpAddress& address) = 0;

    /// Replaces the watched addresses. Neighbours of those that left are released. Call resolve()
    /// for each new one: before that only its routes are followed.
    virtual void watch(const std::set<IpAddress>& addresses) = 0;

    /// Readable when process() has something to do.
    [[nodiscard]] virtual int fd() const = 0;

    /// Drains notifications, without blocking and not for ever: what is left keeps fd() readable.
    /// Returns the watched addresses whose NextHop may have changed.
    virtual Result<std::set<IpAddress>> process() = 0;

    /// Asks again for neighbours that do not answer, a bounded number each time.
    virtual void tick() = 0;

    /// Errc::not_found when there is no such interface.
    [[nodiscard]] virtual Result<LinkInfo> link_info(const std::string& name) const = 0;

    /// Every address of this node, those on `lo` too, sorted and without doubles.
    [[nodiscard]] virtual std::vector<IpAddress> local_addresses() const = 0;

    [[nodiscard]] virtual NetworkRevision revision() const = 0;
    [[nodiscard]] virtual NetworkStats stats() const = 0;
};

}  // namespace sluice::kernel
