// SPDX-License-Identifier: Apache-2.0

/// `sluice node tune`: what to change of the NICs for this machine; --apply does, --undo takes it
/// back. Without the daemon, which may not yet run.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/json.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/node_tuning.h"
#include "cli/table.h"
#include "config/parse.h"
#include "node/tuning_log.h"

namespace sluice::cli {
namespace {

using node::TuningEnd;
using node::TuningOutcome;
using node::TuningPlan;
using node::TuningStep;

/// Those that were named, else those of the node's configuration.
Result<std::vector<std::string>> chosen_interfaces(const Options& options) {
    if (!options.interfaces.empty()) return options.interfaces;
    const auto text = config::read_file(options.config_file);
    if (!text)
        return fail(Error(text.error()).advise("--interface names one without a configuration"));
    const config::ParseOutcome outcome = config::parse(*text, options.config_file);
    if (!outcome.ok())
        return fail(Errc::invalid, fmt::format("{} has errors", options.config_file),
                    "sluice config check shows them; --interface does without the file");
    return outcome.config.node.interfaces;
}

Result<std::vector<TuningPlan>> make_plans(const Options& options) {
    const auto interfaces = SLC_TRY(chosen_interfaces(options), "which interfaces");
    node::TuningWish wish;
    wish.queues = options.node.queues;
    wish.allow_reset = options.node.allow_reset;
    wish.cpus = SLC_TRY(kernel::parse_cpu_list(options.node.cpus), "--cpus");
    const auto machine = kernel::read_machine_layout();
    std::vector<TuningPlan> plans;
    for (const node::TunedNic& nic : SLC_TRY(node::read_nics(interfaces), "NICs"))
        plans.push_back(node::plan_tuning(nic, machine, wish));
    return plans;
}

Json json_of(const TuningStep& step) {
    return {{"setting", step.setting},         {"present", step.present},
            {"wanted", step.wanted},           {"why", step.why},
            {"resets_link", step.resets_link}, {"is_needed", step.is_needed}};
}

Json document_of(const std::vector<TuningPlan>& plans) {
    Json list = Json::array();
    for (const TuningPlan& plan : plans) {
        Json steps = Json::array();
        for (const TuningStep& step : plan.steps) steps.push_back(json_of(step));
        Json refused = Json::array();
        for (const node::RefusedStep& one : plan.refused) {
            refused.push_back(json_of(one.step));
            refused.back()["because"] = one.because;
        }
        list.push_back({{"interface", plan.interface},
                        {"steps", steps},
                        {"refused", refused},
                        {"notes", plan.notes}});
    }
    return {{"schema_version", api::kSchemaVersion}, {"interfaces", list}};
}

/// A table of 128 queues is no text for a column.
std::string short_value(const std::string& value) {
    constexpr std::size_t kMaxLen = 32;
    return value.size() <= kMaxLen ? value : value.substr(0, kMaxLen - 3) + "...";
}

void print_plan(const TuningPlan& plan) {
    if (plan.steps.empty()) fmt::print("{}: nothing to change\n", plan.interface);
    Table table({"INTERFACE", "SETTING", "NOW", "WANTED", "RESETS_LINK", "WHY"});
    for (const TuningStep& step : plan.steps)
        table.add({cell(plan.interface), cell(step.setting), cell(short_value(step.present)),
                   cell(short_value(step.wanted)),
                   cell(step.resets_link ? "yes" : "no",
                        step.resets_link ? Colour::warning : Colour::none),
                   cell(step.why)});
    if (!table.empty()) fmt::print("{}", table.text());
    for (const node::RefusedStep& one : plan.refused)
        fmt::print("{}: not {} {}: {}\n", plan.interface, one.step.setting,
                   short_value(one.step.wanted), one.because);
    for (const std::string& note : plan.notes) fmt::print("{}: {}\n", plan.interface, note);
}

Result<int> show_plans(const Options& options, const std::vector<TuningPlan>& plans) {
    if (is_document(options.format)) {
        print_document(document_of(plans), options.format);
        return kExitDone;
    }
    bool has_steps = false;
    for (const TuningPlan& plan : plans) {
        if (&plan != plans.data()) fmt::print("\n");
        print_plan(plan);
        has_steps = has_steps || !plan.steps.empty();
    }
    if (has_steps)
        print_hint("sluice node tune --apply makes these changes, --undo takes them back");
    return kExitDone;
}

Colour colour_of(TuningEnd end) {
    switch (end) {
        case TuningEnd::made:
        case TuningEnd::undone:
            return Colour::good;
        case TuningEnd::failed:
            return Colour::bad;
        case TuningEnd::skipped:
        case TuningEnd::left:
        case TuningEnd::postponed:
            return Colour::warning;
        case TuningEnd::gone:
            return Colour::faint;
    }
    return Colour::none;
}

Result<int> show_outcomes(const Options& options, const std::vector<TuningOutcome>& outcomes) {
    if (is_document(options.format))
        print_document(
            {{"schema_version", api::kSchemaVersion}, {"outcomes", outcomes_json(outcomes)}},
            options.format);
    else
        print_outcomes(outcomes);
    const bool has_failed =
        std::any_of(outcomes.begin(), outcomes.end(), [](const TuningOutcome& one) {
            return one.end == TuningEnd::failed || one.end == TuningEnd::postponed;
        });
    return has_failed ? kExitDegraded : kExitDone;
}

Result<int> apply(const Options& options) {
    const auto plans = SLC_TRY(make_plans(options), "node tune");
    auto log = node::TuningLog::open(options.instance.state_dir, node::DeviceNumbers::here());
    if (!log) return fail(std::move(log).error().in("node tune").advise("run it as root"));
    node::KernelNicPort port;
    const auto outcomes = SLC_TRY(node::apply_tuning(plans, port, *log), "node tune");
    if (!is_document(options.format))
        for (const TuningPlan& plan : plans)
            for (const node::RefusedStep& one : plan.refused)
                fmt::print(stderr, "{}: not {}: {}\n", plan.interface, one.step.setting,
                           one.because);
    return show_outcomes(options, outcomes);
}

Result<int> undo(const Options& options) {
    auto log = node::TuningLog::open(options.instance.state_dir, node::DeviceNumbers::here());
    if (!log) return fail(std::move(log).error().in("node tune").advise("run it as root"));
    node::KernelNicPort port;
    const auto outcomes =
        SLC_TRY(node::undo_tuning(port, *log, options.node.allow_reset), "node tune");
    return show_outcomes(options, outcomes);
}

}  // namespace

void print_outcomes(const std::vector<TuningOutcome>& outcomes) {
    if (outcomes.empty()) {
        fmt::print("nothing to change\n");
        return;
    }
    Table table({"INTERFACE", "SETTING", "FROM", "TO", "END", "BECAUSE"});
    for (const TuningOutcome& one : outcomes)
        table.add({cell(one.interface), cell(one.setting), cell(short_value(one.from)),
                   cell(short_value(one.to)), cell(name_of(one.end), colour_of(one.end)),
                   cell(one.error)});
    fmt::print("{}", table.text());
}

Json outcomes_json(const std::vector<TuningOutcome>& outcomes) {
    Json list = Json::array();
    for (const TuningOutcome& one : outcomes)
        list.push_back({{"interface", one.interface},
                        {"setting", one.setting},
                        {"from", one.from},
                        {"to", one.to},
                        {"end", name_of(one.end)},
                        {"error", one.error}});
    return list;
}

Result<int> run_node_tune(const Options& options) {
    if (options.node.undo && options.node.apply)
        return usage_error(make_error(Errc::invalid, "--apply and --undo exclude each other"),
                           "node tune");
    if (options.node.undo) return undo(options);
    if (options.node.apply) return apply(options);
    return show_plans(options, SLC_TRY(make_plans(options), "node tune"));
}

}  // namespace sluice::cli
