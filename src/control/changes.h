// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The planned changes of one generation: a transition for each of its rings, aimed at what the
/// configuration and the overrides want, and the rings' way back to their proper size.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "config/model.h"
#include "kernel/generation.h"
#include "plan/ids.h"
#include "plan/image.h"
#include "plan/inherit.h"
#include "plan/transition.h"

namespace sluice::control {

/// Slots of all rings as they shall be when every transition is over. Rings of an image, in its
/// order, need not lie here as they do there.
struct Wanted {
    std::vector<std::uint64_t> slots;
    std::vector<std::uint32_t> offsets;  ///< By the ring's index.
};

class Changes {
 public:
    /// What aiming needs to know of the generation. Referred to for the time of a call only.
    struct Scene {
        const config::Config& config;
        const plan::IdStore& ids;
        const plan::Overrides& overrides;
        plan::Image& image;
        kernel::Generation& generation;
    };

    /// Rings that continue one of `before` go on where it was; the others are taken as they are.
    /// `live` describes the rings of `before`.
    Changes(const Scene& scene, plan::Instant now, const Changes* before,
            const plan::LiveRings& live);

    /// Towards what is wanted now, for one group or all; by the group's own deadline.
    void aim(const Scene& scene, plan::Instant now,
             std::optional<std::size_t> group = std::nullopt);
    /// The same for all groups, right after a swap: `wanted` is known, so that no ring is built
    /// twice.
    void aim_at(const Scene& scene, const Wanted& wanted, plan::Instant now);
    /// A deadline for what concerns one member of the group.
    void limit(std::size_t group, std::uint32_t member, plan::Instant deadline);
    void step(const Scene& scene, plan::Instant now);
    /// No window closes from now on.
    void hold_open();
    /// Slots that somebody else has marked are watched as if they were found so after a restart.
    void adopt_marks(plan::Instant now);

    [[nodiscard]] std::size_t size() const { return rings_.size(); }
    /// By the ring's index in the image.
    [[nodiscard]] plan::RingTransition& ring(std::size_t index) { return rings_[index]; }
    [[nodiscard]] const plan::RingTransition& ring(std::size_t index) const {
        return rings_[index];
    }
    /// Indexes of the rings in which members of a group may be: its own, and those of groups that
    /// fall back on it.
    [[nodiscard]] const std::vector<std::size_t>& rings_of(std::size_t group) const;
    [[nodiscard]] bool settled() const;
    [[nodiscard]] plan::TransitionCounts counts_of(std::size_t group, std::uint32_t member,
                                                   bool is_remembered) const;
    [[nodiscard]] bool names(std::size_t group, std::uint32_t member) const;
    /// Whether the member shall own slots of some ring. A deadline cuts flows of those only that
    /// shall not: others are where they belong, or moved needlessly.
    [[nodiscard]] bool shall_own(std::uint32_t member) const {
        return member < shall_own_.size() && shall_own_[member] != 0;
    }

    /// Whether a member's connections are void: failed, or taken out at once.
    static bool is_dead(const config::Group& group, const config::Backend& effective);

 private:
    void aim_ring(const Scene& scene, std::size_t index, const std::vector<std::uint32_t>& owners,
                  plan::Instant now);
    void add_dead(const Scene& scene, std::size_t group, std::vector<std::uint32_t>& dead) const;
    void note_owners(std::size_t ring, const std::vector<std::uint32_t>& owners);
    void shrink(const Scene& scene, std::size_t index);

    std::vector<plan::RingTransition> rings_;
    std::map<std::size_t, std::vector<std::size_t>> by_group_;
    std::vector<std::vector<std::uint32_t>> members_;  ///< Ids, by group and backend.
    /// Of note_owners(): the round in which each member was seen last.
    std::vector<std::uint32_t> seen_;
    std::uint32_t round_ = 0;
    std::vector<std::uint32_t> shall_own_;  ///< Rings in which it owns a slot, by member id.
    std::vector<std::vector<std::uint32_t>> owners_in_;  ///< Who they are, by ring.
    std::map<std::pair<std::size_t, config::Balance>, plan::TransitionTimes> times_;
};

/// The words of one ring of a generation.
std::span<std::uint64_t> slots_of(kernel::Generation& generation, const plan::ImageRing& ring);

/// The rings of a generation as they are now.
plan::LiveRings live_rings(const config::Config& config, const plan::Image& image,
                           const plan::IdStore& ids, kernel::Generation& generation);

}  // namespace sluice::control
