// SPDX-License-Identifier: Apache-2.0
#include "config/parse.h"

#include "config/draft.h"

namespace sluice::config {
namespace {

void parse_top(const YamlTree& tree, Findings& findings, Draft& draft) {
    const auto version = read_version(tree, findings, kVersion);
    if (!version) return;
    const Reader in = {tree, findings, *version};
    const Path root;
    const MapReader map(in, in.tree.root(), root, keys::kTop);
    draft.config.node.name = "default";
    if (const YamlNode* node = map.find("node")) parse_node(in, *node, draft);
    if (const YamlNode* node = map.find("health")) parse_check_defaults(in, *node, draft);
    if (const YamlNode* node = map.find("groups")) parse_groups(in, *node, draft);
    if (const YamlNode* node = map.find("services")) parse_services(in, *node, draft);
    if (const YamlNode* node = map.find("protected")) parse_protected(in, *node, draft);
    if (const YamlNode* node = map.find("announce")) parse_announce(in, *node, draft);
    if (const YamlNode* node = map.find("proof")) parse_proof(in, *node, draft);
    if (const YamlNode* node = map.find("tests")) parse_tests(in, *node, draft);
    validate(draft, in.findings);
    if (!in.findings.any_error()) warn(draft, in.findings);
}

}  // namespace

ParseOutcome parse(std::string_view text, std::string_view file_name) {
    text = without_byte_order_mark(text);
    const Source source(text, file_name);
    Findings findings(source);
    Draft draft;
    if (const auto tree = read_yaml(findings)) parse_top(*tree, findings, draft);
    ParseOutcome outcome;
    outcome.config = std::move(draft.config);
    outcome.errors = findings.take_errors();
    outcome.warnings = findings.take_warnings();
    return outcome;
}

}  // namespace sluice::config
