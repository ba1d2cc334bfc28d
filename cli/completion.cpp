// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace sluice::cli {
namespace {

/// The shell command that lists what a value of this kind can be; empty: nothing to offer.
std::string source_of(const OptionInfo& option) {
    if (option.value == "SERVICE")
        return "sluice service list 2>/dev/null | awk 'NR > 1 {print $1}'";
    if (option.value == "BACKEND")
        return "sluice backend list 2>/dev/null | awk 'NR > 1 {print $1}'";
    if (option.value == "GROUP")
        return "sluice backend list 2>/dev/null | awk -F/ 'NR > 1 && !seen[$1]++ {print $1}'";
    if (option.value == "GENERATION")
        return "sluice config history 2>/dev/null | awk 'NR > 1 {print $1}'";
    if (option.value == "NODE") return "sluice instance list 2>/dev/null | awk 'NR > 1 {print $1}'";
    if (option.value == "IFACE") return "ls /sys/class/net";
    return {};
}

bool takes_path(const OptionInfo& option) {
    return option.value == "FILE" || option.value == "PATH" || option.value == "DIR" ||
           (option.is_operand && option.names.front() == "FILE");
}

using Visit = std::function<void(const CommandInfo&, const std::string& path)>;

void walk(const CommandInfo& command, const std::string& path, const Visit& visit) {
    visit(command, path);
    for (const CommandInfo& child : command.commands)
        walk(child, path.empty() ? child.name : path + " " + child.name, visit);
}

/// Inside single quotes of a POSIX shell and of fish.
std::string single_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + "'";
}

std::vector<std::string> option_names(const CommandInfo& command) {
    std::vector<std::string> out;
    for (const OptionInfo& option : command.options)
        if (!option.is_operand) out.insert(out.end(), option.names.begin(), option.names.end());
    return out;
}

/// What COMPREPLY is for a value of this option or operand; a bash statement.
std::string bash_reply(const OptionInfo& option) {
    if (!option.choices.empty())
        return fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$current\"))",
                           fmt::join(option.choices, " "));
    if (takes_path(option)) return "COMPREPLY=($(compgen -f -- \"$current\"))";
    const std::string source = source_of(option);
    if (source.empty()) return "COMPREPLY=()";
    return fmt::format("COMPREPLY=($(compgen -W \"$({})\" -- \"$current\"))", source);
}

void put_bash_values(std::string& out, const CommandInfo& command, const std::string& path) {
    for (const OptionInfo& option : command.options) {
        if (option.is_operand || option.value.empty()) continue;
        std::string pattern;
        for (const std::string& name : option.names)
            pattern += fmt::format("{}'{}:{}'", pattern.empty() ? "" : "|", path, name);
        out += fmt::format("        {})\n            {}\n            return ;;\n", pattern,
                           bash_reply(option));
    }
}

/// zsh's colon-separated specs: a colon or a bracket in a text would end it.
std::string zsh_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == ':' || c == '[' || c == ']' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string zsh_action(const OptionInfo& option) {
    if (!option.choices.empty()) return fmt::format("({})", fmt::join(option.choices, " "));
    if (takes_path(option)) return "_files";
    const std::string source = source_of(option);
    return source.empty() ? " " : "{compadd -- $(" + source + ")}";
}

std::string zsh_spec(const OptionInfo& option) {
    const std::string name = option.value.empty() ? option.names.front() : option.value;
    if (option.is_operand) {
        const std::string spec =
            fmt::format("1:{}:{}", zsh_text(option.names.front()), zsh_action(option));
        return single_quoted(spec);
    }
    std::string value;
    if (!option.value.empty()) value = fmt::format(":{}:{}", zsh_text(name), zsh_action(option));
    std::string out;
    for (const std::string& spelling : option.names)
        out += (out.empty() ? "" : " ") +
               single_quoted(fmt::format("{}{}[{}]{}", option.is_repeated ? "*" : "", spelling,
                                         zsh_text(option.text), value));
    return out;
}

std::string function_name(std::string path) {
    std::replace(path.begin(), path.end(), ' ', '_');
    return path.empty() ? "_sluice" : "_sluice_" + path;
}

void put_zsh_function(std::string& out, const CommandInfo& command, const CommandInfo& program,
                      const std::string& path) {
    out += fmt::format("\n{}() {{\n", function_name(path));
    const bool has_commands = !command.commands.empty();
    if (has_commands) {
        out += "    local -a commands=(\n";
        for (const CommandInfo& child : command.commands)
            out +=
                fmt::format("        {}\n", single_quoted(child.name + ":" + zsh_text(child.text)));
        out += "    )\n    local context state line\n";
    }
    out += has_commands ? "    _arguments -C" : "    _arguments";
    for (const OptionInfo& option : program.options) out += " \\\n        " + zsh_spec(option);
    if (&command != &program)
        for (const OptionInfo& option : command.options) out += " \\\n        " + zsh_spec(option);
    if (!has_commands) {
        out += "\n}\n";
        return;
    }
    out +=
        " \\\n        '1: :->command' '*:: :->rest'\n"
        "    case $state in\n"
        "        command) _describe command commands ;;\n"
        "        rest)\n            case $line[1] in\n";
    for (const CommandInfo& child : command.commands)
        out += fmt::format("                {}) {} ;;\n", child.name,
                           function_name(path.empty() ? child.name : path + " " + child.name));
    out += "            esac ;;\n    esac\n}\n";
}

