// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A validated configuration as values. `parse` (config/parse.h) is the only way to make one from
/// text, and what it returns satisfies every rule of docs/reference/configuration.md: the rest of
/// Sluice does not check again. Order is the order of the file.

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "config/announce.h"
#include "config/health.h"

namespace sluice::config {

enum class XdpMode { automatic, native, generic };
enum class Protocol { tcp, udp, both };
enum class Forward { ipip, gre, gue, l2, local };
enum class Balance { maglev, rendezvous };
enum class Affinity { five_tuple, source, source_port };
/// drain: no new flows, those it has go on. maint: taken out at once, its connections end. down:
/// failed, as maint; never in a file, said by health checks or an operator.
enum class BackendState { ready, drain, maint, down };
enum class Unmatched { drop, pass };
enum class Tracking { transitions, always, never };
/// What a failed backend means to its slots: others take them at once, or as if it were drained.
enum class OnDown { replace, keep };
/// How packets name their backend themselves (enum slc_id_format).
enum class RouteBy { ring, tcp_server_id, quic_lb, katran };

/// A place in the file, for messages about things found after parsing. All marks are equal: where a
/// thing stands in its file does not make it another thing.
struct Mark {
    std::uint32_t line = 0;    ///< 1-based; 0: from a default.
    std::uint32_t column = 0;  ///< 1-based.
    friend bool operator==(const Mark& /*left*/, const Mark& /*right*/) { return true; }
};

/// Host byte order, inclusive. `any` has first = 0 and last = 65535 and is a class of its own.
struct Ports {
    std::uint16_t first = 0;
    std::uint16_t last = 0;
    bool any = false;

