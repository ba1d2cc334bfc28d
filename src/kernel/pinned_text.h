// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A text that is pinned: an array map of one value, the text with a zero behind it, frozen. It is
/// what a later process reads about pins that lie beside it.

#include <string>

#include "base/result.h"

namespace sluice::kernel {

/// Replaces what was at `path` in one step. A kill half-way leaves <path>_new at most, which the
/// next call takes away. Errors: limit (no memory for it), denied, system.
Result<void> write_pinned_text(const std::string& path, const std::string& text);

/// Errors: not_found; conflict for what is no such map.
Result<std::string> read_pinned_text(const std::string& path);

}  // namespace sluice::kernel
