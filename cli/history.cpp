// SPDX-License-Identifier: Apache-2.0

/// `sluice config history` and `sluice config show N`: what was applied, by whom, and what became
/// of it.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/history.h"
#include "cli/table.h"

namespace sluice::cli {
namespace {

constexpr std::size_t kShownDigest = 12;

Cell outcome_cell(const Json& generation) {
    const std::string outcome = text_at(generation, "outcome");
    if (outcome == "in_force") return cell(outcome, Colour::good);
    if (outcome == "refused" || outcome == "undone") return cell(outcome, Colour::bad);
    return cell(outcome, outcome == "replaced" ? Colour::none : Colour::warning);
}

/// Where it is: packets go to it, or rolling back to it is one swap.
Cell kept_cell(const Json& generation) {
    if (flag_at(generation, "live")) return cell("live", Colour::good);
    if (flag_at(generation, "canary")) return cell("canary", Colour::warning);
    return cell(flag_at(generation, "loaded") ? "loaded" : "");
}

/// What its author said, or why it is not in force.
std::string message_of(const Json& generation) {
    const std::string message = first_line(text_at(generation, "message"));
    const std::string error = first_line(text_at(generation, "error"));
    const std::uint64_t restores = number_at(generation, "restores");
    std::string out = message;
    if (restores > 0) out += fmt::format("{}(as generation {})", out.empty() ? "" : " ", restores);
    if (!error.empty()) out += (out.empty() ? "" : ": ") + error;
    return out;
}

}  // namespace

Result<int> run_config_history(const Options& options) {
    const Json document = SLC_TRY(
        fetch(options, fmt::format("/api/v1/config/history?limit={}", options.config.limit)),
        "config history");
    if (is_document(options.format)) {
        print_document(document, options.format);
        return kExitDone;
    }
    const bool is_wide = options.format == Format::wide;
    std::vector<std::string> headings = {"GENERATION", "TIME", "AUTHOR", "ROAD", "OUTCOME", "KEPT"};
    if (is_wide) headings.insert(headings.end(), {"BASE", "CONFIRM_BY", "DIGEST", "FILE"});
    headings.emplace_back("MESSAGE");
    Table table(headings);
    for (const Json& row : member_at(document, "generations")) {
        std::vector<Cell> cells = {cell(std::to_string(number_at(row, "generation"))),
                                   cell(time_for_people(text_at(row, "at"))),
                                   cell(text_at(row, "author")),
                                   cell(text_at(row, "road")),
                                   outcome_cell(row),
                                   kept_cell(row)};
        const std::string confirm_by = text_at(row, "confirm_by");
        if (is_wide)
            cells.insert(
                cells.end(),
                {cell(std::to_string(number_at(row, "base"))),
                 cell(confirm_by.empty() ? confirm_by : time_for_people(confirm_by)),
                 cell(text_at(row, "digest").substr(0, kShownDigest)), cell(text_at(row, "file"))});
        cells.push_back(cell(message_of(row)));
        table.add(std::move(cells));
    }
    fmt::print("{}", table.text());
    return kExitDone;
}

Result<int> show_generation(const Options& options) {
    const Json document = SLC_TRY(
        fetch(options, fmt::format("/api/v1/config/generations/{}", options.config.generation)),
        "config show");
    if (is_document(options.format)) {
        print_document(document, options.format);
        return kExitDone;
    }
    // Comments, so that what is printed stays a configuration.
    fmt::print("# generation {}: {}, {} by {}\n", number_at(document, "generation"),
               text_at(document, "outcome"), time_for_people(text_at(document, "at")),
               text_at(document, "author"));
    const std::string message = message_of(document);
    if (!message.empty()) fmt::print("# {}\n", message);
    const std::string text = text_at(document, "text");
    fmt::print("{}{}", text, text.empty() || text.ends_with('\n') ? "" : "\n");
    return kExitDone;
}

}  // namespace sluice::cli
