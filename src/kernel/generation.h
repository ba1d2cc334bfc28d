// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One generation in the kernel: the balancer's programs, specialised for one configuration, and
/// the maps that belong to it. Loading touches nothing that carries traffic; instance.h makes it
/// live.
///
///   load(image, state)   -> programs verified, tables filled, members not yet resolved
///   adopt(directory)     -> one that an earlier daemon has pinned, as it is
///   set_cell(member, ..) -> header templates, also while packets flow
///   add_member, lay_ring -> what a configuration adds without another program, from the reserves
///   pin(directory)       -> survives this process

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/bpf_object.h"
#include "kernel/mapped_value.h"
#include "kernel/pinnable.h"
#include "kernel/state_maps.h"
#include "kernel/tables.h"
#include "plan/image.h"

namespace sluice::kernel {

class Generation;

/// What the programs of a tap (tap.h) need besides.
struct TapMaps {
    slc_tap conditions{};
    int events_fd = -1;
    int counts_fd = -1;
    int scratches_fd = -1;
};

struct LoadOptions {
    InstructionSet isa = InstructionSet::v3;
    std::string next;                    ///< bpffs path of the operator's own program, or empty.
    std::string* verbose_log = nullptr;  ///< Receives the verifier's whole log.
    /// Immutable tables that would say the same are taken from it, with the image it was made of.
    const Generation* share = nullptr;
    const plan::Image* share_image = nullptr;
    bool canary = false;           ///< Counts in the canary's counters.
    const TapMaps* tap = nullptr;  ///< load_code() only: with SLC_FEATURE_TAP.
};

class Generation : public Pinnable {
 public:
    /// Errors: those of BpfObject::load; not_found, denied or conflict for `next`.
    static Result<Generation> load(const plan::Image& image, const StateMaps& state,
                                   const LoadOptions& options);
    /// The programs of this daemon over the very tables of a generation, slots included: for code
    /// that changed alone.
    static Result<Generation> load_code(const Generation& of, const StateMaps& state,
                                        const LoadOptions& options);
    /// What is pinned at `directory`, as packets find it. Errors: not_found, invalid for pins of
    /// another layout.
    static Result<Generation> adopt(const std::string& directory, InstructionSet isa);

    [[nodiscard]] int program_fd() const override { return program_fd("slc_lb"); }
    [[nodiscard]] int program_fd(const std::string& name) const;
    [[nodiscard]] int map_fd(const std::string& name) const;
    [[nodiscard]] const std::vector<ProgramInfo>& programs() const { return infos_; }
    /// Constants as loaded.
    [[nodiscard]] const slc_node& node() const { return node_; }
    /// The value of slc_live.
    [[nodiscard]] std::span<std::byte> live_bytes() const {
        return live_.records<std::byte>(0, live_size_);
    }

    /// Puts a template where packets of `variant` to `member` find it: a fresh cell is written,
    /// then the member's index moves to it. A null template makes the member unresolved.
    /// Errors: limit when no cell is free (call reclaim() and try again).
    Result<void> set_cell(std::uint32_t member, std::uint32_t variant, const slc_template* header);
    /// As packets find it; null where the member is not resolved. Good until set_cell() of another
    /// template and reclaim().
    [[nodiscard]] const slc_template* header(std::uint32_t member, std::uint32_t variant) const;
    void set_local(std::uint32_t member, bool local);
    /// What is remembered for a member that is down is void.
    void set_down(std::uint32_t member, bool down);
    /// Frees the cells that were replaced before the last grace period; waits for one RCU grace
    /// period (membarrier(2), some milliseconds) when there are any.
    void reclaim();

    /// What is said of a member beside cells and flags, which stay. Errc::limit beyond the table.
    Result<void> set_member(std::uint32_t id, const slc_member& record);
    /// A member that no slot and no flow names: its cells are free after the next grace period.
    void clear_member(std::uint32_t id);
    /// Slots that nobody reads, for a ring that is about to move there; Errc::limit.
    Result<std::uint32_t> take_slots(std::uint32_t count);
    /// Slots that were taken last and are not needed after all.
    void give_back_slots(std::uint32_t offset) { slots_used_ = offset; }
    /// One store: packets find the ring there from now on.
    void set_ring(std::uint32_t index, std::uint64_t descriptor);
    Result<void> add_server_id(const plan::ImageServerId& id);
    void remove_server_id(const slc_server_id& key);
    void set_account(std::uint32_t index, const slc_account& bounds);  ///< `used` stays.
    /// Programs that are other code than those of the same name in `other`.
    [[nodiscard]] std::vector<std::string> programs_that_differ(const Generation& other) const;
    /// One stage alone: packets find that of `from` from one store on, those inside the old one
    /// finish there. Its pin in `directory` is replaced, too.
    Result<void> replace_stage(const std::string& program, const Generation& from,
                               const std::string& directory);

    [[nodiscard]] std::uint32_t free_cells() const {
        return static_cast<std::uint32_t>(free_cells_.size());
    }
    [[nodiscard]] std::uint32_t server_ids_room() const;  ///< Entries of slc_server_ids, all.
    [[nodiscard]] std::uint32_t free_slots() const { return node_.slots - slots_used_; }

    [[nodiscard]] std::span<slc_service> services() { return services_; }
    [[nodiscard]] std::span<const slc_service> services() const { return services_; }
    [[nodiscard]] std::span<std::uint64_t> slots() { return slots_; }
    [[nodiscard]] std::span<const std::uint64_t> slots() const { return slots_; }
    [[nodiscard]] std::span<std::uint64_t> rings() { return rings_; }
    [[nodiscard]] std::span<const std::uint64_t> rings() const { return rings_; }
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
    Generation() = default;
    Result<void> keep_descriptors(const BpfObject& object);
    Result<void> map_tables(std::size_t plan_size, std::size_t live_size);
    void fill_live(const plan::Image& image);
    Result<void> fill_stages(const LoadOptions& options);
    Result<void> set_stage(const std::string& program, int fd);
    [[nodiscard]] SharedTables shared_with(const plan::Image& image, const plan::Image& own,
                                           const Layout& layout) const;
    void find_free_cells();

    std::map<std::string, UniqueFd> maps_;  ///< By the object's names.
    std::map<std::string, UniqueFd> programs_;
    std::vector<ProgramInfo> infos_;
    slc_node node_{};
    std::size_t live_size_ = 0;
    MappedValue plan_;
    MappedValue live_;
    std::span<slc_service> services_;
    std::span<std::uint64_t> rings_;
    std::span<std::uint64_t> slots_;
    std::span<slc_member> members_;
    std::span<slc_template> templates_;
    std::span<slc_account> accounts_;
    std::uint32_t slots_used_ = 0;
    std::vector<std::uint32_t> free_cells_;
    std::vector<std::uint32_t> retired_cells_;  ///< Packets may still read them.
    std::vector<std::uint32_t> ageing_cells_;   ///< Retired before aged_since_: see reclaim().
    std::chrono::steady_clock::time_point aged_since_{};
};

/// Whether two descriptors are of one map.
bool is_same_map(int left, int right);

}  // namespace sluice::kernel
