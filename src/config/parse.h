// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Text to a validated Config, or every error in it. Pure: no file, no privilege, no network.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/model.h"

namespace sluice::config {

/// One finding. `text()` is what an operator sees, without a line end behind it:
///   sluice.yaml:12:11: services[0].port: 70000 is not a port (1..65535), a range or any
///       port: 70000
///             ^
struct Diagnostic {
    std::string file;
    std::uint32_t line = 0;    ///< 1-based.
    std::uint32_t column = 0;  ///< 1-based, in bytes.
    std::string path;          ///< "services[0].port".
    std::string message;
    std::string source_line;  ///< The line, or the part of a long one around the place.
    std::uint32_t caret = 0;  ///< Characters of source_line before the place.

    [[nodiscard]] std::string text() const;
};

struct ParseOutcome {
    Config config;                     ///< Meaningful only when `errors` is empty.
    std::vector<Diagnostic> errors;    ///< All that were found, in file order.
    std::vector<Diagnostic> warnings;  ///< Legal, but probably not meant.

    [[nodiscard]] bool ok() const { return errors.empty(); }
};

/// Parses YAML or JSON (a subset of YAML) and validates it whole. Never throws, whatever the text.
ParseOutcome parse(std::string_view text, std::string_view file_name);

/// Reads at most 64 MiB of `path` ("-" for standard input). Errors: not_found, denied, limit.
Result<std::string> read_file(const std::string& path);

}  // namespace sluice::config
