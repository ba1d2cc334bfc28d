// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What tree.cpp and the tree_*.cpp share: the tree under construction. Each family of commands is
/// hung into it by a function of its own. No other file includes CLI11.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/duration.h"
#include "cli/commands.h"
#include "cli/tree.h"

namespace sluice::cli {

/// The CLI11 tree and what its leaves stand for.
struct Tree {
    CLI::App app{"Talks to sluiced, the layer-4 load balancer in XDP.", "sluice"};
    Options options;
    std::string format = "table";
    bool json = false;
    bool version = false;
    std::map<const CLI::App*, Run> runs;
    std::map<const CLI::Option*, std::vector<std::string>> choices;

    CLI::App* noun(CLI::App& parent, const std::string& name, const std::string& text) {
        CLI::App* app = parent.add_subcommand(name, text);
        app->fallthrough();
        app->require_subcommand(0, 1);
        app->set_help_flag();  // --help is the root's, like all options of every command.
        return app;
    }

    CLI::App* verb(CLI::App& parent, const std::string& name, Run run, const std::string& text) {
        CLI::App* app = noun(parent, name, text);
        runs[app] = run;
        return app;
    }

    void allow(CLI::Option* option, const std::vector<std::string>& values) {
        choices[option] = values;
        option->check(CLI::Validator(
            [values](std::string& value) {
                if (std::find(values.begin(), values.end(), value) != values.end())
                    return std::string();
                return fmt::format("'{}' is not one of {}", value, fmt::join(values, ", "));
            },
            "", ""));
    }
};

inline CLI::Option* add_file(CLI::App* app, std::string& file, const std::string& text) {
    return app->add_option("-f,--file", file, text)->type_name("FILE");
}

/// A number within bounds, with a message of our own.
inline CLI::Validator whole_number(std::uint64_t least, std::uint64_t most,
                                   const std::string& what) {
    return CLI::Validator(
        [least, most, what](std::string& value) {
            std::uint64_t number = 0;
            const char* end = value.data() + value.size();
            const auto [last, error] = std::from_chars(value.data(), end, number);
            const bool is_right =
                error == std::errc() && last == end && least <= number && number <= most;
            return is_right ? std::string()
                            : fmt::format("'{}' is not a {} ({}..{})", value, what, least, most);
        },
        "", "");
}

/// A word that must be one for `parse`, whose error ends a sentence that begins with the word.
template <typename Parse>
CLI::Validator parsed_by(Parse parse) {
    return CLI::Validator(
        [parse](std::string& word) {
            const auto parsed = parse(word);
            return parsed ? std::string() : fmt::format("'{}' {}", word, parsed.error().what);
        },
        "", "");
}

inline CLI::Option* add_duration(CLI::App* app, const std::string& name, std::string& value,
                                 const std::string& text) {
    return app->add_option(name, value, text)
        ->type_name("DURATION")
        ->check(parsed_by(parse_duration));
}

void add_explain(Tree& tree);                  // tree_explain.cpp
void add_health(Tree& tree);                   // tree_health.cpp: health list, health show
void add_watching(Tree& tree);                 // tree_watch.cpp: observe, events
void add_capture(Tree& tree);                  // tree_capture.cpp
void add_top(Tree& tree);                      // tree_top.cpp: top, and the verbs of map
void add_machine(Tree& tree, CLI::App& node);  // tree_node.cpp: node drops, node tune
void add_announcing(Tree& tree, CLI::App& node);

}  // namespace sluice::cli
