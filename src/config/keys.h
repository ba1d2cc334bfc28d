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

inline constexpr std::array<std::string_view, 9> kTopNames = {
    "version", "node", "groups", "services", "protected", "proof", "tests", "health", "announce"};
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
inline constexpr std::array<std::string_view, 6> kGroupNames = {"balance", "on_down",  "deadline",
                                                                "flows",   "backends", "health"};
inline constexpr std::array<std::string_view, 6> kHealthNames = {
    "checks", "min_healthy", "when_none", "fallback", "slow_start", "flapping"};
inline constexpr std::array<std::string_view, 3> kFlappingNames = {"limit", "window", "hold"};
inline constexpr std::array<std::string_view, 21> kCheckNames = {
    "type", "via",     "service", "port", "interval", "timeout", "jitter",
    "rise", "fall",    "method",  "path", "host",     "status",  "body",
    "tls",  "payload", "reply",   "dns",  "load",     "command", "grpc_service"};
inline constexpr std::array<std::string_view, 6> kCheckDefaultsNames = {
    "via", "interval", "timeout", "jitter", "rise", "fall"};
inline constexpr std::array<std::string_view, 5> kCheckTlsNames = {
    "verify", "server_name", "ca_file", "certificate_file", "key_file"};
inline constexpr std::array<std::string_view, 4> kCheckDnsNames = {"name", "type", "rcode",
                                                                   "over_tcp"};
inline constexpr std::array<std::string_view, 4> kCheckLoadNames = {"header", "field", "least",
                                                                    "most"};
inline constexpr std::array<std::string_view, 2> kFlowsNames = {"share", "ceiling"};
inline constexpr std::array<std::string_view, 4> kBackendNames = {"address", "weight", "state",
                                                                  "server_id"};
inline constexpr std::array<std::string_view, 21> kServiceNames = {
    "name",    "vip",      "protocol",  "port",      "forward",  "group",   "backends",
    "balance", "affinity", "tracking",  "lifetimes", "route_by", "on_down", "deadline",
    "flows",   "dscp",     "unmatched", "customer",  "policy",   "health",  "announce"};
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
inline constexpr std::array<std::string_view, 6> kAnnounceNames = {
    "bird", "bgp", "kernel", "while_healthy", "on_daemon_exit", "drain"};
inline constexpr std::array<std::string_view, 2> kBirdNames = {"socket", "include"};
inline constexpr std::array<std::string_view, 7> kBgpNames = {
    "as", "router_id", "peers", "communities", "med", "local_preference", "prepend"};
inline constexpr std::array<std::string_view, 9> kPeerNames = {
    "address",      "port",      "as",    "source",  "password_file",
    "ttl_security", "hold_time", "retry", "next_hop"};
inline constexpr std::array<std::string_view, 2> kNextHopNames = {"ipv4", "ipv6"};
inline constexpr std::array<std::string_view, 2> kKernelNames = {"interface", "table"};
inline constexpr std::array<std::string_view, 7> kAgentNames = {
    "version", "name", "interfaces", "xdp_mode", "vips", "from", "gue_port"};

inline constexpr KeySet kTop = {"", kTopNames, 4};
inline constexpr KeySet kNode = {"node", kNodeNames, 2};
inline constexpr KeySet kNodeFlows = {"node.flows", kNodeFlowsNames};
inline constexpr KeySet kTunnelSource = {"node.tunnel_source", kTunnelSourceNames};
inline constexpr KeySet kDecap = {"node.decap", kDecapNames};
inline constexpr KeySet kGroup = {"groups.NAME", kGroupNames, 1};
inline constexpr KeySet kFlows = {"groups.NAME.flows", kFlowsNames};
inline constexpr KeySet kBackend = {"groups.NAME.backends[]", kBackendNames};
inline constexpr KeySet kService = {"services[]", kServiceNames, 2};
inline constexpr KeySet kLifetimes = {"services[].lifetimes", kLifetimesNames};
inline constexpr KeySet kRouteBy = {"services[].route_by", kRouteByNames};
inline constexpr KeySet kQuicLb = {"services[].route_by.quic-lb", kQuicLbNames};
inline constexpr KeySet kProtected = {"protected[]", kProtectedNames};
inline constexpr KeySet kProof = {"proof", kProofNames};
inline constexpr KeySet kTest = {"tests[]", kTestNames};
inline constexpr KeySet kStep = {"tests[].sequence[]", kStepNames};
inline constexpr KeySet kExpect = {"tests[].expect", kExpectNames};
inline constexpr KeySet kCheckDefaults = {"health", kCheckDefaultsNames};
inline constexpr KeySet kHealth = {"groups.NAME.health", kHealthNames};
inline constexpr KeySet kFlapping = {"groups.NAME.health.flapping", kFlappingNames};
inline constexpr KeySet kCheck = {"groups.NAME.health.checks[]", kCheckNames};
inline constexpr KeySet kCheckTls = {"groups.NAME.health.checks[].tls", kCheckTlsNames};
inline constexpr KeySet kCheckDns = {"groups.NAME.health.checks[].dns", kCheckDnsNames};
inline constexpr KeySet kCheckLoad = {"groups.NAME.health.checks[].load", kCheckLoadNames};
inline constexpr KeySet kAnnounce = {"announce", kAnnounceNames};
inline constexpr KeySet kBird = {"announce.bird", kBirdNames};
inline constexpr KeySet kBgp = {"announce.bgp", kBgpNames};
inline constexpr KeySet kPeer = {"announce.bgp.peers[]", kPeerNames};
inline constexpr KeySet kNextHop = {"announce.bgp.peers[].next_hop", kNextHopNames};
inline constexpr KeySet kKernel = {"announce.kernel", kKernelNames};
inline constexpr KeySet kAgent = {"", kAgentNames};

}  // namespace keys

/// Of sluice.yaml. A service's own `backends`, `flows` and `health` have the keys of those of
/// groups.NAME, and `expect` is the same in a sequence.
inline constexpr std::array<KeySet, 30> kConfigKeys = {
    keys::kTop,     keys::kNode,     keys::kNodeFlows,     keys::kTunnelSource, keys::kDecap,
    keys::kGroup,   keys::kFlows,    keys::kBackend,       keys::kService,      keys::kLifetimes,
    keys::kRouteBy, keys::kQuicLb,   keys::kProtected,     keys::kProof,        keys::kTest,
    keys::kStep,    keys::kExpect,   keys::kCheckDefaults, keys::kHealth,       keys::kFlapping,
    keys::kCheck,   keys::kCheckTls, keys::kCheckDns,      keys::kCheckLoad,    keys::kAnnounce,
    keys::kBird,    keys::kBgp,      keys::kPeer,          keys::kNextHop,      keys::kKernel};
/// Of agent.yaml.
inline constexpr std::array<KeySet, 1> kAgentKeys = {keys::kAgent};

}  // namespace sluice::config
