// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A Config that is being read: the values, where they stand, and which of them are to be trusted.
/// Filled by parse_*.cpp, judged as a whole by validate*.cpp. Used inside config/ only.

#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/model.h"
#include "config/reader.h"

namespace sluice::config {

struct AddressHash {
    std::size_t operator()(const IpAddress& address) const {
        return std::hash<std::string_view>()(
            {reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()});
    }
};

/// Parallel to Config::services. A mark with line 0: the key is not there.
struct ServiceNotes {
    Mark name;
    Mark vip;
    Mark port;
    Mark forward;
    Mark group;
    Mark backends;
    Mark balance;
    Mark affinity;
    Mark dscp;
    Mark unmatched;
    Mark route_by;
    std::array<Mark, 4> lifetimes;  ///< By keys::kLifetimesNames.
    std::string group_name;         ///< As written under `group`.
    bool has_target = false;        ///< vip, protocol and port are good.
    bool has_vip = false;
    bool has_protocol = true;  ///< Absent or good.
    bool has_forward = true;   ///< Absent or good.
    bool has_group = false;    ///< Config::services[i].group is good.
};

/// Parallel to Config::groups.
struct GroupNotes {
    std::string path;                 ///< Of the map that has the keys: a group or a service.
    Mark share;                       ///< Line 0: not given.
    std::vector<Mark> server_ids;     ///< Parallel to the backends. Line 0: none.
    bool mentions_server_id = false;  ///< Some backend has the key, if not a good value.
};

struct Draft {
    Config config;
    std::vector<ServiceNotes> services;  ///< Parallel to config.services.
    std::vector<GroupNotes> groups;      ///< Parallel to config.groups.
    std::vector<bool> prefixes_good;     ///< Parallel to config.protected_prefixes.
    std::unordered_map<std::string, std::size_t> groups_by_name;
    Mark tunnel_source;  ///< Line 0: not given.
    Mark services_mark;
    Mark groups_mark;
    Mark protected_mark;
    std::vector<Mark> decap_address_marks;  ///< Parallel to node.decap->addresses.

    [[nodiscard]] std::string service_path(std::size_t index, std::string_view key) const {
        return "services[" + std::to_string(index) + "]." + std::string(key);
    }
    /// "service web (line 12)".
    [[nodiscard]] std::string service_place(std::size_t index) const;
};

/// The sections, in the order in which they must be read.
void parse_node(const Reader& in, const YamlNode& node, Draft& draft);
void parse_groups(const Reader& in, const YamlNode& groups, Draft& draft);
void parse_services(const Reader& in, const YamlNode& services, Draft& draft);
void parse_protected(const Reader& in, const YamlNode& prefixes, Draft& draft);

void parse_proof(const Reader& in, const YamlNode& node, Draft& draft);
/// After groups and services, which the expectations name.
void parse_tests(const Reader& in, const YamlNode& tests, Draft& draft);

/// Shared by groups and by services with backends of their own.
std::vector<Backend> parse_backends(const Reader& in, const YamlNode& list, const Path& path,
                                    GroupNotes& notes);
/// node.flows.
void parse_flow_table(const Reader& in, const YamlNode& node, const Path& path, Node& out);
/// on_down, deadline and flows, of a group or of a service with a group of its own.
void parse_upkeep(const Reader& in, const MapReader& map, Group& out, GroupNotes& notes);
/// The same keys where they may not stand.
void refuse_upkeep(const Reader& in, const MapReader& map, const std::string& why);
/// tracking, lifetimes and route_by of a service whose `forward` was read.
void parse_memory(const Reader& in, const MapReader& map, Service& out, ServiceNotes& notes);

/// What can only be judged of the whole: see docs/reference/configuration.md, "What is refused".
void validate(Draft& draft, Findings& findings);
/// Services against each other; also spreads `unmatched` over all services of a VIP.
void validate_targets(Draft& draft, Findings& findings);
void validate_backends(const Draft& draft, Findings& findings);
/// Shares of the flow table, and routing by ids against protocols and backends.
void validate_flows(const Draft& draft, Findings& findings);
/// What is legal but hardly meant. Only for a draft without errors.
void warn(const Draft& draft, Findings& findings);
void warn_flows(const Draft& draft, Findings& findings);

}  // namespace sluice::config
