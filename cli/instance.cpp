// SPDX-License-Identifier: Apache-2.0

/// `sluice instance list|remove` and `sluice detach`: what of Sluice is in the kernel of this
/// machine, and how to be rid of it. Without the daemon.

#include "kernel/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/json.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/instance.h"
#include "cli/node_tuning.h"
#include "cli/table.h"
#include "control/leftovers.h"

namespace sluice::cli {
namespace {

using Info = kernel::Instance::Info;

Json document_of(const std::vector<Info>& instances) {
    Json list = Json::array();
    for (const Info& instance : instances) {
        Json generations = Json::array();
        for (const auto& generation : instance.generations)
            generations.push_back({{"generation", generation.number},
                                   {"live", generation.live},
                                   {"canary", generation.canary}});
        list.push_back({{"node", instance.node},
                        {"in_use", instance.in_use},
                        {"interfaces", instance.interfaces},
                        {"generations", generations}});
    }
    return {{"schema_version", api::kSchemaVersion}, {"instances", list}};
}

/// "40, 41 (live), 42 (canary)".
std::string generations_text(const Info& instance) {
    std::string out;
    for (const auto& generation : instance.generations)
        out += fmt::format("{}{}{}", out.empty() ? "" : ", ", generation.number,
                           generation.live     ? " (live)"
                           : generation.canary ? " (canary)"
                                               : "");
    return out;
}

Error with_advice(Error error) {
    if (error.code == Errc::conflict)
        return std::move(error).advise("stop the sluiced that has it: systemctl stop sluiced");
    if (error.code == Errc::denied) return std::move(error).advise("run it as root");
    return error;
}

Result<std::vector<Info>> all_instances(const Options& options) {
    auto found = kernel::Instance::list(options.instance.bpffs);
    if (!found) return fail(with_advice(std::move(found).error()));
    return found;
}

Result<void> remove_instance(const Options& options, const std::string& node) {
    auto removed = kernel::Instance::remove(options.instance.bpffs, node);
    if (!removed) return fail(with_advice(std::move(removed).error()).in(node));
    return {};
}

/// `node` may be empty: there was nothing to remove.
void print_removed(const Options& options, const std::string& node,
                   const std::vector<node::TuningOutcome>& tuning) {
    if (is_document(options.format)) {
        Json document = {{"schema_version", api::kSchemaVersion}, {"removed", node}};
        if (!tuning.empty()) document["tuning"] = outcomes_json(tuning);
        print_document(document, options.format);
        return;
    }
    if (node.empty())
        fmt::print("nothing of Sluice is in {}\n", options.instance.bpffs);
    else
        fmt::print("{} is removed: its packets are Linux's now\n", node);
    if (!tuning.empty()) print_outcomes(tuning);
}

}  // namespace

Result<int> run_instance_list(const Options& options) {
    const auto instances = SLC_TRY(all_instances(options), "instance list");
    if (is_document(options.format)) {
        print_document(document_of(instances), options.format);
        return kExitDone;
    }
    Table table({"NODE", "IN_USE", "INTERFACES", "GENERATIONS"});
    for (const Info& instance : instances)
        table.add({cell(instance.node), cell(instance.in_use ? "yes" : "no"),
                   cell(fmt::format("{}", fmt::join(instance.interfaces, ", "))),
                   cell(generations_text(instance))});
    fmt::print("{}", table.text());
    return kExitDone;
}

Result<int> run_instance_remove(const Options& options) {
    const auto instances = SLC_TRY(all_instances(options), "instance remove");
    std::vector<std::string> names;
    for (const Info& instance : instances) names.push_back(instance.node);
    if (std::find(names.begin(), names.end(), options.name) == names.end())
        return fail(Errc::not_found, fmt::format("instance remove: no instance '{}'", options.name),
                    suggestion(options.name, names, "sluice instance list shows them all"));
    SLC_CHECK(remove_instance(options, options.name), "instance remove");
    print_removed(options, options.name, {});
    return kExitDone;
}

Result<std::string> chosen_node(const Options& options) {
    if (!options.instance.node.empty()) return options.instance.node;
    const auto instances = all_instances(options);
    if (!instances) return fail(instances.error());
    if (instances->size() > 1)
        return fail(Errc::conflict, fmt::format("there are {} instances", instances->size()),
                    "sluice instance list shows them; --node says which");
    return instances->empty() ? std::string() : instances->front().node;
}

Result<int> run_detach(const Options& options) {
    const std::string node = SLC_TRY(chosen_node(options), "detach");
    if (!node.empty()) SLC_CHECK(remove_instance(options, node), "detach");
    // Whatever was to be kept: nobody handles packets for the VIPs from now on.
    const auto withdrawn = control::withdraw_leftovers(options.instance.state_dir,
                                                       options.config_file, control::Leftover::all);
    if (!withdrawn && withdrawn.error().code != Errc::not_found)
        fmt::print(stderr, "warning: {}\n", withdrawn.error().what);
    std::vector<node::TuningOutcome> tuning;
    // NICs are tuned for all instances of a machine: the last one takes it back.
    if (SLC_TRY(all_instances(options), "detach").empty())
        tuning = SLC_TRY(node::undo_tuning(options.instance.state_dir), "detach");
    print_removed(options, node, tuning);
    return kExitDone;
}

}  // namespace sluice::cli
