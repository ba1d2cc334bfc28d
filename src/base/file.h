// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice {

/// Replaces `path` whole or not at all: a temporary file beside it, fsync, rename. Mode 0640.
Result<void> write_file(const std::string& path, std::string_view content);

/// The content of a regular file. Errc::not_found when there is none.
Result<std::string> read_whole_file(const std::string& path);

/// Makes a directory and its missing parents, mode 0750.
Result<void> make_directory(const std::string& path);

}  // namespace sluice
