// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/tree.h"

namespace sluice::cli {

/// What --help prints for a command, whose name is here its whole path, with the options of the
/// program below its own; `program` is empty for the program itself.
std::string help_text(const CommandInfo& command, const CommandInfo& program);

/// "sluice service show [OPTION]... NAME".
std::string usage_line(const CommandInfo& command);
/// "-o, --output FORMAT".
std::string option_text(const OptionInfo& option);

/// docs/reference/cli.md.
std::string cli_reference(const CommandInfo& program);
/// docs/reference/reasons.md.
std::string reasons_reference();

}  // namespace sluice::cli
