// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <vector>

#include "base/version.h"

namespace sluice::daemon {
namespace {

const std::vector<std::string> kFormats = {"logfmt", "json"};
const std::vector<std::string> kLevels = {"debug", "info", "warning", "error"};

CLI::Validator one_of(const std::vector<std::string>& values) {
    return {[values](std::string& value) {
                if (std::find(values.begin(), values.end(), value) != values.end())
                    return std::string();
                return fmt::format("'{}' is not one of {}", value, fmt::join(values, ", "));
            },
            "", ""};
}

LogLevel level_of(const std::string& word) {
    for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warning})
        if (word == name_of(level)) return level;
    return LogLevel::error;
}

}  // namespace

Result<Options> parse_command_line(int argc, const char* const* argv) {
    constexpr const char* kSeeHelp = "sluiced --help shows what it takes";
    Options options;
    std::string format = kFormats.front();
    std::string level = "info";
    bool check = false;
    bool detach = false;
    bool withdraw = false;
    CLI::App app{"Runs the data plane of this node: a layer-4 load balancer in XDP.", "sluiced"};
    app.add_option("-f,--file", options.config_file,
                   "Configuration (default /etc/sluice/sluice.yaml)")
        ->type_name("FILE");
    app.add_option("--socket", options.socket,
                   "Unix socket of the API (default /run/sluice/sluice.sock)")
        ->type_name("PATH");
    app.add_option("--metrics-listen", options.metrics_listen,
                   "Serve /metrics, /livez and /readyz by TCP too, to whoever reaches it")
        ->type_name("ADDRESS:PORT");
    app.add_option("--metrics-max-series", options.metrics_series,
                   "Series of /metrics at most; backends give way first (default 200000)")
        ->type_name("NUMBER")
        ->check(CLI::Range(std::size_t{5000}, std::size_t{10'000'000}));
    app.add_option("--bpffs", options.bpffs, "Directory of pins (default /sys/fs/bpf/sluice)")
        ->type_name("DIR");
    app.add_option("--state-dir", options.state_dir,
                   "Directory of what outlives the daemon (default /var/lib/sluice)")
        ->type_name("DIR");
    auto* check_flag =
        app.add_flag("--check", check, "Check the configuration and exit; needs no privilege");
    app.add_flag("--detach", detach, "Remove this instance's data plane and pins, and exit")
        ->excludes(check_flag);
    app.add_flag("--withdraw", withdraw,
                 "Withdraw what a killed sluiced left announced, unless it is to be kept, and exit")
        ->excludes(check_flag)
        ->excludes("--detach");
    auto* format_option = app.add_option("--log-format", format, "logfmt (default) or json")
                              ->type_name("FORMAT")
                              ->check(one_of(kFormats));
    app.add_option("--log-level", level, "debug, info (default), warning or error")
        ->type_name("LEVEL")
        ->check(one_of(kLevels));
    app.add_flag("--verbose", options.verbose, "Whole verifier logs where a program is refused");
    app.set_version_flag("--version", fmt::format("sluiced {}", version()), "Print the version");
    app.set_help_flag("-h,--help", "Show this");
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        options.action = Action::print;
        options.output = app.help();
        return options;
    } catch (const CLI::CallForVersion& version_text) {
        options.action = Action::print;
        options.output = std::string(version_text.what()) + "\n";
        return options;
    } catch (const CLI::ExtrasError&) {
        return fail(Errc::invalid,
                    fmt::format("sluiced does not take '{}'", app.remaining(true).front()),
                    kSeeHelp);
    } catch (const CLI::ParseError& error) {
        return fail(Errc::invalid, error.what(), kSeeHelp);
    }
    if (check) options.action = Action::check;
    if (detach) options.action = Action::detach;
    if (withdraw) options.action = Action::withdraw;
    options.log_format = format == "json" ? LogFormat::json : LogFormat::logfmt;
    options.has_log_format = format_option->count() > 0;
    options.log_level = level_of(level);
    return options;
}

}  // namespace sluice::daemon
