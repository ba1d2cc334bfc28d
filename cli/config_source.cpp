// SPDX-License-Identifier: Apache-2.0
#include "cli/config_source.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "api/config_report.h"
#include "config/load.h"

namespace sluice::cli {
namespace {

std::string absolute(const std::string& file) {
    if (file == "-") return file;
    std::error_code failed;
    const auto path = std::filesystem::absolute(file, failed);
    return failed ? file : path.lexically_normal().string();
}

}  // namespace

Result<ConfigSource> read_source(const std::string& file) {
    ConfigSource out;
    auto text = config::read_file(file);
    if (!text) return fail(std::move(text).error());
    out.text = std::move(*text);
    out.file = absolute(file);
    const config::ParseOutcome outcome = config::parse(out.text, out.file);
    fmt::print(stderr, "{}", api::config_findings(outcome.warnings, outcome.errors));
    if (!outcome.ok()) return fail(api::config_error(out.file, outcome.errors.size()));
    // Standard input stands for the daemon's own file, also in where its relative paths begin.
    if (file != "-") out.directory = config::directory_of(out.file);
    return out;
}

}  // namespace sluice::cli
