// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The tables of a freshly loaded object: where they lie, how large they are, and their content.
/// What the balancer and the agent have in common.

#include <cstddef>
#include <cstdint>

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

/// `cells` header templates; 0 for the agent.
Layout lay_out(const plan::Image& image, std::uint32_t cells);

/// Before the load: sizes of every map that the image decides. Errc::limit beyond 512 MiB.
Result<void> size_tables(BpfObject& object, const plan::Image& image, std::uint32_t cells);

/// After the load: VIPs, ports, services, prefixes, ranges and tunnel sources. What is live
/// (rings, slots, members, templates) is the caller's.
Result<void> fill_tables(const BpfObject& object, const plan::Image& image, const Layout& layout);

}  // namespace sluice::kernel
