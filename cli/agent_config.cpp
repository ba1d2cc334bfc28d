// SPDX-License-Identifier: Apache-2.0
#include "cli/agent_config.h"

#include <fmt/format.h>

#include <cstdio>

#include "api/config_report.h"
#include "base/exit_code.h"

namespace sluice::cli {
namespace {

Result<config::AgentConfig> from_file(const AgentOptions& options) {
    if (!options.interfaces.empty() || !options.vips.empty() || !options.from.empty())
        return fail(Errc::invalid, "--file together with --interface, --vip or --from",
                    "describe the agent in one place");
    const std::string text = SLC_TRY(config::read_file(options.file), "--file");
    config::AgentOutcome outcome = config::parse_agent(text, options.file);
    fmt::print(stderr, "{}", api::config_findings(outcome.warnings, outcome.errors));
    if (!outcome.ok()) return fail(api::config_error(options.file, outcome.errors.size()));
    return std::move(outcome.config);
}

Result<std::vector<IpPrefix>> prefixes(const std::vector<std::string>& words, const char* option) {
    std::vector<IpPrefix> out;
    for (const std::string& word : words) {
        const auto prefix = IpPrefix::parse(word);
        if (!prefix)
            return fail(Errc::invalid,
                        fmt::format("{}: '{}' is neither an address nor a prefix", option, word),
                        "for example 192.0.2.10, 2001:db8::/64");
        out.push_back(*prefix);
    }
    return out;
}

config::XdpMode mode_of(const std::string& word) {
    for (const auto mode : {config::XdpMode::native, config::XdpMode::generic})
        if (word == config::name_of(mode)) return mode;
    return config::XdpMode::automatic;
}

}  // namespace

Result<config::AgentConfig> agent_config(const AgentOptions& options) {
    if (!options.file.empty()) return from_file(options);
    config::AgentConfig out;
    out.name = options.name;
    out.interfaces = options.interfaces;
    out.xdp_mode = mode_of(options.xdp_mode);
    out.vips = SLC_TRY(prefixes(options.vips, "--vip"), "options");
    out.from = SLC_TRY(prefixes(options.from, "--from"), "options");
    out.gue_port = options.gue_port;
    auto checked = config::check_agent(out);
    if (!checked)
        return fail(std::move(checked).error().advise(
            "--interface, --vip and --from describe it, or --file"));
    return out;
}

Result<int> refuse_agent(const AgentOptions& options, Error error, const char* command) {
    Error named = std::move(error).in(command);
    if (!options.file.empty() || named.code != Errc::invalid) return fail(std::move(named));
    print_error(named);
    return kExitUsage;
}

}  // namespace sluice::cli
