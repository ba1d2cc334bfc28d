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

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernel/generation.h"
#include "kernel/mapped_value.h"
#include "kernel/state_maps.h"

namespace sluice::kernel {

struct TwinAnswer {
    int action = 0;  ///< XDP_*; see answer.rec.verdict too.
    slc_proof answer{};
    std::vector<std::uint8_t> frame;  ///< As it would leave.
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
    void set_rings(std::span<const std::uint64_t> descriptors);
    /// Members that are not resolved yet get a template all the same: a proof is of what will be
    /// decided, not of which neighbours have answered by now. `header` makes one of 1,500 bytes.
    void set_cell(std::uint32_t member, std::uint32_t variant, const slc_template& header);
    /// No flow, no fragment, full limiters, no use of shares.
    Result<void> clear_state();
    /// Flows as they are remembered now, and what they use of shares.
    void copy_flows(const FlowMap& flows);

    /// `clock_ns`: CLOCK_MONOTONIC as the packet shall meet it. `ifindex` 0: any.
    Result<TwinAnswer> run(std::span<const std::uint8_t> frame, std::uint64_t clock_ns,
                           std::uint32_t ifindex = 0);

 private:
    explicit Twin(BpfObject object) : object_(std::move(object)) {}

    BpfObject object_;
    slc_node node_{};
    MappedValue live_;
    MappedValue proof_;
    MappedValue flows_;
};

}  // namespace sluice::kernel
