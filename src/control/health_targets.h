// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What is to be checked of a configuration: a target for each backend and check of a group, with
/// the address, port and mark that its packets need. Pure.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "config/health.h"
#include "config/model.h"
#include "health/target.h"

namespace sluice::control {

/// SO_MARK by which probes of a service's packets find their way to a member; 0: it is this node,
/// and needs none. Nothing: it cannot be probed now.
struct ProbeMark {
    std::uint32_t mark = 0;
    /// Of the VIP's family: to a VIP that is an address of this node Linux would send in the VIP's
    /// own name. Nothing: it chooses.
    std::optional<IpAddress> source = {};
};
using MarkOf = std::function<std::optional<ProbeMark>(
    const std::string& member, config::Forward forward, const IpAddress& vip)>;

/// The checks of one group, shared by its backends.
struct GroupChecks {
    struct Place {
        std::shared_ptr<const config::Check> check;
        std::string service;
        IpAddress vip;
        std::uint16_t port = 0;
        /// How packets of the service reach a backend; of use for config::CheckVia::vip.
        config::Forward forward = config::Forward::ipip;
    };
    std::size_t group = 0;      ///< Index into Config::groups.
    std::vector<Place> places;  ///< One for each check of the group, in its order.
};

/// Groups that have checks and that some service uses, in the order of the file.
std::vector<GroupChecks> checks_of(const config::Config& config);

/// Unique: "web/10.0.0.5#0".
std::string target_key(const std::string& member, std::size_t check);
/// The same back; nothing for what target_key() did not write.
struct TargetKey {
    std::string member;
    std::size_t check = 0;
};
TargetKey parse_target_key(std::string_view key);

/// Where probes of this configuration go that need a mark.
std::set<IpAddress> marked_vips(const std::vector<GroupChecks>& checks);

/// Of one backend. A check through the tunnel of a member without a mark is left out.
void add_targets(const config::Group& group, const GroupChecks& checks,
                 const config::Backend& backend, const MarkOf& mark_of,
                 std::vector<health::Target>& out);

}  // namespace sluice::control
