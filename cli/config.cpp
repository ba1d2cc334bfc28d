// SPDX-License-Identifier: Apache-2.0

/// `sluice config check|show` and `sluice reload`.

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "api/client.h"
#include "api/config_report.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/history.h"
#include "cli/kernel_config.h"

namespace sluice::cli {

Result<int> run_config_check(const Options& options) {
    const std::string& file = options.config_file;
    const std::string text = SLC_TRY(config::read_file(file), "config check");
    const config::ParseOutcome outcome = config::parse(text, file == "-" ? "stdin" : file);
    if (is_document(options.format)) {
        const Json document =
            SLC_TRY(parse_document(api::config_check_json(file, outcome)), "config check");
        print_document(document, options.format);
    } else {
        fmt::print(stderr, "{}", api::config_findings(outcome.warnings, outcome.errors));
    }
    if (!outcome.ok()) return fail(api::config_error(file, outcome.errors.size()));
    if (!is_document(options.format)) fmt::print("{}\n", api::config_summary(file, outcome.config));
    return kExitDone;
}

Result<int> run_config_show(const Options& options) {
    if (!options.config.from.empty()) return show_from_kernel(options);
    if (options.config.check)
        return usage_error(make_error(Errc::invalid, "--check compares what --from kernel shows"),
                           "config show");
    if (options.config.generation > 0) return show_generation(options);
    const Json document = SLC_TRY(fetch(options, "/api/v1/config"), "config show");
    if (is_document(options.format)) {
        print_document(document, options.format);
        return kExitDone;
    }
    const std::string text = text_at(document, "text");
    fmt::print("{}{}", text, text.empty() || text.ends_with('\n') ? "" : "\n");
    return kExitDone;
}

Result<int> run_reload(const Options& options) {
    const std::string target = options.wait ? "/api/v1/reload?wait=1" : "/api/v1/reload";
    const std::string body = SLC_TRY(api::Client(options.socket).post(target), "reload");
    const Json document = SLC_TRY(parse_document(body), "reload");
    if (is_document(options.format))
        print_document(document, options.format);
    else if (options.wait)
        fmt::print("generation {} is in force\n", number_at(document, "generation"));
    else
        fmt::print("sluiced reads its configuration again; sluice status shows the outcome\n");
    return kExitDone;
}

}  // namespace sluice::cli
