// SPDX-License-Identifier: Apache-2.0
#include "plan/next_hop.h"

namespace sluice::plan {

const char* name_of(HopState state) {
    switch (state) {
        case HopState::resolved:
            return "resolved";
        case HopState::local:
            return "local";
        case HopState::no_route:
            return "no_route";
        case HopState::unresolved:
            return "unresolved";
        case HopState::link_down:
            return "link_down";
    }
    return "unknown";
}

}  // namespace sluice::plan
