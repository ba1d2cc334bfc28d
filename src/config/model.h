// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A validated configuration as values. `parse` (config/parse.h) is the only way to make one from
/// text, and what it returns satisfies every rule of docs/reference/configuration.md: the rest of
/// Sluice does not check again. Order is the order of the file.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"

namespace sluice::config {

enum class XdpMode { automatic, native, generic };
enum class Protocol { tcp, udp, both };
enum class Forward { ipip, gre, gue, l2, local };
enum class Balance { maglev, rendezvous };
enum class Affinity { five_tuple, source, source_port };
enum class BackendState { ready, drain, maint };
enum class Unmatched { drop, pass };

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

struct Backend {
    IpAddress address;
    std::uint32_t weight = 1;  ///< 0..SLC_MAX_WEIGHT; 0 takes no new connections.
    BackendState state = BackendState::ready;
    Mark mark;
    bool operator==(const Backend&) const = default;
};

/// Backends that one or more services share. A service that lists backends of its own gets a group
/// of its own, named like the service.
struct Group {
    std::string name;
    Balance balance = Balance::maglev;
    std::vector<Backend> backends;
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
    bool dscp_copy = false;
    std::uint8_t dscp = 0;  ///< Outer DSCP when not copied, 0..63.
    Unmatched unmatched =
        Unmatched::drop;   ///< Effective for the whole VIP; equal on all its services.
    std::string customer;  ///< Empty: none.
    std::string policy;
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
    std::uint32_t icmp_rate = 1000;  ///< Answers to ICMP per second and CPU.
    std::uint16_t gue_port = 6080;
    std::string next;  ///< bpffs path of a pinned XDP program, or empty.
    std::optional<Decap> decap;
    Mark mark;
    bool operator==(const Node&) const = default;
};

struct Config {
    Node node;
    std::vector<Group> groups;
    std::vector<Service> services;
    std::vector<Protected> protected_prefixes;
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
std::string text_of(const Ports& ports);  ///< "80", "8000-8099" or "any".

}  // namespace sluice::config
