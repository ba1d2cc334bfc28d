// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sluice/types.h"

namespace sluice::kernel {

/// What was decided for packets that came by one interface.
struct InterfaceCounts {
    slc_counter dropped;
    slc_counter passed;
    slc_counter sent;  ///< Forwarded or answered.
};

}  // namespace sluice::kernel