std::string fish_condition(const CommandInfo& command, const std::string& path) {
    if (path.empty()) return "__fish_use_subcommand";
    std::string out;
    std::size_t begin = 0;
    while (begin < path.size()) {
        const std::size_t end = std::min(path.find(' ', begin), path.size());
        out += (out.empty() ? "" : "; and ") +
               fmt::format("__fish_seen_subcommand_from {}", path.substr(begin, end - begin));
        begin = end + 1;
    }
    if (command.commands.empty()) return out;
    out += "; and not __fish_seen_subcommand_from";
    for (const CommandInfo& child : command.commands) out += " " + child.name;
    return out;
}

std::string fish_value(const OptionInfo& option) {
    if (!option.choices.empty()) return fmt::format(" -x -a '{}'", fmt::join(option.choices, " "));
    if (takes_path(option)) return " -r -F";
    const std::string source = source_of(option);
    if (!source.empty()) return " -x -a " + single_quoted("(" + source + ")");
    return option.is_operand ? "" : " -x";
}

void put_fish_command(std::string& out, const CommandInfo& command, const std::string& path) {
    const std::string condition = single_quoted(fish_condition(command, path));
    for (const CommandInfo& child : command.commands)
        out += fmt::format("complete -c sluice -n {} -a {} -d {}\n", condition, child.name,
                           single_quoted(child.text));
    for (const OptionInfo& option : command.options) {
        if (option.is_operand) {
            const std::string value = fish_value(option);
            if (!value.empty())
                out += fmt::format("complete -c sluice -n {}{}\n", condition, value);
            continue;
        }
        out += "complete -c sluice";
        if (!path.empty()) out += " -n " + condition;  // The program's own go everywhere.
        for (const std::string& name : option.names)
            out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
        if (!option.value.empty()) out += fish_value(option);
        out += " -d " + single_quoted(option.text) + "\n";
    }
}

}  // namespace

std::string bash_completion(const CommandInfo& program) {
    std::string words;
    std::string values;
    std::string operands;
    const std::string common = fmt::format("{}", fmt::join(option_names(program), " "));
    walk(program, "", [&](const CommandInfo& command, const std::string& path) {
        std::string list = common;
        for (const CommandInfo& child : command.commands) list += " " + child.name;
        if (!path.empty())
            for (const std::string& name : option_names(command)) list += " " + name;
        words += fmt::format("        '{}') words='{}' ;;\n", path, list);
        put_bash_values(values, command, path.empty() ? "*" : path);
        for (const OptionInfo& option : command.options)
            if (option.is_operand)
                operands +=
                    fmt::format("        '{}')\n            {} ;;\n", path, bash_reply(option));
    });
    // The pattern of the program's own options matches under every command.
    std::size_t at = 0;
    while ((at = values.find("'*:", at)) != std::string::npos) values.replace(at, 3, "*':");
    std::string commands;
    walk(program, "", [&](const CommandInfo&, const std::string& path) {
        if (!path.empty()) commands += (commands.empty() ? "'" : "|'") + path + "'";
    });
    return fmt::format(R"(# bash completion of sluice, made by `sluice completion bash`.
_sluice() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    local path="" words="" word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${{path:+$path }}${{COMP_WORDS[i]}}"
        case "$word" in
        {})
            path="$word" ;;
        esac
    done
    case "$path:$previous" in
{}    esac
    if [[ "$current" != -* ]]; then
        case "$path" in
{}        esac
        [[ ${{#COMPREPLY[@]}} -gt 0 ]] && return
    fi
    case "$path" in
{}    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _sluice sluice
)",
                       commands, values, operands, words);
}

std::string zsh_completion(const CommandInfo& program) {
    std::string out =
        "#compdef sluice\n# zsh completion of sluice, made by `sluice completion zsh`.\n";
    walk(program, "", [&](const CommandInfo& command, const std::string& path) {
        put_zsh_function(out, command, program, path);
    });
    return out + "\n_sluice \"$@\"\n";
}

std::string fish_completion(const CommandInfo& program) {
    std::string out =
        "# fish completion of sluice, made by `sluice completion fish`.\n"
        "complete -c sluice -f\n";
    walk(program, "", [&](const CommandInfo& command, const std::string& path) {
        put_fish_command(out, command, path);
    });
    return out;
}

}  // namespace sluice::cli
