// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/json.h"

namespace sluice::cli {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

void put_rows(std::string& out, const std::string& title, const Rows& rows) {
    if (rows.empty()) return;
    std::size_t width = 0;
    for (const auto& [left, right] : rows) width = std::max(width, left.size());
    out += "\n" + title + ":\n";
    for (const auto& [left, right] : rows) out += fmt::format("  {:<{}}  {}\n", left, width, right);
}

Rows option_rows(const CommandInfo& command) {
    Rows rows;
    for (const OptionInfo& option : command.options)
        if (!option.is_operand) rows.emplace_back(option_text(option), option.text);
    return rows;
}

/// Table cells must not end a cell, and words in angle brackets are not tags.
std::string markdown_cell(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '|' || c == '<') out += '\\';
        out += c;
    }
    return out;
}

void put_markdown(std::string& out, const CommandInfo& command, const std::string& path) {
    CommandInfo named = command;
    named.name = path;
    out += fmt::format("\n## {}\n\n{}.\n\n```\n{}\n```\n", path, command.text, usage_line(named));
    bool is_first = true;
    for (const OptionInfo& option : command.options) {
        if (is_first) out += "\n| option | meaning |\n|---|---|\n";
        is_first = false;
        out += fmt::format("| `{}` | {} |\n", option_text(option), markdown_cell(option.text));
    }
    for (const CommandInfo& child : command.commands)
        put_markdown(out, child, path + " " + child.name);
}

}  // namespace

std::string option_text(const OptionInfo& option) {
    std::string out = fmt::format("{}", fmt::join(option.names, ", "));
    if (!option.is_operand && !option.value.empty()) out += " " + option.value;
    return out;
}

std::string usage_line(const CommandInfo& command) {
    std::string out = command.name;
    if (!command.commands.empty()) out += " COMMAND";
    out += " [OPTION]...";
    for (const OptionInfo& option : command.options)
        if (option.is_operand)
            out +=
                option.is_required ? " " + option.names.front() : " [" + option.names.front() + "]";
    return out;
}

std::string help_text(const CommandInfo& command, const CommandInfo& program) {
    std::string out = fmt::format("Usage: {}\n\n{}\n", usage_line(command), command.text);
    Rows operands;
    for (const OptionInfo& option : command.options)
        if (option.is_operand) operands.emplace_back(option_text(option), option.text);
    put_rows(out, "Operands", operands);
    Rows commands;
    for (const CommandInfo& child : command.commands) commands.emplace_back(child.name, child.text);
    put_rows(out, "Commands", commands);
    put_rows(out, "Options", option_rows(command));
    put_rows(out, "Options of every command", option_rows(program));
    return out;
}

std::string cli_reference(const CommandInfo& program) {
    std::string out =
        "# Command line: sluice\n\n"
        "<!-- Made by `sluice reference cli`; a test compares it. Do not edit. -->\n\n"
        "Options of the program go before or after the command. Exit codes: 0 done, 1 failed,\n"
        "2 changes pending (with --detailed-exitcode), 3 configuration invalid, 4 daemon\n"
        "unreachable, 5 not found or conflict, 6 degraded, 64 usage.\n";
    put_markdown(out, program, program.name);
    return out;
}

std::string reasons_reference() {
    std::string out =
        "# Reasons\n\n"
        "<!-- Made by `sluice reference reasons` from abi/sluice/reasons.def; a test compares it. "
        "Do not edit. -->\n\n"
        "Every packet leaves Sluice with exactly one of these. `sluice reasons` shows how often\n"
        "each one happened.\n\n"
        "| number | reason | outcome | meaning | remedy |\n|---|---|---|---|---|\n";
    int number = 0;
    const auto put = [&](const char* label, const char* text, const char* remedy) {
        out += fmt::format("| {} | `{}` | {} | {} | {} |\n", number++, label,
                           api::outcome_of(label), markdown_cell(text), markdown_cell(remedy));
    };
#define SLC_REASON(symbol, label, text, remedy) put(label, text, remedy);
#include "sluice/reasons.def"
#undef SLC_REASON
    return out;
}

}  // namespace sluice::cli
