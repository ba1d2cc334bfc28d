// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Reading one check: parse_checks.cpp for parse_health.cpp. Used inside config/ only.

#include "config/draft.h"

namespace sluice::config {

/// A word (its type, the rest by default) or a map.
Check parse_check(const Reader& in, const YamlNode& node, const Path& path, const Check& defaults,
                  CheckNotes& notes);

/// via, interval, timeout, jitter, rise and fall, which are also those of the top level's `health`.
void parse_pace(const Reader& in, const MapReader& map, Check& out, CheckNotes& notes);

}  // namespace sluice::config
