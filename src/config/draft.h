// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A Config that is being read: the values, where they stand, and which of them are to be trusted.
/// Filled by parse_*.cpp, judged as a whole by validate*.cpp. Used inside config/ only.

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/model.h"
#include "config/reader.h"

namespace sluice::config {

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
    std::string group_name;   ///< As written under `group`.
    bool has_target = false;  ///< vip, protocol and port are good.
    bool has_vip = false;
    bool has_forward = true;  ///< Absent or good.
    bool has_group = false;   ///< Config::services[i].group is good.
};

struct Draft {
    Config config;
    std::vector<ServiceNotes> services;    ///< Parallel to config.services.
    std::vector<std::string> group_paths;  ///< Parallel to config.groups: up to the backends.
    std::vector<bool> prefixes_good;       ///< Parallel to config.protected_prefixes.
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

/// Shared by groups and by services with backends of their own.
std::vector<Backend> parse_backends(const Reader& in, const YamlNode& list, const Path& path);

/// What can only be judged of the whole: see docs/reference/configuration.md, "What is refused".
void validate(Draft& draft, Findings& findings);
/// Services against each other; also spreads `unmatched` over all services of a VIP.
void validate_targets(Draft& draft, Findings& findings);
void validate_backends(const Draft& draft, Findings& findings);
/// What is legal but hardly meant. Only for a draft without errors.
void warn(const Draft& draft, Findings& findings);

}  // namespace sluice::config
