// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Directories of pins on a BPF file system.

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::kernel {

/// Makes `path` and its missing parents, mode 0750. Errors: not_found when it is not on a bpffs,
/// denied with a hint.
Result<void> make_pin_directory(const std::string& path);

/// Holds a directory of pins for one process: the lock goes with its holder, however that ends.
/// Errors: conflict, with `holder` ("another sluiced") and `hint`; not_found.
Result<UniqueFd> lock_pins(const std::string& path, const char* holder, const char* hint);

/// Removes `path` and all that is in it. Nothing there is no error.
Result<void> remove_pins(const std::string& path);

/// Names in a directory, sorted; empty when there is no such directory.
std::vector<std::string> list_pins(const std::string& path);

}  // namespace sluice::kernel
