// SPDX-License-Identifier: Apache-2.0

/// `sluice agent print|apply`: what a backend's host needs beside the agent's program.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/json.h"
#include "base/exit_code.h"
#include "cli/agent_config.h"
#include "cli/commands.h"
#include "kernel/backend_setup.h"

namespace sluice::cli {

Result<int> run_agent_print(const Options& options) {
    auto config = agent_config(options.agent);
    if (!config) return refuse_agent(options.agent, std::move(config).error(), "agent print");
    const auto steps = kernel::backend_setup(*config);
    if (!is_document(options.format)) {
        // A script that can be read, kept and run.
        for (const kernel::BackendStep& step : steps)
            fmt::print("# {}\n{}{}\n", step.why, step.by_hand ? "# by hand: " : "", step.command);
        return kExitDone;
    }
    Json list = Json::array();
    for (const kernel::BackendStep& step : steps)
        list.push_back({{"command", step.command}, {"why", step.why}, {"by_hand", step.by_hand}});
    print_document({{"schema_version", api::kSchemaVersion}, {"steps", list}}, options.format);
    return kExitDone;
}

Result<int> run_agent_apply(const Options& options) {
    auto config = agent_config(options.agent);
    if (!config) return refuse_agent(options.agent, std::move(config).error(), "agent apply");
    const auto applied = SLC_TRY(kernel::apply_backend_setup(*config), "agent apply");
    if (!is_document(options.format)) {
        for (const kernel::AppliedStep& step : applied)
            fmt::print("{:<7}  {}\n", step.changed ? "done" : "already", step.command);
        return kExitDone;
    }
    Json list = Json::array();
    for (const kernel::AppliedStep& step : applied)
        list.push_back({{"command", step.command}, {"changed", step.changed}});
    print_document({{"schema_version", api::kSchemaVersion}, {"steps", list}}, options.format);
    return kExitDone;
}

}  // namespace sluice::cli
