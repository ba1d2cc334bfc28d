// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The command line of sluiced. Only options.cpp includes CLI11.

#include <cstddef>
#include <string>

#include "base/log.h"
#include "base/result.h"

namespace sluice::daemon {

enum class Action { run, check, detach, withdraw, print };

struct Options {
    Action action = Action::run;
    std::string output;  ///< With Action::print: of --help and --version.
    std::string config_file = "/etc/sluice/sluice.yaml";
    std::string socket = "/run/sluice/sluice.sock";
    std::string metrics_listen;      ///< Empty: no TCP port.
    std::size_t metrics_series = 0;  ///< 0: as the controller has it.
    std::string bpffs = "/sys/fs/bpf/sluice";
    std::string state_dir = "/var/lib/sluice";
    LogFormat log_format = LogFormat::logfmt;
    bool has_log_format = false;  ///< Asked for: the journal's own fields are not used then.
    LogLevel log_level = LogLevel::info;
    bool verbose = false;
};

/// Errc::invalid for a command line that is wrong; the caller exits with kExitUsage.
Result<Options> parse_command_line(int argc, const char* const* argv);

}  // namespace sluice::daemon
