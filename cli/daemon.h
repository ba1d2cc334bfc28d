// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/output.h"
#include "cli/table.h"
#include "cli/tree.h"

namespace sluice::cli {

/// The daemon's document at `target`, of a schema that this command knows.
Result<Json> fetch(const Options& options, const std::string& target);

/// "2026-11-21T13:00:00Z" as "2026-11-21 13:00:00Z"; "never" when empty.
std::string time_for_people(const std::string& rfc3339);
/// What a log or a page has room for of a message with a line for each finding.
std::string first_line(const std::string& text);
/// "3/4", coloured by how bad it is.
Cell ready_cell(const Json& service);

}  // namespace sluice::cli
