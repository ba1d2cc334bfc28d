// SPDX-License-Identifier: Apache-2.0
#include "announce/announcement.h"

namespace sluice::announce {

const char* name_of(Wish wish) {
    switch (wish) {
        case Wish::withdraw:
            return "withdraw";
        case Wish::drain:
            return "drain";
        case Wish::announce:
            return "announce";
    }
    return "?";
}

const char* name_of(PrefixState state) {
    switch (state) {
        case PrefixState::wanted:
            return "wanted";
        case PrefixState::announced:
            return "announced";
        case PrefixState::draining:
            return "draining";
        case PrefixState::withdrawn:
            return "withdrawn";
        case PrefixState::failing:
            return "failing";
    }
    return "?";
}

}  // namespace sluice::announce
