// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A configuration together with what it needs to be live: image, ids, programs and tables in the
/// kernel, next hops, changes in progress. The controller holds the one in force, those before it
/// that are still loaded, and a canary.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/model.h"
#include "control/changes.h"
#include "control/flow_sweep.h"
#include "kernel/generation.h"
#include "kernel/twin.h"
#include "kernel/xdp_link.h"
#include "plan/ids.h"
#include "plan/image.h"
#include "plan/inherit.h"
#include "plan/next_hop.h"

namespace sluice::control {

struct Loaded {
    config::Config config;
    std::string text;          ///< What config was parsed from.
    std::string digest;        ///< SHA-256 of text, hex.
    std::string file;          ///< What it is called in messages.
    std::string directory;     ///< Where its relative paths begin.
    std::uint32_t number = 0;  ///< Of the configuration, in history.
    std::uint32_t pinned = 0;  ///< gen/<pinned>: where its programs and tables are.
    plan::Image image;
    plan::IdStore ids;
    std::optional<kernel::Generation> generation;
    std::optional<kernel::Twin> twin;  ///< Once something was proven against it.
    std::vector<kernel::Attachment> attachments;
    std::map<IpAddress, plan::NextHop> hops;
    std::map<IpAddress, std::vector<std::size_t>> members_at;  ///< Index into image.members.
    std::map<std::uint32_t, IpAddress> addresses;              ///< By member id.
    std::optional<std::uint64_t> table_seed;  ///< Nothing: an earlier daemon had it.
    std::uint64_t address_revision = 0;       ///< Of the node's addresses that it was built with.
    std::set<IpAddress> unwritten;            ///< Changes that found no free header template.
    plan::LiveRings before;                   ///< What packets read when it was compiled.
    Wanted wanted;                            ///< Slots as they shall be, until it is live.
    std::optional<Changes> changes;
    plan::Instant since{0};           ///< When it became live.
    std::set<std::uint32_t> unnamed;  ///< Retired members that no slot named a pass ago.
    /// Of retired members, by member name: what packets call them.
    std::map<std::string, config::ServerId> retired_ids;
    FlowSweep::Lifetimes lifetimes;

    /// After image.members has changed.
    void index_members();
    [[nodiscard]] std::set<IpAddress> watched() const;
    /// Of its backends.
    [[nodiscard]] std::set<std::string> member_names() const;
    /// Who answers for a member's packets: the generation's own record of it.
    [[nodiscard]] Changes::Scene scene(const plan::Overrides& overrides) {
        return {config, ids, overrides, image, *generation};
    }
};

/// The owner of every slot when all transitions are over, for one ring after the other as the image
/// lays them out.
Wanted wanted_of(const Loaded& loaded, const plan::Overrides& overrides);

/// Members that are down, or were when they were removed (`before`, may be null), are marked so:
/// what is remembered for them is void.
void mark_dead(Loaded& next, const Loaded* before, const plan::Overrides& overrides);

/// What packets call members that are retired now, or still are: as long as they are.
std::map<std::string, config::ServerId> retired_ids_of(
    const Loaded& before, const std::vector<std::pair<std::string, IpAddress>>& retired);

/// A flow that was refused while a ring was being prepared holds its slot in the new one.
void merge_refusals(std::span<std::uint64_t> old, std::span<std::uint64_t> fresh);
/// The same for all rings; and what groups use of the flow table.
void take_over_refusals(Loaded& next, Loaded& before);
void take_over_accounts(Loaded& next, Loaded& before);

/// How an address is reached now, into every template of its members.
Result<void> write_hop(Loaded& loaded, const IpAddress& address, plan::NextHop hop);

}  // namespace sluice::control
