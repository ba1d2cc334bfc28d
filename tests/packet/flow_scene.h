// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A packet in a situation: how its slot is marked, what the flow table holds of its flow and of
/// others, how much room there is; on the bench of configs/flows.yaml. And what became of all of
/// it.

#include <optional>
#include <string>
#include <vector>

#include "sluice/flow.h"
#include "tests/packet/harness.h"

namespace sluice::packet {

/// Backends by their part in a change. `other` is in another group.
enum class Role { nobody, current, previous, third, other };
inline constexpr const char* kBackendOf[] = {"", "10.0.0.21", "10.0.0.22", "10.0.0.23",
                                             "10.0.0.31"};
const char* name_of(Role role);

enum class Sent {
    syn,
    syn_ack,
    ack,
    fin,
    rst,
    udp,
    error_about_tcp,
    error_about_udp,
    first_part_of_syn,
    first_part_of_tcp,
    first_part_of_udp,
};
inline constexpr Sent kAllSent[] = {
    Sent::syn,
    Sent::syn_ack,
    Sent::ack,
    Sent::fin,
    Sent::rst,
    Sent::udp,
    Sent::error_about_tcp,
    Sent::error_about_udp,
    Sent::first_part_of_syn,
    Sent::first_part_of_tcp,
    Sent::first_part_of_udp,
};
const char* name_of(Sent sent);
bool is_udp(Sent sent);
bool is_syn(Sent sent);
bool is_error(Sent sent);

/// An entry of the packet's own flow.
struct Kept {
    slc_u32 flow_class = SLC_FLOW_ESTABLISHED;
    Role role = Role::third;
    int left = 100;  ///< Ticks; below 0: it expired so many ago.
    bool operator==(const Kept&) const = default;
};

enum class Room { free, bucket_full, group_full, pool_full };

/// Ticks of the lifetimes in flows.yaml: 2^32 ns each, for 75 s, 900 s, 120 s and 60 s.
inline constexpr int kLifetime[] = {18, 210, 28, 14};

struct Situation {
    std::string tracking = "marked";  ///< A service of flows.yaml, but for its family.
    bool six = false;
    Sent sent = Sent::ack;
    std::uint64_t flags = SLC_SLOT_MARKED | SLC_SLOT_OPEN;
    Role current = Role::current;
    Role previous = Role::previous;
    std::optional<Kept> kept = {};
    std::optional<Kept> kept_in_old = {};  ///< In the table that is being left.
    Role dead = Role::nobody;              ///< Is DOWN.
    Room room = Room::free;
};
std::string text_of(const Situation& situation);

struct Seen {
    Role role = Role::nobody;  ///< Where it went; nobody: it was dropped.
    Reason reason = Reason::NONE;
    std::vector<Kept> kept;  ///< Entries of its flow, as they lie in the bucket.
    int places = 0;          ///< Of the bucket's eight that are taken.
    std::vector<Kept> kept_in_old;
    bool refused = false;  ///< The slot's flag.
    FlowCounts counts;
    int used = 0;  ///< By how much the group's account grew.
    int pool = 0;
    bool operator==(const Seen&) const = default;
};
std::string text_of(const Seen& seen);

/// The packet of a situation, and the flow that it belongs to.
Packet packet_of(const Situation& situation);
Flow flow_of(const Situation& situation);

/// Makes the bench what the situation says; the slots of all flows alike.
void arrange(Bench& bench, const Situation& situation);
/// arrange(), the packet, and what came of it; again when a tick has passed in between.
Seen see(Bench& bench, const Situation& situation);

}  // namespace sluice::packet
