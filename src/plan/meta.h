// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What is pinned beside the tables of a generation, in JSON: which configuration they hold, who
/// wrote them, and what of the configuration packets never need, so that no table has it. What the
/// tables do hold (VIPs, ports, handling, backends, weights, states, server ids, protected
/// prefixes, tunnel peers, rings) is not repeated here: read_back.h takes it from them. Pure.
///
/// The seed of the tables is not in it either: packets read that from slc_node.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "plan/ids.h"
#include "plan/image.h"

namespace sluice::plan {

/// Of the JSON. A later one is refused by name.
inline constexpr std::uint32_t kMetaFormat = 1;

/// Digests of programs, by name of the program.
using CodeDigests = std::map<std::string, std::string>;

/// What a meta is made of.
struct MetaSource {
    const config::Config& config;
    const Image& image;
    const IdStore& ids;
    std::uint32_t generation = 0;                      ///< Of the configuration, in history.
    std::string digest{};                              ///< Of its text.
    std::chrono::system_clock::time_point built_at{};  ///< Kept in whole seconds.
    CodeDigests code{};
};

std::string to_meta(const MetaSource& source);

struct MetaService {
    std::uint32_t id = 0;
    std::string name;
    config::Balance balance = config::Balance::maglev;  ///< Where no ring says it.
    bool own_customer = false;  ///< Else the one in its record is that of a protected prefix.
    bool own_policy = false;
    bool announce = true;
    config::Lifetimes lifetimes;  ///< The tables have them in ticks.
    bool operator==(const MetaService&) const = default;
};

struct MetaGroup {
    std::string name;
    bool anonymous = false;
    config::Balance balance = config::Balance::maglev;
    config::OnDown on_down = config::OnDown::replace;
    std::chrono::seconds deadline{0};
    /// Member ids in the order of the file; empty when that is the order of addresses.
    std::vector<std::uint32_t> order;
    /// By member id, where no service routes by ids, so that no table has them.
    std::map<std::uint32_t, config::ServerId> server_ids;
    config::Health health;
    bool operator==(const MetaGroup&) const = default;
};

struct Meta {
    std::uint32_t abi = 0;  ///< SLC_ABI_VERSION of the programs.
    std::string sluice;     ///< Version that wrote it.
    std::uint32_t generation = 0;
    std::string digest;
    std::chrono::system_clock::time_point built_at;
    CodeDigests code;

    /// Of the configuration. In `node` what slc_node holds is not set, and of `decap` the lists say
    /// no more than an order; flow_entries is 0 where the table in use is as large as configured.
    config::Node node;
    bool decap_addresses = false;       ///< Given, and not just all of the node's own.
    std::vector<MetaService> services;  ///< In the order of the file.
    std::vector<MetaGroup> groups;      ///< Group number minus one.
    std::map<std::uint32_t, std::string> customers;
    std::map<std::uint32_t, std::string> policies;
    config::Proof proof;
    std::vector<config::Test> tests;
    std::optional<config::Announce> announce;
};

/// Errors: unsupported for a later format, by number and by the version that wrote it; invalid for
/// what to_meta() did not write.
Result<Meta> parse_meta(std::string_view text);

}  // namespace sluice::plan
