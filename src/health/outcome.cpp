// SPDX-License-Identifier: Apache-2.0
#include "health/outcome.h"

#include <algorithm>

namespace sluice::health {

std::string_view word_of(Why why) {
    switch (why) {
#define SLC_HEALTH_WHY(symbol, word, meaning) \
    case Why::symbol:                         \
        return word;
        SLC_HEALTH_WHYS(SLC_HEALTH_WHY)
#undef SLC_HEALTH_WHY
    }
    return "unknown";
}

std::string_view meaning_of(Why why) {
    switch (why) {
#define SLC_HEALTH_WHY(symbol, word, meaning) \
    case Why::symbol:                         \
        return meaning;
        SLC_HEALTH_WHYS(SLC_HEALTH_WHY)
#undef SLC_HEALTH_WHY
    }
    return "unknown";
}

std::string printable(std::string_view text) {
    std::string out(text.substr(0, kMostText));
    std::replace_if(out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '.');
    return out;
}

}  // namespace sluice::health
