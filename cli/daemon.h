// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/output.h"
#include "cli/table.h"
#include "cli/tree.h"

namespace sluice::cli {

/// "name: value" lines, aligned; absent values show as "-".
void print_facts(const std::vector<std::pair<std::string, std::string>>& facts);

/// The daemon's document at `target`, of a schema that this command knows.
Result<Json> fetch(const Options& options, const std::string& target);

/// The same of a change, which may take its time.
Result<Json> send(const Options& options, const std::string& target, const std::string& body);

/// "web/10.0.0.5": what the CLI and the API call the backend of this document.
std::string backend_name(const Json& backend);
/// No backend `options.name`: says which one comes closest. Other errors stay as they are.
Error with_backend_suggestion(Error error, const Options& options);
/// Prints that the command line is wrong; the exit code.
int usage_error(Error error, const char* command);

/// "2026-11-21T13:00:00Z" as "2026-11-21 13:00:00Z"; "never" when empty.
std::string time_for_people(const std::string& rfc3339);
/// What a log or a page has room for of a message with a line for each finding.
std::string first_line(const std::string& text);
/// "3/4", coloured by how bad it is.
Cell ready_cell(const Json& service);

}  // namespace sluice::cli
