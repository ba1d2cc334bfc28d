// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A configuration that a command was given as a file: checked here first, so that its errors show
/// without a daemon too.

#include <string>

#include "base/result.h"

namespace sluice::cli {

struct ConfigSource {
    std::string text;
    std::string file;  ///< Absolute, so that the daemon's history says which one it was; or "-".
    std::string
        directory;  ///< Where its relative paths begin; empty: where the daemon's file lies.
};

/// Valid as far as can be said without the node; findings go to standard error. "-" is standard
/// input.
Result<ConfigSource> read_source(const std::string& file);

}  // namespace sluice::cli
