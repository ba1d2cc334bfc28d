// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a node says about itself: plain values, taken at one moment, rendered by api/json.h.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "plan/next_hop.h"

namespace sluice::control {

struct Traffic {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;  ///< Of frames as received.
};

struct BackendStatus {
    std::string group;
    IpAddress address;
    std::uint32_t member = 0;  ///< Member id.
    std::uint32_t weight = 0;
    config::BackendState state = config::BackendState::ready;
    plan::HopState hop = plan::HopState::unresolved;
    std::string why;        ///< Why `hop` is not resolved; else empty.
    std::string interface;  ///< Where its packets leave; empty if unknown.
    MacAddress next_mac;
    double ring_share = 0;  ///< Of its group's ring, 0..1.
    Traffic traffic;
    std::vector<std::string> services;
};

struct ServiceStatus {
    std::string name;
    std::uint32_t id = 0;
    IpPrefix vip;
    config::Protocol protocol = config::Protocol::tcp;
    config::Ports ports;
    config::Forward forward = config::Forward::ipip;
    config::Balance balance = config::Balance::maglev;
    config::Affinity affinity = config::Affinity::five_tuple;
    std::string group;
    std::string customer;
    std::string policy;
    std::uint32_t ring_slots = 0;
    std::uint32_t backends_total = 0;
    std::uint32_t backends_ready = 0;  ///< In state ready, with weight, and resolved or local.
    Traffic traffic;
    Traffic dropped;
};

struct InterfaceStatus {
    std::string name;
    std::uint32_t ifindex = 0;
    std::string driver;    ///< "veth", "virtio_net"; empty if unknown.
    std::string xdp_mode;  ///< "native" or "generic": what is in force.
    bool attached = false;
    std::uint32_t mtu = 0;
};

/// Every reason, also those that never happened.
struct ReasonStatus {
    std::string label;
    std::string text;
    std::string remedy;
    Traffic traffic;
};

struct FamilyStatus {
    std::string label;  ///< "ip4_tcp".
    Traffic traffic;
};

struct OwnerStatus {
    std::string name;
    std::uint32_t id = 0;
    Traffic traffic;
};

struct ProgramStatus {
    std::string name;  ///< "slc_lb", "slc_icmp", ...
    std::uint32_t instructions =
        0;  ///< After the verifier removed what the configuration does not use.
    std::uint32_t instructions_built = 0;  ///< In the object file.
};

struct ReloadStatus {
    bool success = true;
    std::chrono::system_clock::time_point at;
    std::string error;  ///< Of the last attempt, when it failed.
};

struct NodeStatus {
    std::string version;
    std::string node;
    std::uint32_t generation = 0;
    std::string config_file;
    std::string config_digest;  ///< SHA-256 of the text in force, hex.
    std::chrono::system_clock::time_point started;
    ReloadStatus reload;
    std::string instruction_set;  ///< "v3" or "v4".
    bool degraded =
        false;  ///< Some service has no backend it can send to, or XDP fell back to generic.
    std::vector<std::string> problems;  ///< One sentence each; empty when all is well.
    std::vector<InterfaceStatus> interfaces;
    std::vector<ServiceStatus> services;
    std::vector<BackendStatus> backends;
    std::vector<ReasonStatus> reasons;
    std::vector<FamilyStatus> families;
    std::vector<OwnerStatus> customers;
    std::vector<OwnerStatus> policies;
    std::vector<ProgramStatus> programs;
};

/// What the API needs of a node. The daemon's Controller implements it; tests use a fake.
class NodeView {
 public:
    virtual ~NodeView() = default;
    virtual NodeStatus status() = 0;
    /// Reads the configuration file again and puts it into force, whole or not at all.
    virtual Result<void> reload() = 0;
    /// The text of the configuration in force.
    virtual std::string config_text() = 0;
};

}  // namespace sluice::control
