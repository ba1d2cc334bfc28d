// SPDX-License-Identifier: Apache-2.0
#include "config/agent.h"

#include <set>

#include "config/reader.h"
#include "config/rules.h"
#include "config/yaml_text.h"
#include "sluice/limits.h"

namespace sluice::config {
namespace {

constexpr std::array kXdpModes = {XdpMode::automatic, XdpMode::native, XdpMode::generic};

void parse_top(const Reader& in, AgentConfig& out) {
    const Path root;
    if (!read_version(in.tree, in.findings, kAgentVersion)) return;
    const MapReader map(in, in.tree.root(), root, keys::kAgent);
    if (const YamlNode* name = map.find("name"))
        out.name = read_name(in, *name, root.at("name")).value_or(out.name);
    if (const YamlNode* list = map.require("interfaces"))
        out.interfaces = read_interfaces(in, *list, root.at("interfaces"));
    assign_word(in, map, "xdp_mode", kXdpModes, out.xdp_mode);
    if (const YamlNode* list = map.require("vips"))
        out.vips = read_prefixes(in, *list, root.at("vips"), SLC_MAX_VIPS);
    if (const YamlNode* list = map.require("from"))
        out.from = read_prefixes(in, *list, root.at("from"), SLC_MAX_TUNNEL_PEERS);
    if (const YamlNode* port = map.find("gue_port"))
        out.gue_port = static_cast<std::uint16_t>(
            read_number(in, *port, root.at("gue_port"), "a port", 1, 65535).value_or(out.gue_port));
}

Result<void> check_prefixes(const std::vector<IpPrefix>& prefixes, std::string_view noun,
                            std::size_t limit) {
    if (prefixes.empty()) return fail(Errc::invalid, "no " + std::string(noun) + " given");
    if (prefixes.size() > limit)
        return fail(Errc::limit, std::string(noun) + ": " + std::to_string(prefixes.size()) +
                                     " given, at most " + std::to_string(limit) + " are possible");
    std::set<IpPrefix> seen;
    for (const IpPrefix& prefix : prefixes) {
        const std::string text = prefix.is_host() ? prefix.address.text() : prefix.text();
        const std::string problem = problem_with_prefix(prefix);
        if (!problem.empty())
            return fail(Errc::invalid, std::string(noun) + " " + text + " " + problem);
        if (!seen.insert(prefix).second)
            return fail(Errc::invalid, std::string(noun) + " " + text + " is given twice");
    }
    return {};
}

Result<void> check_interfaces(const std::vector<std::string>& interfaces) {
    if (interfaces.empty()) return fail(Errc::invalid, "no interface given");
    if (interfaces.size() > SLC_MAX_INTERFACES)
        return fail(Errc::limit, std::to_string(interfaces.size()) + " interfaces, at most " +
                                     std::to_string(SLC_MAX_INTERFACES) + " are possible");
    std::set<std::string> seen;
    for (const std::string& name : interfaces) {
        const std::string problem = problem_with_interface(name);
        if (!problem.empty())
            return fail(Errc::invalid, "interface " + quoted(name) + " " + problem);
        if (!seen.insert(name).second)
            return fail(Errc::invalid, "interface " + name + " is given twice");
    }
    return {};
}

}  // namespace

AgentOutcome parse_agent(std::string_view text, std::string_view file_name) {
    text = without_byte_order_mark(text);
    const Source source(text, file_name);
    Findings findings(source);
    AgentOutcome outcome;
    if (const auto tree = read_yaml(findings)) parse_top({*tree, findings}, outcome.config);
    outcome.errors = findings.take_errors();
    outcome.warnings = findings.take_warnings();
    return outcome;
}

Result<void> check_agent(const AgentConfig& config) {
    const std::string problem = problem_with_name(config.name);
    if (!problem.empty()) return fail(Errc::invalid, "name " + quoted(config.name) + " " + problem);
    SLC_CHECK(check_interfaces(config.interfaces), "agent");
    SLC_CHECK(check_prefixes(config.vips, "VIP", SLC_MAX_VIPS), "agent");
    SLC_CHECK(check_prefixes(config.from, "source prefix", SLC_MAX_TUNNEL_PEERS), "agent");
    if (config.gue_port == 0) return fail(Errc::invalid, "agent: 0 is not a port (1..65535)");
    return {};
}

std::string to_yaml(const AgentConfig& config) {
    YamlText out;
    out.line(0, "version: 1");
    out.entry(0, "name", config.name);
    out.list(0, "interfaces", config.interfaces);
    out.entry(0, "xdp_mode", name_of(config.xdp_mode));
    out.list(0, "vips", texts_of(config.vips));
    out.list(0, "from", texts_of(config.from));
    out.line(0, "gue_port: " + std::to_string(config.gue_port));
    return std::move(out).take();
}

}  // namespace sluice::config
