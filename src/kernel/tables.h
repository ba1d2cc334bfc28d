// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The tables of a freshly loaded object: where they lie, how large they are, and their content.
/// What the balancer and the agent have in common.

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

#include "base/result.h"
#include "kernel/bpf_object.h"
#include "kernel/mapped_value.h"
#include "plan/image.h"

namespace sluice::kernel {

/// The values of slc_plan and slc_live (bpf/lib/maps.h).
struct Layout {
    slc_node node;  ///< The image's, with the place and size of every table.
    std::size_t plan_size = 0;
    std::size_t live_size = 0;
};

/// Records of the live tables, what may be added without another program included. All zero: as
/// many as the image has (the agent has no templates).
struct Capacity {
    std::uint32_t members = 0;
    std::uint32_t cells = 0;
    std::uint32_t slots = 0;
    std::uint32_t server_ids = 0;
};

/// Room for an eighth more backends, for the largest ring once more, and for every template twice:
/// each cell may be rewritten once before a grace period ends.
Capacity capacity_for(const plan::Image& image);

Layout lay_out(const plan::Image& image, const Capacity& capacity);

/// Before the load: sizes of every map that the image decides. Errc::limit beyond 512 MiB.
Result<void> size_tables(BpfObject& object, const plan::Image& image, const Capacity& capacity);

/// Maps that are another generation's too, and filled already.
struct SharedTables {
    std::set<std::string_view> names;
    [[nodiscard]] bool has(std::string_view name) const { return names.contains(name); }
};

/// After the load: VIPs, ports, services, prefixes, ranges and tunnel sources. What is live
/// (rings, slots, members, templates) is the caller's.
Result<void> fill_tables(const BpfObject& object, const plan::Image& image, const Layout& layout,
                         const SharedTables& shared = {});

/// One key of slc_server_ids.
Result<void> set_server_id(int map_fd, const plan::ImageServerId& id);

}  // namespace sluice::kernel
