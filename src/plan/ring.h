// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Rings: which member owns which slot. Pure functions of the members and nothing else, so that all
/// nodes of a fleet compute the same ring from the same revision.

#include <cstdint>
#include <span>
#include <vector>

#include "sluice/limits.h"

namespace sluice::plan {

/// Most that a member of a ring may weigh: products of weight and cost stay in 64 bits.
inline constexpr std::uint32_t kMostRingWeight = 16 * SLC_MAX_WEIGHT;

/// A member that may own slots. `key` decides its place in the ring and must be equal on all nodes:
/// it is derived from the backend's address, never from a local id.
struct RingMember {
    std::uint64_t key = 0;
    std::uint32_t member = 0;  ///< Member id, what the slots will hold.
    std::uint32_t weight = 1;  ///< 0 owns nothing; at most kMostRingWeight.
};

/// What a member of a group is to its ring.
enum class RingRole {
    owns,      ///< Owns slots.
    leaves,    ///< Owns none: the ring is built without it (drain, or no weight).
    replaced,  ///< The ring is built with it, and others stand in for it in its own slots (failed).
};

struct RingCandidate {
    RingMember member;
    RingRole role = RingRole::owns;
};

enum class RingKind { maglev, rendezvous };

/// The owner of each of 2^log2 slots: a function of the revision and of health alone, whatever came
/// before. Nobody owns a slot (0) when no candidate may. The stand-ins come by rendezvous, so that
/// a failure moves the failed member's slots only, and failures in any order lead to the same ring.
std::vector<std::uint32_t> build_owners(std::span<const RingCandidate> candidates, RingKind kind,
                                        std::uint32_t log2);

/// Smallest power of two with SLC_RING_SLOTS_PER_MEMBER slots for each member and
/// SLC_RING_SLOTS_FOR_LIGHTEST for the lightest one, within SLC_MIN_RING_LOG2..SLC_MAX_RING_LOG2.
std::uint32_t ring_log2(std::span<const RingMember> members);

/// Maglev (Eisenbud et al., NSDI 2016, section 3.4) on 2^log2 slots with odd skips, weights by
/// taking turns in proportion: every member gets its exact share rounded down or up. A change moves
/// at most some 3 % of the slots needlessly (tests/unit/plan/ring_test.cpp).
/// Members may come in any order: the result depends on the set only. A key that comes several
/// times counts once, with its greatest weight. Returns 2^log2 member ids; all zero when no member
/// has weight.
std::vector<std::uint32_t> build_maglev(std::span<const RingMember> members, std::uint32_t log2);

/// Weighted rendezvous (Schindelhauer and Schomaker 2005): slot s goes to the member with the least
/// -ln(u(s, key)) / weight. A removed member moves only its own slots, a changed weight only slots
/// to or from that member.
std::vector<std::uint32_t> build_rendezvous(std::span<const RingMember> members,
                                            std::uint32_t log2);

}  // namespace sluice::plan
