// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A configuration as its canonical text: every key written out, in one order.

#include <string>

#include "config/model.h"

namespace sluice::config {

/// parse(to_yaml(config)) gives an equal Config for every Config that parse() made. Equal
/// configurations give equal texts. Holds the ring secret, if there is one in the configuration;
/// one that load_secrets() read stays in its file.
std::string to_yaml(const Config& config);

}  // namespace sluice::config
