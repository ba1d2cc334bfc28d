// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The parts of a configuration that lie outside its text. Everything else in config/ is pure.

#include <string>

#include "base/result.h"
#include "config/model.h"

namespace sluice::config {

/// Reads node.ring_secret_file, if there is one, into node.ring_secret. A relative path starts at
/// `base_dir`, the directory of the configuration file. Errors: those of read_file(), and invalid.
Result<void> load_secrets(Config& config, const std::string& base_dir);

/// Where relative paths of a configuration file start: "/etc/sluice" for "/etc/sluice/sluice.yaml".
std::string directory_of(const std::string& path);

}  // namespace sluice::config
