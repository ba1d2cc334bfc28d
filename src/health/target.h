// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What is checked, as a value: one check of the configuration with the address that it goes to.
/// The controller makes targets from groups and VIPs; health/checker.h watches them.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/ip.h"
#include "config/health.h"

namespace sluice::health {

struct Target {
    std::string key;  ///< Unique among those that are watched together; outcomes carry it.
    std::shared_ptr<const config::Check> check;  ///< Never null; may be shared by many.
    IpAddress address;                           ///< The VIP, or the backend's own address.
    std::uint16_t port = 0;                      ///< Not for icmp.
    /// SO_MARK of every packet, set before the first one leaves; 0: none. A command cannot mark
    /// what it sends.
    std::uint32_t mark = 0;
    std::optional<IpAddress> source;  ///< Of `address`'s family; empty: the kernel chooses.
    /// The backend's own, also where the check goes to the VIP: whose unreachability is suspicious.
    IpAddress backend_address = {};
    /// Names for a command's environment; may be empty.
    std::string service, group, backend;

    /// Checks are compared by value.
    bool operator==(const Target& other) const {
        return key == other.key && address == other.address && port == other.port &&
               mark == other.mark && source == other.source &&
               backend_address == other.backend_address && service == other.service &&
               group == other.group && backend == other.backend &&
               (check == other.check || *check == *other.check);
    }
};

}  // namespace sluice::health
