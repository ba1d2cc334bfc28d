// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a node says about itself: plain values, taken at one moment, rendered by api/json.h.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "control/announce_status.h"
#include "control/configurations.h"
#include "control/health_status.h"
#include "control/table_status.h"
#include "observe/event_log.h"
#include "plan/next_hop.h"

namespace sluice::node {
struct LossCounts;  // node/losses.h
}

namespace sluice::control {

struct Traffic {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;  ///< Of frames as received.
};

/// How far a planned change has come, for one backend or one ring.
struct ChangeStatus {
    std::uint32_t preparing_slots = 0;  ///< Marked, new flows are being remembered, not yet moved.
    std::uint32_t open_slots = 0;       ///< What nobody remembers still goes to the former owner.
    std::uint32_t marked_slots = 0;     ///< All of them, and those that wait for remembered flows.
    std::uint32_t held_slots = 0;       ///< New flows stay too, because some were refused.
    /// Until the last window closes if nothing is refused meanwhile. Zero: none is open.
    std::chrono::milliseconds window_left{0};
    std::chrono::milliseconds deadline_left{0};  ///< Zero: there is none.
    [[nodiscard]] bool settled() const { return marked_slots == 0; }
};

struct BackendStatus {
    std::string group;
    IpAddress address;
    std::uint32_t member = 0;                                  ///< Member id.
    std::uint32_t weight = 0;                                  ///< In force.
    config::BackendState state = config::BackendState::ready;  ///< In force.
    std::uint32_t configured_weight = 0;
    config::BackendState configured_state = config::BackendState::ready;
    bool overridden = false;  ///< State or weight were set at runtime.
    /// Until the override ends by itself; zero: it does not.
    std::chrono::seconds override_left{0};
    bool retired = false;  ///< In no configuration any more, but flows are remembered for it.
    std::uint64_t remembered = 0;  ///< Flows in the flow table, by the last sweep.
    std::uint64_t cut = 0;         ///< Remembered flows that deadlines and purges took from it.
    ChangeStatus change;           ///< Of the slots that it owns, owned, or is about to own.
    /// "unknown", "up", "down", "held"; empty: it has no checks.
    std::string health;
    std::string health_why;     ///< Why it is not up; empty when it is.
    std::uint32_t part = 1000;  ///< Of its weight, thousandths: slow start, load.
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
    NodeStanding standing{};
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

/// What is cheap to know, however large the configuration is.
struct NodeSummary {
    std::string node;
    std::uint32_t generation = 0;  ///< 0: none is in force.
    std::string digest;
    std::string file;
    std::size_t services = 0;
    std::size_t backends = 0;
};

/// An order for one backend. What is not set stays.
struct BackendOrder {
    std::string owner;  ///< Name of a group, or of a service on it.
    IpAddress address;
    std::optional<config::BackendState> state;
    std::optional<std::uint32_t> weight;       ///< 0..SLC_MAX_WEIGHT
    std::optional<std::chrono::seconds> keep;  ///< The override ends by itself after this long.
    /// The change is over after this long, whatever may then be cut.
    std::optional<std::chrono::seconds> deadline;
    bool reset = false;  ///< Back to what the configuration says; nothing else may be set.
};

enum class FlowClass { embryonic, established, closing, datagram };

/// Which remembered flows. Everything that is set must hold.
struct FlowQuery {
    std::string group{};  ///< Empty: any. A service's name stands for its group.
    std::optional<IpAddress> backend{};
    std::optional<FlowClass> flow_class{};
    std::optional<std::chrono::seconds> min_age{};  ///< Since the last packet.
    std::optional<std::chrono::seconds> max_age{};
};

/// A remembered flow. Its tuple is not kept: a fingerprint of it is.
struct FlowRecord {
    std::uint64_t fingerprint = 0;  ///< 34 bits.
    std::uint32_t bucket = 0;
    std::string group;
    IpAddress backend;
    FlowClass flow_class = FlowClass::embryonic;
    std::chrono::milliseconds age{0};      ///< Since its last packet, to a tick of the table.
    std::chrono::milliseconds expires{0};  ///< From now.
};

/// One step through the flow table. A pass begins with cursor 0 and ends when `done`.
struct FlowPage {
    std::vector<FlowRecord> records;  ///< Empty when only counting or purging.
    std::uint64_t matched = 0;        ///< In this step.
    std::uint64_t next = 0;           ///< Cursor of the next step.
    bool done = false;
};

enum class FlowAction { list, count, purge };

/// A packet that somebody asks about.
struct FlowTuple {
    config::Protocol protocol = config::Protocol::tcp;  ///< tcp or udp.
    IpAddress source;
    std::uint16_t source_port = 0;
    IpAddress destination;
    std::uint16_t destination_port = 0;
    bool syn = false;  ///< tcp: asks about the first packet of a connection.
    /// What the packet calls its backend: a TCP server id, or a whole QUIC connection id.
    std::vector<std::uint8_t> id;
};

/// Where a packet would go now, and why. Nothing is written.
struct FlowAnswer {
    std::string service;
    std::string group;
    std::uint64_t hash = 0;
    std::uint32_t ring_slots = 0;
    std::uint32_t slot = 0;
    bool marked = false;
    bool open = false;
    bool held = false;
    std::optional<IpAddress> current;
    std::optional<IpAddress> previous;
    std::optional<FlowRecord> remembered;
    /// "ring", "remembered", "previous", "connection_id", "server_id", "refused" (the flow would
    /// find no room now and goes to `previous`), "no_backend", "local", "no_such_port", "not_ours".
    std::string why;
    std::string text;  ///< One sentence that says the same.
    std::optional<IpAddress> backend;
};

/// Use of one map. Groups only for the flow table.
struct MapStatus {
    struct Use {
        std::string name;  ///< Of a group, or of a flow class.
        std::uint64_t entries = 0;
        std::uint64_t share = 0;                          ///< Entries; groups only.
        std::uint64_t ceiling = 0;                        ///< Entries; groups only.
        std::uint64_t hits = 0, misses = 0, inserts = 0;  ///< Groups only, these and below.
        std::uint64_t refused_full = 0, refused_ceiling = 0, held = 0;
        std::uint64_t ids_unknown = 0;  ///< Packets whose id named no backend.
        /// Of its ceiling; groups only, those that are watched.
        std::optional<observe::TableView> trend{};
    };
    std::string name;
    std::string kind;  ///< "generation", "live" or "state".
    std::uint64_t entries = 0;
    std::uint64_t capacity = 0;
    std::uint64_t bytes = 0;
    bool counted = false;           ///< `entries` is a count; else the map has no such notion.
    std::optional<TableLife> life;  ///< Only of tables that fill and empty by themselves.
    std::vector<Use> classes;
    std::vector<Use> groups;
    std::chrono::milliseconds oldest{0};  ///< Since the last packet of the oldest live flow.
    std::chrono::milliseconds swept{0};   ///< Since the sweep that these counts are from.
    std::uint64_t leaving = 0;  ///< Flows still in the table of another size that is being left.
};

/// A ring in which a change is in progress.
struct RingChange {
    std::string group;
    config::Balance balance = config::Balance::maglev;
    std::uint32_t slots = 0;
    ChangeStatus change;
};

struct MapsStatus {
    std::vector<MapStatus> maps;
    std::vector<RingChange> changes;
};

class Observation;     // control/observation.h
struct MetricsSource;  // control/metrics_source.h

/// What the API needs of a node. The daemon's Controller implements it; tests use a fake.
class NodeView {
 public:
    virtual ~NodeView() = default;
    virtual NodeStatus status() = 0;
    [[nodiscard]] virtual NodeSummary summary() const = 0;
    /// Reads the configuration file again and puts it into force, whole or not at all.
    virtual Result<void> reload() = 0;
    /// The text of the configuration in force.
    virtual std::string config_text() = 0;
    /// One backend, without the cost of all; `owner` is a group or a service. Errc::not_found.
    virtual Result<BackendStatus> backend(const std::string& owner, const IpAddress& address) = 0;
    /// In force when it returns. Errors: not_found; invalid for orders that contradict themselves;
    /// conflict for a retired backend.
    virtual Result<BackendStatus> order(const BackendOrder& order) = 0;
    /// One bounded step: some milliseconds at most. Errc::not_found for an unknown name.
    virtual Result<FlowPage> flows(const FlowQuery& query, FlowAction action,
                                   std::uint64_t cursor) = 0;
    virtual Result<FlowAnswer> flow(const FlowTuple& tuple) = 0;
    /// Errc::not_found for an unknown name; a group or backend without checks is not in it.
    virtual Result<HealthStatus> health(const HealthQuery& query) = 0;
    virtual AnnounceStatus announcements() = 0;
    /// Ordered when it returns; routers are told as soon as can be. Errc::conflict where nothing
    /// announces.
    virtual Result<AnnounceStatus> order_node(const NodeOrder& order) = 0;
    virtual MapsStatus maps() = 0;
    virtual Configurations& configurations() = 0;
    virtual Observation& observation() = 0;
    virtual const observe::EventLog& events() = 0;
    /// All that /metrics tells, cheap to gather however large the configuration is.
    virtual MetricsSource metrics() = 0;
    /// Where packets got lost: of the interfaces attached, of the machine, and by our decision.
    virtual Result<node::LossCounts> losses() = 0;
};

}  // namespace sluice::control
