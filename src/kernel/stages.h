// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The stages behind tail calls: which program lies in which slot of slc_stages, and what asks for
/// it. Generations and their twins are loaded by it.

#include <cstdint>

#include "sluice/types.h"

namespace sluice::kernel {

/// `slot` is enum slc_tail; of `features` one must be there; 0 means always.
struct Stage {
    const char* program;
    std::uint32_t slot;
    std::uint32_t features;

    [[nodiscard]] bool needed(const slc_node& node) const {
        return features == 0 || (node.features & features) != 0;
    }
};

/// Maps and constants of a tap (tap.h); all other programs are loaded without them.
inline constexpr const char* kTapMaps[] = {"slc_tap_events", "slc_tap_counts", "slc_tap_scratches",
                                           ".rodata.tap"};

inline constexpr std::uint32_t kForwards =
    SLC_FEATURE_IPIP | SLC_FEATURE_GRE | SLC_FEATURE_GUE | SLC_FEATURE_L2;
inline constexpr Stage kStages[] = {
    {"slc_icmp", 0, 0},
    {"slc_frag", 1, 0},
    {"slc_ext", 2, SLC_FEATURE_IP6},
    {"slc_too_big", 3, kForwards},
    {"slc_decap", 4, SLC_FEATURE_DECAP},
    {"slc_follow", 5, SLC_FEATURE_TRACKING},
    {"slc_lb6", 6, SLC_FEATURE_IP6},
    {"slc_reject", 7, SLC_FEATURE_REJECT},
};

}  // namespace sluice::kernel
