// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Where checks go, and through which services a group's backends are reached: one answer for the
/// validation of a configuration and for whoever makes its checks.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ip.h"
#include "config/model.h"

namespace sluice::config {

struct CheckPlace {
    std::size_t service = 0;  ///< Index into Config::services.
    /// The service's VIP. Of a prefix its second address: servers often take the first and the last
    /// one for broadcasts.
    IpAddress vip;
    std::uint16_t port = 0;  ///< 0 where the type of the check has none.
};

class CheckPlaces {
 public:
    /// Keeps a reference to `config`. Services whose place in `left_out` is true are treated as not
    /// there: their `group` may be anything. Costs a few steps for each service.
    explicit CheckPlaces(const Config& config, const std::vector<bool>& left_out = {});

    /// Services whose packets may reach the group's backends, in the order of the file: those on
    /// the group, and those on groups that fall back on it.
    [[nodiscard]] std::span<const std::size_t> services_of(std::size_t group) const {
        return services_[group];
    }

    /// Nothing for a group that no service uses: it is not watched. For any other group of a
    /// validated configuration there is a place.
    [[nodiscard]] std::optional<CheckPlace> find(std::size_t group, const Check& check) const;

    /// Whether clients of the service speak what the check speaks.
    static bool fits(const Check& check, const Service& service);
    /// Whether the check goes to a port, whoever says which.
    static bool has_port(const Check& check);

 private:
    const Config& config_;
    std::vector<std::vector<std::size_t>> services_;  ///< By group.
};

/// The protocol that a check speaks; nothing where any will do.
std::optional<Protocol> protocol_of(const Check& check);

}  // namespace sluice::config
