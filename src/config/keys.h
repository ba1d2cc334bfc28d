// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Every key that a file may have, once: the parser reads no other, and tests hold the published
/// schema and the reference manual against these lists.

#include <array>
#include <span>
#include <string_view>

namespace sluice::config {

/// The keys of one kind of map. `path` says where such maps stand: "services[].backends[]".
struct KeySet {
    std::string_view path;
    std::span<const std::string_view> keys;
};

namespace keys {

inline constexpr std::array<std::string_view, 5> kTopNames = {"version", "node", "groups",
                                                              "services", "protected"};
inline constexpr std::array<std::string_view, 10> kNodeNames = {
    "name",      "interfaces", "xdp_mode", "tunnel_source", "ring_secret", "ring_secret_file",
    "icmp_rate", "gue_port",   "next",     "decap"};
inline constexpr std::array<std::string_view, 2> kTunnelSourceNames = {"ipv4", "ipv6"};
inline constexpr std::array<std::string_view, 2> kDecapNames = {"from", "addresses"};
inline constexpr std::array<std::string_view, 2> kGroupNames = {"balance", "backends"};
inline constexpr std::array<std::string_view, 3> kBackendNames = {"address", "weight", "state"};
inline constexpr std::array<std::string_view, 13> kServiceNames = {
    "name",    "vip",      "protocol", "port",      "forward",  "group", "backends",
    "balance", "affinity", "dscp",     "unmatched", "customer", "policy"};
inline constexpr std::array<std::string_view, 3> kProtectedNames = {"prefix", "customer", "policy"};
inline constexpr std::array<std::string_view, 7> kAgentNames = {
    "version", "name", "interfaces", "xdp_mode", "vips", "from", "gue_port"};

inline constexpr KeySet kTop = {"", kTopNames};
inline constexpr KeySet kNode = {"node", kNodeNames};
inline constexpr KeySet kTunnelSource = {"node.tunnel_source", kTunnelSourceNames};
inline constexpr KeySet kDecap = {"node.decap", kDecapNames};
inline constexpr KeySet kGroup = {"groups.NAME", kGroupNames};
inline constexpr KeySet kBackend = {"groups.NAME.backends[]", kBackendNames};
inline constexpr KeySet kService = {"services[]", kServiceNames};
inline constexpr KeySet kProtected = {"protected[]", kProtectedNames};
inline constexpr KeySet kAgent = {"", kAgentNames};

}  // namespace keys

/// Of sluice.yaml. A service's own backends have the keys of groups.NAME.backends[].
inline constexpr std::array<KeySet, 8> kConfigKeys = {
    keys::kTop,   keys::kNode,    keys::kTunnelSource, keys::kDecap,
    keys::kGroup, keys::kBackend, keys::kService,      keys::kProtected};
/// Of agent.yaml.
inline constexpr std::array<KeySet, 1> kAgentKeys = {keys::kAgent};

}  // namespace sluice::config