    [[nodiscard]] bool is_single() const { return !any && first == last; }
    [[nodiscard]] bool overlaps(const Ports& other) const {
        return first <= other.last && other.first <= last;
    }
    bool operator==(const Ports&) const = default;
};

/// What packets of a service that routes by ids call a backend: its significant bytes, network byte
/// order, without leading zeros (one zero byte for 0).
struct ServerId {
    std::uint8_t len = 0;  ///< Bytes in use, 1..15.
    std::array<std::uint8_t, 15> bytes{};
    bool operator==(const ServerId&) const = default;
};

struct Backend {
    IpAddress address;
    std::uint32_t weight = 1;  ///< 0..SLC_MAX_WEIGHT; 0 takes no new connections.
    BackendState state = BackendState::ready;
    std::optional<ServerId> server_id;  ///< Unique in its group.
    Mark mark;
    bool operator==(const Backend&) const = default;
};

/// Parts of the flow table, in hundredths of it.
struct FlowShare {
    std::uint32_t share = 0;     ///< Nobody else may take it: 0..100, all groups together too.
    std::uint32_t ceiling = 50;  ///< At most, share included: share..100, at least 1.
    bool operator==(const FlowShare&) const = default;
};

/// How long a flow is remembered after its last packet. 1 s..SLC_MAX_LIFETIME_S.
struct Lifetimes {
    std::chrono::seconds embryonic{75};     ///< Over 63 s: a server's SYN-ACK retries.
    std::chrono::seconds established{900};  ///< Also how long a change stays open for TCP.
    std::chrono::seconds closing{120};
    std::chrono::seconds udp{60};  ///< Also how long a change stays open for UDP.
    bool operator==(const Lifetimes&) const = default;
};

/// Routing by what a packet says itself.
struct Routing {
    RouteBy by = RouteBy::ring;
    std::uint8_t rotation = 0;       ///< quic_lb: configuration rotation, 0..6.
    std::uint8_t server_id_len = 0;  ///< quic_lb: bytes, 1..15.
    bool operator==(const Routing&) const = default;
};

/// Backends that one or more services share. A service that lists backends of its own gets a group
/// of its own, named like the service.
struct Group {
    std::string name;
    Balance balance = Balance::maglev;
    std::vector<Backend> backends;
    OnDown on_down = OnDown::replace;
    /// A planned change is over after this long, whatever may then be cut; zero: it waits.
    std::chrono::seconds deadline{0};
    FlowShare flows;
    Health health{};
    bool anonymous = false;  ///< Made for one service's own list.
    Mark mark;
    bool operator==(const Group&) const = default;
};

struct Service {
    std::string name;
    IpPrefix vip;  ///< A host prefix for a single VIP; never with host bits.
    Protocol protocol = Protocol::tcp;
    Ports ports;
    Forward forward = Forward::ipip;
    std::size_t group = 0;              ///< Index into Config::groups; unused with Forward::local.
    Balance balance = Balance::maglev;  ///< The group's, unless overridden here.
    Affinity affinity = Affinity::five_tuple;
    Tracking tracking = Tracking::transitions;
    Lifetimes lifetimes;
    Routing routing;
    bool dscp_copy = false;
    std::uint8_t dscp = 0;  ///< Outer DSCP when not copied, 0..63.
    Unmatched unmatched =
        Unmatched::drop;   ///< Effective for the whole VIP; equal on all its services.
    std::string customer;  ///< Empty: none.
    std::string policy;
    bool announce = true;  ///< Whether its VIP is announced for its sake.
    Mark mark;
    bool operator==(const Service&) const = default;
};

struct Protected {
    IpPrefix prefix;
    std::string customer;
    std::string policy;
    Mark mark;
    bool operator==(const Protected&) const = default;
};

/// What a test says must become of a packet. What is not set may be anything.
struct Expectation {
    enum class Verdict { any, drop, pass, tx, redirect, forward };
    Verdict verdict = Verdict::any;    ///< forward: tx or redirect.
    std::string reason;                ///< Label (reasons.def).
    std::string service;               ///< Name.
    std::optional<IpAddress> backend;  ///< Where it is sent.
    bool same_backend = false;         ///< The one of the packet before in the same test.
    std::optional<Forward> encapsulation;
    Mark mark;
    bool operator==(const Expectation&) const = default;
};

/// A packet of a test: in the readable notation (packet/notation.h) or from a capture.
struct TestPacket {
    std::chrono::milliseconds after{0};  ///< Since the one before, on the test's own clock.
    std::string packet;                  ///< Empty: `pcap` says which.
    std::string pcap;                    ///< Path, relative to the configuration's directory.
    std::uint32_t frame = 0;             ///< Of the capture, 1-based; 0: each, one after the other.
    Expectation expect;
    Mark mark;
    bool operator==(const TestPacket&) const = default;
};

/// An assertion about a configuration: packets in order, on scratch copies of all state.
struct Test {
    std::string name;  ///< Unique.
    std::vector<TestPacket> packets;
    Mark mark;
    bool operator==(const Test&) const = default;
};

/// What a change must satisfy before it takes effect, beside the tests.
struct Proof {
    /// Most of the replayed live packets that may go elsewhere, 0..1; nothing: any number.
    std::optional<double> max_moved;
    Mark mark;
    bool operator==(const Proof&) const = default;
};

struct Decap {
    std::vector<IpPrefix> from;        ///< Sources of tunnels that are stripped.
    std::vector<IpAddress> addresses;  ///< Where they end; empty: every address of this node.
    bool operator==(const Decap&) const = default;
};

struct Node {
    std::string name;  ///< Instance name: the directory of its pins. Default "default".
    std::vector<std::string> interfaces;
    XdpMode xdp_mode = XdpMode::automatic;
    std::optional<IpPrefix> tunnel_source4;  ///< Outer sources; host bits carry entropy.
    std::optional<IpPrefix> tunnel_source6;
    std::array<std::uint64_t, 2> ring_secret{};  ///< Zero when not configured; sluiced warns then.
    bool has_ring_secret = false;
    std::string ring_secret_file;    ///< As written; load_secrets (config/load.h) reads it.
    std::uint32_t icmp_rate = 1000;  ///< Answers to ICMP a second and CPU; rejections too.
    std::uint16_t gue_port = 6080;
    /// Size of the flow table: a power of two, 512..67,108,864; eight bytes each.
    std::uint32_t flow_entries = 1u << 20;
    std::string next;  ///< bpffs path of a pinned XDP program, or empty.
    /// One packet of this many, with each reason, is sampled for the replay that proves a change: a
    /// power of two, 1..2^20; 0: none.
    std::uint32_t sample_one_in = 1024;
    std::uint32_t keep_generations = 3;  ///< Loaded beside the live one: 0..16.
    std::optional<Decap> decap;
    Mark mark;
    bool operator==(const Node&) const = default;
};

struct Config {
    Node node;
    std::vector<Group> groups;
    std::vector<Service> services;
    std::vector<Protected> protected_prefixes;
    Proof proof;
    std::vector<Test> tests;
    std::optional<Announce> announce{};
    bool operator==(const Config&) const = default;
};

/// The words of the configuration, the CLI, the API and the metrics.
const char* name_of(XdpMode value);
const char* name_of(Protocol value);
const char* name_of(Forward value);
const char* name_of(Balance value);
const char* name_of(Affinity value);
const char* name_of(BackendState value);
const char* name_of(Unmatched value);
const char* name_of(Tracking value);
const char* name_of(OnDown value);
const char* name_of(RouteBy value);
const char* name_of(Expectation::Verdict value);
std::string text_of(const Ports& ports);  ///< "80", "8000-8099" or "any".
std::string text_of(const ServerId& id);  ///< "7" up to four bytes, else "0x0102030405".

}  // namespace sluice::config
