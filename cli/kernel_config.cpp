// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel_config.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/config_json.h"
#include "api/config_report.h"
#include "api/json.h"
#include "base/exit_code.h"
#include "cli/change_text.h"
#include "cli/daemon.h"
#include "cli/instance.h"
#include "config/load.h"
#include "config/print.h"
#include "history/history.h"
#include "kernel/pinned_generation.h"
#include "plan/change_plan.h"

namespace sluice::cli {
namespace {

/// What the history says is in force.
struct Stored {
    std::uint32_t generation = 0;
    config::Config config;
};

Result<Stored> stored_config(const std::string& state_dir) {
    const std::string path = state_dir + "/history.db";
    std::error_code ignored;
    // To open one would make one.
    if (!std::filesystem::exists(path, ignored))
        return fail(Errc::not_found, "no history: " + path, "--state-dir names its directory");
    const auto database = SLC_TRY(history::History::open(path), "history");
    const auto record = SLC_TRY(database.in_force(), "history");
    if (!record) return fail(Errc::not_found, path + ": nothing is in force");
    Stored out;
    out.generation = record->generation;
    const std::string name = fmt::format("generation {}", record->generation);
    config::ParseOutcome outcome = config::parse(record->text, name);
    if (!outcome.ok()) return fail(api::config_error(name, outcome.errors.size()));
    out.config = std::move(outcome.config);
    const bool has_path = record->file.starts_with('/');
    SLC_CHECK(config::load_secrets(out.config,
                                   has_path ? config::directory_of(record->file) : "/etc/sluice"),
              name);
    return out;
}

int print_check(const Options& options, const Stored& stored,
                const std::vector<plan::Change>& changes, Json document) {
    const Json drift =
        Json::parse(api::drift_json(fmt::format("generation {}", stored.generation), changes));
    const Json& lines = member_at(drift, "changes");
    document["generation"] = stored.generation;
    document["changes"] = lines;
    if (is_document(options.format))
        print_document(document, options.format);
    else if (changes.empty())
        fmt::print("the kernel has generation {}, as the history says\n", stored.generation);
    else
        fmt::print(
            "{} between what the kernel has and generation {}\n\n{}",
            counted(changes.size(), "difference"), stored.generation,
            changes_text(lines, options.format == Format::wide ? lines.size() : kMaxChanges));
    return changes.empty() ? kExitDone : kExitNotFound;
}

}  // namespace

Result<int> show_from_kernel(const Options& options) {
    if (options.config.generation > 0)
        return usage_error(make_error(Errc::invalid, "the kernel has one configuration in force",
                                      "either GENERATION or --from kernel"),
                           "config show");
    const std::string node = SLC_TRY(chosen_node(options), "config show");
    if (node.empty())
        return fail(Errc::not_found,
                    fmt::format("config show: nothing of Sluice is in {}", options.instance.bpffs),
                    "sluiced puts it there; --bpffs names another directory");
    const config::Config config =
        SLC_TRY(kernel::config_from_kernel(options.instance.bpffs, node), "config show");
    const std::string text = api::redact(config::to_yaml(config));
    Json document = {{"schema_version", api::kSchemaVersion}, {"node", node}, {"text", text}};
    if (options.config.check) {
        const Stored stored = SLC_TRY(stored_config(options.instance.state_dir), "config show");
        return print_check(options, stored, plan::make_drift(config, {}, stored.config),
                           std::move(document));
    }
    if (is_document(options.format))
        print_document(document, options.format);
    else
        fmt::print("{}", text);
    return kExitDone;
}

}  // namespace sluice::cli
