// SPDX-License-Identifier: Apache-2.0
#include "observe/names.h"

namespace sluice::observe {

std::string name_in(const std::unordered_map<std::uint32_t, std::string>& names, std::uint32_t id) {
    if (id == 0) return {};
    const auto found = names.find(id);
    return found == names.end() ? "#" + std::to_string(id) : found->second;
}

}  // namespace sluice::observe
