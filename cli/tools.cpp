// SPDX-License-Identifier: Apache-2.0

/// The commands that need neither daemon nor node: version, completion, reference.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/json.h"
#include "api/metrics.h"
#include "base/exit_code.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/help.h"

namespace sluice::cli {

Result<int> run_version(const Options& options) {
    if (is_document(options.format))
        print_document({{"schema_version", api::kSchemaVersion}, {"version", version()}},
                       options.format);
    else
        fmt::print("sluice {}\n", version());
    return kExitDone;
}

Result<int> run_completion(const Options& options) {
    const CommandInfo program = command_tree();
    if (options.name == "bash")
        fmt::print("{}", bash_completion(program));
    else if (options.name == "zsh")
        fmt::print("{}", zsh_completion(program));
    else
        fmt::print("{}", fish_completion(program));
    return kExitDone;
}

Result<int> run_reference(const Options& options) {
    if (options.name == "metrics")
        fmt::print("{}", api::metrics_reference());
    else
        fmt::print("{}",
                   options.name == "cli" ? cli_reference(command_tree()) : reasons_reference());
    return kExitDone;
}

}  // namespace sluice::cli
