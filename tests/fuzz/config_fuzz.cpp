// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/config_fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "config/agent.h"
#include "config/print.h"

namespace sluice::fuzz {
namespace {

using config::Diagnostic;

void require(bool holds, const char* what, std::string_view detail) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n%.*s\n", what, static_cast<int>(detail.size()),
                 detail.data());
    std::abort();
}

std::string text_of(const std::vector<Diagnostic>& findings) {
    std::string out;
    for (const Diagnostic& finding : findings) out += finding.text() + "\n";
    return out;
}

std::size_t lines_of(std::string_view text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
}

void check_findings(const std::vector<Diagnostic>& findings, std::string_view text) {
    const std::size_t lines = lines_of(text);
    std::pair<std::uint32_t, std::uint32_t> last = {0, 0};
    for (const Diagnostic& finding : findings) {
        const std::string told = finding.text();
        require(finding.line >= 1 && finding.line <= lines, "a line of the text", told);
        require(finding.column >= 1 && finding.column <= text.size() + 1, "a column", told);
        require(!finding.message.empty(), "a message", told);
        require(finding.caret <= finding.source_line.size(), "a caret below its line", told);
        require(finding.source_line.size() < 200, "a short excerpt", told);
        require(std::none_of(told.begin(), told.end(),
                             [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7f; }),
                "nothing that a terminal interprets", told);
        const std::pair place = {finding.line, finding.column};
        require(place >= last, "the order of the file", told);
        last = place;
    }
}

/// Both formats have the same shape: an outcome, and a printer for what was accepted.
template <typename Parse>
void check_format(std::string_view text, Parse parse) {
    const auto outcome = parse(text, "fuzz.yaml");
    check_findings(outcome.errors, text);
    check_findings(outcome.warnings, text);
    const auto again = parse(text, "fuzz.yaml");
    require(text_of(again.errors) == text_of(outcome.errors) &&
                text_of(again.warnings) == text_of(outcome.warnings),
            "the same text, the same findings", text);
    if (!outcome.ok()) return;
    const std::string printed = to_yaml(outcome.config);
    const auto second = parse(printed, "printed.yaml");
    require(second.ok(), "what was printed is accepted", printed + text_of(second.errors));
    require(second.config == outcome.config, "what was printed means the same", printed);
    require(to_yaml(second.config) == printed, "printing is canonical", printed);
}

}  // namespace

void check_config(std::string_view text) {
    check_format(text, config::parse);
    check_format(text, config::parse_agent);
}

}  // namespace sluice::fuzz
