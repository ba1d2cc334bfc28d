// SPDX-License-Identifier: Apache-2.0

/// `sluice metrics`: the page that Prometheus scrapes, or a part of it.

#include <cstdio>
#include <string_view>

#include "api/client.h"
#include "api/metrics.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"

namespace sluice::cli {
namespace {

/// The metric that a line is about.
std::string_view metric_of(std::string_view line) {
    for (const std::string_view head : {"# HELP ", "# TYPE "})
        if (line.starts_with(head)) line.remove_prefix(head.size());
    return line.substr(0, line.find_first_of(" {"));
}

}  // namespace

Result<int> run_metrics(const Options& options) {
    if (is_document(options.format))
        return usage_error(make_error(Errc::invalid, "the page has one form",
                                      "Prometheus' text format; leave -o and -j out"),
                           "metrics");
    bool has_any = false;
    auto read =
        api::Client(options.socket).stream("/metrics", [&](std::string_view line) -> Result<void> {
            if (!metric_of(line).starts_with(options.name)) return {};
            has_any = true;
            std::fwrite(line.data(), 1, line.size(), stdout);
            std::fputc('\n', stdout);
            return {};
        });
    if (!read) return fail(std::move(read).error().in("metrics"));
    if (!has_any)
        return fail(Errc::not_found, "metrics: no metric begins with '" + options.name + "'",
                    "sluice-metrics(7) lists them");
    return kExitDone;
}

}  // namespace sluice::cli
