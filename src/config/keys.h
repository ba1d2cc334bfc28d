// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Every key that a file may have, once: the parser reads no other, and tests hold the published
/// schema and the reference manual against these lists.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::config {

/// The versions of the format that this build reads: the newest, and the one before.
inline constexpr std::uint32_t kVersion = 2;
inline constexpr std::uint32_t kAgentVersion = 1;

/// The keys of one kind of map. `path` says where such maps stand: "services[].backends[]".
struct KeySet {
    std::string_view path;
    std::span<const std::string_view> keys;
    std::size_t added = 0;  ///< So many of them, the last, are new in the newest version.

    /// Those that a file of this version may have.
    [[nodiscard]] constexpr std::span<const std::string_view> of(std::uint32_t version) const {
        return version < kVersion ? keys.first(keys.size() - added) : keys;
    }
};

namespace keys {

inline constexpr std::array<std::string_view, 7> kTopNames = {
    "version", "node", "groups", "services", "protected", "proof", "tests"};
inline constexpr std::array<std::string_view, 13> kNodeNames = {"name",
                                                                "interfaces",
                                                                "xdp_mode",
                                                                "tunnel_source",
                                                                "ring_secret",
                                                                "ring_secret_file",
                                                                "icmp_rate",
                                                                "gue_port",
                                                                "flows",
                                                                "next",
                                                                "decap",
                                                                "sampling",
                                                                "keep_generations"};
inline constexpr std::array<std::string_view, 1> kNodeFlowsNames = {"entries"};
inline constexpr std::array<std::string_view, 2> kTunnelSourceNames = {"ipv4", "ipv6"};
inline constexpr std::array<std::string_view, 2> kDecapNames = {"from", "addresses"};
inline constexpr std::array<std::string_view, 5> kGroupNames = {"balance", "on_down", "deadline",
                                                                "flows", "backends"};
inline constexpr std::array<std::string_view, 2> kFlowsNames = {"share", "ceiling"};
inline constexpr std::array<std::string_view, 4> kBackendNames = {"address", "weight", "state",
                                                                  "server_id"};
inline constexpr std::array<std::string_view, 19> kServiceNames = {
    "name",    "vip",      "protocol",  "port",      "forward",  "group",   "backends",
    "balance", "affinity", "tracking",  "lifetimes", "route_by", "on_down", "deadline",
    "flows",   "dscp",     "unmatched", "customer",  "policy"};
inline constexpr std::array<std::string_view, 4> kLifetimesNames = {"embryonic", "established",
                                                                    "closing", "udp"};
inline constexpr std::array<std::string_view, 1> kRouteByNames = {"quic-lb"};
inline constexpr std::array<std::string_view, 2> kQuicLbNames = {"rotation", "server_id_length"};
inline constexpr std::array<std::string_view, 3> kProtectedNames = {"prefix", "customer", "policy"};
inline constexpr std::array<std::string_view, 1> kProofNames = {"max_moved"};
inline constexpr std::array<std::string_view, 6> kTestNames = {"name",  "packet", "pcap",
                                                               "frame", "expect", "sequence"};
inline constexpr std::array<std::string_view, 5> kStepNames = {"after", "packet", "pcap", "frame",
                                                               "expect"};
inline constexpr std::array<std::string_view, 5> kExpectNames = {"verdict", "reason", "service",
                                                                 "backend", "encapsulation"};
inline constexpr std::array<std::string_view, 7> kAgentNames = {
    "version", "name", "interfaces", "xdp_mode", "vips", "from", "gue_port"};

inline constexpr KeySet kTop = {"", kTopNames, 2};
inline constexpr KeySet kNode = {"node", kNodeNames, 2};
inline constexpr KeySet kNodeFlows = {"node.flows", kNodeFlowsNames};
inline constexpr KeySet kTunnelSource = {"node.tunnel_source", kTunnelSourceNames};
inline constexpr KeySet kDecap = {"node.decap", kDecapNames};
inline constexpr KeySet kGroup = {"groups.NAME", kGroupNames};
inline constexpr KeySet kFlows = {"groups.NAME.flows", kFlowsNames};
inline constexpr KeySet kBackend = {"groups.NAME.backends[]", kBackendNames};
inline constexpr KeySet kService = {"services[]", kServiceNames};
inline constexpr KeySet kLifetimes = {"services[].lifetimes", kLifetimesNames};
inline constexpr KeySet kRouteBy = {"services[].route_by", kRouteByNames};
inline constexpr KeySet kQuicLb = {"services[].route_by.quic-lb", kQuicLbNames};
inline constexpr KeySet kProtected = {"protected[]", kProtectedNames};
inline constexpr KeySet kProof = {"proof", kProofNames};
inline constexpr KeySet kTest = {"tests[]", kTestNames};
inline constexpr KeySet kStep = {"tests[].sequence[]", kStepNames};
inline constexpr KeySet kExpect = {"tests[].expect", kExpectNames};
inline constexpr KeySet kAgent = {"", kAgentNames};

}  // namespace keys

/// Of sluice.yaml. A service's own `backends` and `flows` have the keys of those of groups.NAME,
/// and `expect` is the same in a sequence.
inline constexpr std::array<KeySet, 17> kConfigKeys = {
    keys::kTop,     keys::kNode,   keys::kNodeFlows, keys::kTunnelSource, keys::kDecap,
    keys::kGroup,   keys::kFlows,  keys::kBackend,   keys::kService,      keys::kLifetimes,
    keys::kRouteBy, keys::kQuicLb, keys::kProtected, keys::kProof,        keys::kTest,
    keys::kStep,    keys::kExpect};
/// Of agent.yaml.
inline constexpr std::array<KeySet, 1> kAgentKeys = {keys::kAgent};

}  // namespace sluice::config
