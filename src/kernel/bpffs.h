// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Pins and directories of pins on a BPF file system. Its names hold no dots (the kernel refuses
/// them), and rename(2) on it is atomic, for directories too: what must be there whole or not at
/// all is made under another name and renamed.

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::kernel {

/// Makes `path` and its missing parents, mode 0750. Errors: not_found when it is not on a bpffs,
/// denied with a hint.
Result<void> make_pin_directory(const std::string& path);

/// The object that is pinned at `path`. Errors: not_found, denied.
Result<UniqueFd> open_pin(const std::string& path);
/// Pins an object. Errors: conflict when the name is taken.
Result<void> make_pin(int fd, const std::string& path);
/// Renames a pin, in place of what has that name, or a directory of pins, for which the name must
/// be free (conflict).
Result<void> move_pin(const std::string& from, const std::string& to);

/// Holds a directory of pins for one process: the lock goes with its holder, however that ends.
/// Somebody who only looks (Instance::list) holds it for some microseconds; that is waited for.
/// Errors: conflict, with `holder` ("another sluiced") and `hint`; not_found.
Result<UniqueFd> lock_pins(const std::string& path, const char* holder, const char* hint);

/// Removes `path` and all that is in it. Nothing there is no error.
Result<void> remove_pins(const std::string& path);

/// Whether `path` lies on a BPF file system.
bool is_bpffs(const std::string& path);

/// Names in a directory, sorted; empty when there is no such directory.
std::vector<std::string> list_pins(const std::string& path);

}  // namespace sluice::kernel
