// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The flow table in the kernel: one array map of buckets, memory-mapped, pinned in
/// <instance>/state as slc_flows_<epoch>_<shift>. A table of another size or tick gets a successor
/// beside it; the one before is then being left: the data plane asks it second and moves what it
/// finds there, until nothing lives in it any more and it is dropped. No flow is ever copied by
/// user space, so none is copied wrongly.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/mapped_value.h"
#include "plan/flow_plan.h"
#include "sluice/flow.h"

namespace sluice::kernel {

/// One table, mapped.
struct FlowTable {
    plan::FlowGeometry geometry;
    std::uint32_t epoch = 0;
    UniqueFd fd;
    MappedValue memory;

    [[nodiscard]] std::span<slc_flow_bucket> buckets() const {
        return memory.records<slc_flow_bucket>(0, std::size_t{1} << geometry.log2);
    }
    /// Now, in ticks of this table: what the data plane computes.
    [[nodiscard]] std::uint32_t tick() const;
};

class FlowMap {
 public:
    /// Finds what is pinned in `directory`, or creates a table. An empty name: nothing is pinned.
    /// A pinned table of another geometry stays the current one until fit().
    static Result<FlowMap> open(const std::string& directory, const plan::FlowGeometry& geometry);

    /// Makes a successor when the geometry differs and no table is being left; generations loaded
    /// later use it. False when a table is still being left: the wish must come again.
    Result<bool> fit(const plan::FlowGeometry& geometry);

    [[nodiscard]] FlowTable& current() { return current_; }
    [[nodiscard]] const FlowTable& current() const { return current_; }
    [[nodiscard]] const std::optional<FlowTable>& leaving() const { return leaving_; }
    /// After the last generation that asks it is gone.
    void drop_leaving();
    /// Back to the table before the last fit(), whose generation came to nothing.
    void undo_fit();

 private:
    Result<FlowTable> create(const plan::FlowGeometry& geometry, std::uint32_t epoch) const;
    [[nodiscard]] std::string pin_of(const FlowTable& table) const;

    std::string directory_;
    FlowTable current_;
    std::optional<FlowTable> leaving_;
};

}  // namespace sluice::kernel
