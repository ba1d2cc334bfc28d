// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A Config that is being read: the values, where they stand, and which of them are to be trusted.
/// Filled by parse_*.cpp, judged as a whole by validate*.cpp. Used inside config/ only.

#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/check_places.h"
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
    Mark announce;
    std::array<Mark, 4> lifetimes;  ///< By keys::kLifetimesNames.
    std::string group_name;         ///< As written under `group`.
    bool has_target = false;        ///< vip, protocol and port are good.
    bool has_vip = false;
    bool has_protocol = true;  ///< Absent or good.
    bool has_forward = true;   ///< Absent or good.
    bool has_group = false;    ///< Config::services[i].group is good.
};

/// Parallel to Health::checks. A mark with line 0: the key is not there.
struct CheckNotes {
    Mark place;        ///< Of the check.
    std::string path;  ///< "groups.web.health.checks[0]".
    Mark service;      ///< Its value is a name, of whatever.
    Mark interval;
    Mark timeout;
    Mark tls;
    bool has_type = false;  ///< Good, so that the rest can be judged.
    bool has_parts = true;  ///< What says where it goes is good: service, port, dns.
};

/// Parallel to Config::groups.
struct GroupNotes {
    std::string path;                 ///< Of the map that has the keys: a group or a service.
    Mark share;                       ///< Line 0: not given.
    std::vector<Mark> server_ids;     ///< Parallel to the backends. Line 0: none.
    bool mentions_server_id = false;  ///< Some backend has the key, if not a good value.
    std::vector<CheckNotes> checks;
    Mark health;  ///< Line 0: not given.
    Mark min_healthy;
    Mark when_none;
    Mark fallback;
    Mark slow_start;
    Mark flapping;
};

/// Of `announce`. A mark with line 0: the key is not there.
struct AnnounceNotes {
    Mark place;
    std::vector<Mark> communities;  ///< Parallel to AnnounceBgp::communities.
    std::vector<Mark> peers;        ///< Parallel to AnnounceBgp::peers.
    std::vector<Mark> hold_times;   ///< The same.
    Mark local_preference;
    Mark prepend;
};

struct Draft {
    Config config;
    Check check_defaults;      ///< What checks have that do not say it themselves.
    Mark check_defaults_mark;  ///< Line 0: not given.
    AnnounceNotes announce;
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
void parse_check_defaults(const Reader& in, const YamlNode& node, Draft& draft);
void parse_groups(const Reader& in, const YamlNode& groups, Draft& draft);
void parse_services(const Reader& in, const YamlNode& services, Draft& draft);
void parse_protected(const Reader& in, const YamlNode& prefixes, Draft& draft);
void parse_announce(const Reader& in, const YamlNode& node, Draft& draft);
void parse_proof(const Reader& in, const YamlNode& node, Draft& draft);
/// After groups and services, which the expectations name.
void parse_tests(const Reader& in, const YamlNode& tests, Draft& draft);

/// Shared by groups and by services with backends of their own.
std::vector<Backend> parse_backends(const Reader& in, const YamlNode& list, const Path& path,
                                    GroupNotes& notes);
/// node.flows.
void parse_flow_table(const Reader& in, const YamlNode& node, const Path& path, Node& out);
/// on_down, deadline, flows and health, of a group or of a service with a group of its own.
void parse_upkeep(const Reader& in, const MapReader& map, const Check& defaults, Group& out,
                  GroupNotes& notes);
void parse_health(const Reader& in, const YamlNode& node, const Path& path, const Check& defaults,
                  Health& out, GroupNotes& notes);
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
/// Through which services groups are reached, as far as that is known.
CheckPlaces places_of(const Draft& draft);
/// Checks against the services that they go through, and groups that others fall back on.
void validate_health(const Draft& draft, Findings& findings);
/// What is legal but hardly meant. Only for a draft without errors.
void warn(const Draft& draft, Findings& findings);
void warn_flows(const Draft& draft, Findings& findings);
void warn_health(const Draft& draft, Findings& findings);
void warn_announce(const Draft& draft, Findings& findings);

}  // namespace sluice::config
