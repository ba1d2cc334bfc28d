// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What checking a configuration file says, in the same words from `sluiced --check` and
/// `sluice config check`.

#include <string>
#include <vector>

#include "config/parse.h"

namespace sluice::api {

/// "FILE: valid: 3 services, 2 groups, 7 backends".
std::string config_summary(const std::string& file, const config::Config& config);
/// Every warning, then every error, each with its line and caret. Ends with a line end, or empty.
std::string config_findings(const std::vector<config::Diagnostic>& warnings,
                            const std::vector<config::Diagnostic>& errors);
/// "FILE: 2 errors".
Error config_error(const std::string& file, std::size_t errors);
/// {valid, file, errors, warnings}, each finding {line, column, path, message}.
std::string config_check_json(const std::string& file, const config::ParseOutcome& outcome);

}  // namespace sluice::api
