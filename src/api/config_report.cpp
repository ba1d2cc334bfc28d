// SPDX-License-Identifier: Apache-2.0
#include "api/config_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/json.h"

namespace sluice::api {
namespace {

using Json = nlohmann::ordered_json;

std::string counted(std::size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

Json json_of(const std::vector<config::Diagnostic>& findings) {
    Json out = Json::array();
    for (const config::Diagnostic& finding : findings)
        out.push_back({{"line", finding.line},
                       {"column", finding.column},
                       {"path", finding.path},
                       {"message", finding.message}});
    return out;
}

}  // namespace

std::string config_summary(const std::string& file, const config::Config& config) {
    std::size_t backends = 0;
    for (const config::Group& group : config.groups) backends += group.backends.size();
    return fmt::format("{}: valid: {}, {}, {}", file, counted(config.services.size(), "service"),
                       counted(config.groups.size(), "group"), counted(backends, "backend"));
}

std::string config_findings(const std::vector<config::Diagnostic>& warnings,
                            const std::vector<config::Diagnostic>& errors) {
    std::string out;
    for (const config::Diagnostic& warning : warnings) out += "warning: " + warning.text() + "\n";
    for (const config::Diagnostic& error : errors) out += error.text() + "\n";
    return out;
}

Error config_error(const std::string& file, std::size_t errors) {
    return make_error(Errc::invalid, fmt::format("{}: {}", file, counted(errors, "error")),
                      "sluice.yaml(5) describes every key");
}

std::string config_check_json(const std::string& file, const config::ParseOutcome& outcome) {
    const Json out = {{"schema_version", kSchemaVersion},
                      {"file", file},
                      {"valid", outcome.ok()},
                      {"errors", json_of(outcome.errors)},
                      {"warnings", json_of(outcome.warnings)}};
    return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sluice::api
