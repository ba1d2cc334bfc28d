// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace sluice::cli {

/// Who gives the command: who called sudo, else the name of the process's user, else its number.
std::string user_name();

}  // namespace sluice::cli
