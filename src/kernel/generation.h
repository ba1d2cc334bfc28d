// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One generation in the kernel: the balancer's programs, specialised for one configuration, and
/// the maps that belong to it. Loading touches nothing that carries traffic; instance.h makes it
/// live.
///
///   load(image, state)   -> programs verified, tables filled, members not yet resolved
///   set_cell(member, ..) -> header templates, also while packets flow
///   pin(directory)       -> survives this process

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/bpf_object.h"
#include "kernel/mapped_value.h"
#include "kernel/pinnable.h"
#include "kernel/state_maps.h"
#include "kernel/tables.h"
#include "plan/image.h"

namespace sluice::kernel {

struct LoadOptions {
    InstructionSet isa = InstructionSet::v3;
    std::string next;                    ///< bpffs path of the operator's own program, or empty.
    std::string* verbose_log = nullptr;  ///< Receives the verifier's whole log.
};

class Generation : public Pinnable {
 public:
    /// Errors: those of BpfObject::load; not_found, denied or conflict for `next`.
    static Result<Generation> load(const plan::Image& image, const StateMaps& state,
                                   const LoadOptions& options);

    [[nodiscard]] int program_fd() const override { return object_.program_fd("slc_lb"); }
    [[nodiscard]] int program_fd(const char* name) const { return object_.program_fd(name); }
    [[nodiscard]] int map_fd(const char* name) const { return object_.map_fd(name); }
    [[nodiscard]] std::vector<ProgramInfo> programs() const { return object_.programs(); }

    /// Puts a template where packets of `variant` to `member` find it: a fresh cell is written,
    /// then the member's index moves to it. A null template makes the member unresolved.
    /// Errors: limit when no cell is free (call reclaim() and try again).
    Result<void> set_cell(std::uint32_t member, std::uint32_t variant, const slc_template* header);
    void set_local(std::uint32_t member, bool local);
    /// What is remembered for a member that is down is void.
    void set_down(std::uint32_t member, bool down);
    /// Frees the cells that were replaced before the last grace period; waits for one RCU grace
    /// period (membarrier(2), some milliseconds) when there are any.
    void reclaim();

    [[nodiscard]] std::span<slc_service> services() { return services_; }
    [[nodiscard]] std::span<std::uint64_t> slots() { return slots_; }
    [[nodiscard]] std::span<const std::uint64_t> slots() const { return slots_; }
    [[nodiscard]] std::span<std::uint64_t> rings() { return rings_; }
    [[nodiscard]] std::span<slc_member> members() { return members_; }
    [[nodiscard]] std::span<const slc_member> members() const { return members_; }
    [[nodiscard]] std::span<const slc_template> templates() const { return templates_; }
    [[nodiscard]] std::span<slc_account> accounts() { return accounts_; }
    [[nodiscard]] std::span<const slc_account> accounts() const { return accounts_; }

    struct TableSize {
        std::string name;
        bool live = false;  ///< Written while packets read.
        std::uint64_t records = 0;
        std::uint64_t bytes = 0;
    };
    /// The tables of this generation.
    [[nodiscard]] std::vector<TableSize> table_sizes() const;

    /// Pins every map and program into `directory`, which must exist on a bpffs.
    [[nodiscard]] Result<void> pin(const std::string& directory) const override;

 private:
    explicit Generation(BpfObject object) : object_(std::move(object)) {}
    Result<void> fill_live(const plan::Image& image, const Layout& layout);
    Result<void> fill_stages(const plan::Image& image, const LoadOptions& options);

    BpfObject object_;
    slc_node node_{};
    MappedValue plan_;
    MappedValue live_;
    std::span<slc_service> services_;
    std::span<std::uint64_t> rings_;
    std::span<std::uint64_t> slots_;
    std::span<slc_member> members_;
    std::span<slc_template> templates_;
    std::span<slc_account> accounts_;
    std::vector<std::uint32_t> free_cells_;
    std::vector<std::uint32_t> retired_cells_;  ///< Packets may still read them.
    std::vector<std::uint32_t> ageing_cells_;   ///< Retired before aged_since_: see reclaim().
    std::chrono::steady_clock::time_point aged_since_{};
};

}  // namespace sluice::kernel
