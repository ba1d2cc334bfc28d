// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The proof twin of a generation: its programs, loaded with SLC_FEATURE_PROOF, over copies of all
/// state, and run by the kernel's test run only. It is never attached and never pinned; no live
/// counter, flow, limiter or slot knows of it.
///
///   load()         from the generation's image, constants and immutable tables
///   copy_live()    rings, slots, members, templates as packets read them now
///   set_slots()    or as they shall be when every transition is over
///   clear_state() / copy_flows()
///   run(), run(), ...  with a clock of the caller's

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernel/generation.h"
#include "kernel/mapped_value.h"
#include "kernel/state_maps.h"
#include "sluice/proof.h"

namespace sluice::kernel {

struct TwinAnswer {
    int action = 0;  ///< XDP_*; see answer.rec.verdict too.
    slc_proof answer{};
    std::vector<std::uint8_t> frame;  ///< As it would leave.
    bool by_interface = false;        ///< It was run as received by the interface asked for.
};

/// What a flow table knows of one flow.
struct RememberedFlow {
    std::uint32_t member = 0;
    std::uint32_t flow_class = 0;  ///< enum slc_flow_class
    std::chrono::nanoseconds left{0};
    bool is_leaving = false;  ///< In the table that is being left.
    bool operator==(const RememberedFlow&) const = default;
};

class Twin {
 public:
    /// Shares the immutable maps of `generation`. Errors: those of BpfObject::load; limit when
    /// there is no memory for the copies.
    static Result<Twin> load(const Generation& generation, const StateMaps& state,
                             const LoadOptions& options);

    void copy_live(const Generation& generation);
    /// The whole slot pool.
    void set_slots(std::span<const std::uint64_t> slots);
    /// What packets call their backends: these, and no others. At first those of the generation.
    Result<void> set_server_ids(std::span<const plan::ImageServerId> ids);
    void set_rings(std::span<const std::uint64_t> descriptors);
    /// Members that are not resolved yet get a template all the same: a proof is of what will be
    /// decided, not of which neighbours have answered by now. `header` makes one of 1,500 bytes.
    /// Without room for it the member stays unresolved.
    void set_cell(std::uint32_t member, std::uint32_t variant, const slc_template& header);
    /// A member that the generation does not have yet; its cells are cleared.
    void set_member(std::uint32_t id, const slc_member& record);
    /// No flow, no fragment, full limiters, no use of shares.
    Result<void> clear_state();
    /// Flows as they are remembered now, and what they use of shares.
    void copy_flows(const FlowMap& flows);
    /// Those of one bucket, and nothing of shares: for a packet whose hash is known.
    void copy_flow(const FlowMap& flows, std::uint64_t hash);
    /// Fragments as they are remembered now.
    Result<void> copy_frags(const StateMaps& state);

    /// `clock_ns`: CLOCK_MONOTONIC as the packet shall meet it. `ifindex` 0: any; an interface that
    /// the kernel's test run does not take, because it is gone or has no queue for XDP, is any too.
    /// Errors: invalid for a frame that no interface can receive.
    Result<TwinAnswer> run(std::span<const std::uint8_t> frame, std::uint64_t clock_ns,
                           std::uint32_t ifindex = 0);

    // What the twin's tables say now.

    /// The flow that packets of this hash and family of groups (slc_member) follow; nothing when it
    /// is not remembered.
    [[nodiscard]] std::optional<RememberedFlow> flow(std::uint64_t hash, std::uint32_t family,
                                                     std::uint64_t clock_ns) const;
    [[nodiscard]] std::uint64_t ring(std::uint32_t index) const;  ///< Its descriptor.
    /// Null where the member is not resolved.
    [[nodiscard]] const slc_template* header(std::uint32_t member, std::uint32_t variant) const;

 private:
    Result<void> copy_server_ids(const Generation& generation);
    void clear_server_ids();
    explicit Twin(BpfObject object) : object_(std::move(object)) {}
    Result<void> share_maps(const Generation& generation);
    Result<void> size_maps(const Generation& generation);
    Result<void> map_memory(std::size_t live_size);
    Result<void> fill_stages();
    Result<void> fill_limiters();
    void find_free_cells();
    void count_used();
    [[nodiscard]] std::span<slc_flow_bucket> flows() const;
    [[nodiscard]] std::span<slc_flow_bucket> flows_old() const;
    [[nodiscard]] std::span<slc_member> members() const;
    [[nodiscard]] std::span<slc_account> accounts() const;

    BpfObject object_;
    slc_node node_{};
    MappedValue live_;
    MappedValue proof_;
    MappedValue flows_;
    MappedValue flows_old_;  ///< Mapped where a table is being left.
    MappedValue frags_;
    std::vector<std::uint32_t> free_cells_;
    std::vector<std::uint8_t> out_;  ///< Where frames come back.
    int cpu_ = -1;                   ///< All runs are on one: limiters are per CPU.
    bool is_clean_ = false;          ///< Nothing has run, and no flow was copied, since it was so.
};

}  // namespace sluice::kernel
