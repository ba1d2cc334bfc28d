// SPDX-License-Identifier: Apache-2.0

/// `sluice doctor`: what would fail here, before anything is attached. Runs without the daemon; a
/// configuration is looked at for what its health checks need.

#include "kernel/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "api/json.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "config/check_places.h"
#include "config/parse.h"

namespace sluice::cli {
namespace {

using kernel::CheckStatus;

Colour colour_of(CheckStatus status) {
    switch (status) {
        case CheckStatus::ok:
            return Colour::good;
        case CheckStatus::warn:
            return Colour::warning;
        case CheckStatus::fail:
            return Colour::bad;
        case CheckStatus::unknown:
            return Colour::faint;
    }
    return Colour::none;
}

void print_report(const kernel::DoctorReport& report, bool is_wide) {
    std::size_t subject_width = 0;
    std::size_t id_width = 0;
    for (const auto& check : report.checks) {
        subject_width = std::max(subject_width, check.subject.size());
        id_width = std::max(id_width, check.id.size());
    }
    constexpr std::size_t kStatusWidth = 7;  // "unknown"
    for (const auto& check : report.checks) {
        const std::string status = name_of(check.status);
        const std::string lead = fmt::format(
            "{}{}  {:<{}}  ", painted(status, colour_of(check.status)),
            std::string(kStatusWidth - status.size(), ' '), check.subject, subject_width);
        const std::string id = is_wide ? fmt::format("{:<{}}  ", check.id, id_width) : "";
        fmt::print("{}{}{}\n", lead, id, check.finding);
        if (!check.remedy.empty())
            fmt::print("{}remedy: {}\n",
                       std::string(kStatusWidth + subject_width + 4 + id.size(), ' '),
                       check.remedy);
    }
}

Json document_of(const kernel::DoctorReport& report) {
    Json checks = Json::array();
    for (const auto& check : report.checks)
        checks.push_back({{"check", check.id},
                          {"subject", check.subject},
                          {"status", name_of(check.status)},
                          {"finding", check.finding},
                          {"remedy", check.remedy}});
    return {{"schema_version", api::kSchemaVersion},
            {"worst", name_of(report.worst())},
            {"checks", checks}};
}

/// VIPs that checks go to through the tunnel.
kernel::ProbedVips probed_by(const config::Config& config) {
    std::set<IpAddress> vips;
    const config::CheckPlaces places(config);
    for (std::size_t group = 0; group < config.groups.size(); ++group)
        for (const config::Check& check : config.groups[group].health.checks) {
            // What a command sends has no mark.
            if (check.via != config::CheckVia::vip || check.type == config::CheckType::command)
                continue;
            if (const auto place = places.find(group, check)) vips.insert(place->vip);
        }
    const bool become_local =
        config.announce && config.announce->kernel && !config.announce->kernel->interface.empty();
    return {.vips = {vips.begin(), vips.end()},
            .interfaces = config.node.interfaces,
            .become_local = become_local};
}

/// Of the file that was named, or of the usual one where it is there and valid.
Result<kernel::ProbedVips> probed_vips(const Options& options) {
    const bool is_named = options.config_file != Options{}.config_file;
    const auto text = config::read_file(options.config_file);
    if (!text && is_named) return fail(text.error());
    if (!text) return kernel::ProbedVips{};
    const config::ParseOutcome outcome = config::parse(*text, options.config_file);
    if (outcome.ok()) return probed_by(outcome.config);
    if (!is_named) return kernel::ProbedVips{};
    return fail(Errc::invalid, fmt::format("{} has errors", options.config_file),
                "sluice config check shows them");
}

}  // namespace

Result<int> run_doctor(const Options& options) {
    kernel::DoctorOptions doctor;
    doctor.interfaces = options.interfaces;
    doctor.probed = SLC_TRY(probed_vips(options), "doctor");
    const kernel::DoctorReport report = SLC_TRY(kernel::examine(doctor), "doctor");
    if (is_document(options.format))
        print_document(document_of(report), options.format);
    else
        print_report(report, options.format == Format::wide);
    return report.worst() == CheckStatus::fail ? kExitDegraded : kExitDone;
}

}  // namespace sluice::cli
