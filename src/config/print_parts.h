// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Parts of config/print.h that have a file of their own. Used inside config/ only.

#include "config/model.h"
#include "config/yaml_text.h"

namespace sluice::config {

/// `health` of a group; nothing for one that says nothing of it.
void print_health(const Health& health, int depth, YamlText& out);
void print_announce(const Announce& announce, YamlText& out);

}  // namespace sluice::config
