// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a new generation takes over from the rings that packets read now. Its slots begin as the
/// live ones are, so that the swap itself moves nothing; only then do transitions move them to what
/// the configuration wants. Pure.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/model.h"
#include "plan/image.h"
#include "plan/transition.h"

namespace sluice::plan {

/// A ring as packets read it.
struct LiveRing {
    std::string group;
    config::Balance balance = config::Balance::maglev;
    std::vector<std::string> services;  ///< Those that use it.
    std::vector<std::uint64_t> slots;
};

struct LiveRings {
    std::vector<LiveRing> rings;
    /// Every member id that may be named: "group/address".
    std::map<std::uint32_t, std::string> names;
    std::set<std::uint32_t> remembered;  ///< Ids of members for which flows are remembered.
};

/// A ring of a configuration, by group name and way of balancing.
using RingName = std::pair<std::string, config::Balance>;

/// Which live ring each ring of the configuration continues: the one of the same name, else the one
/// that the first of its services was on before. Rings that continue none are not in it.
std::map<RingName, std::size_t> predecessors(const config::Config& config, const LiveRings& live);

/// Into `options`: rings that may not shrink yet, and members that no backend list has any more but
/// slots or flows still name.
void retain(const config::Config& config, const LiveRings& live, CompileOptions& options);

/// Into `image`: the slots of each ring that continues one, member ids translated where a service
/// has changed its group and the address is the same. Members of groups that may stand in for the
/// ring's own are what they were.
void inherit_slots(const config::Config& config, const LiveRings& live, const IdStore& ids,
                   Image& image);

/// The address in a member name, or nothing.
std::optional<IpAddress> address_of(const std::string& member_name);
std::string group_of(const std::string& member_name);

}  // namespace sluice::plan
