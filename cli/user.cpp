// SPDX-License-Identifier: Apache-2.0
#include "cli/user.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace sluice::cli {

std::string user_name() {
    const char* caller = std::getenv("SUDO_USER");
    if (caller != nullptr && *caller != '\0' && ::geteuid() == 0) return caller;
    std::vector<char> buffer(16384);
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
        found != nullptr)
        return found->pw_name;
    return fmt::format("uid {}", ::geteuid());
}

}  // namespace sluice::cli
