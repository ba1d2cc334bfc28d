// SPDX-License-Identifier: Apache-2.0

/// `sluice config plan|diff|apply|confirm|rollback`: changes of the configuration, and what they
/// would be. A file is checked here first, so that its errors show without a daemon too.

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/config_request.h"
#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/canary.h"
#include "cli/change_text.h"
#include "cli/commands.h"
#include "cli/config_source.h"
#include "cli/daemon.h"
#include "cli/user.h"

namespace sluice::cli {
namespace {

/// The text that was asked about, if it was: valid as far as can be said without the node.
Result<api::ConfigBody> source_of(const ConfigOptions& options) {
    api::ConfigBody out;
    if (options.file.empty()) return out;
    out.has_text = true;
    auto source = read_source(options.file);
    if (!source) return fail(std::move(source).error());
    out.request.text = std::move(source->text);
    out.request.file = std::move(source->file);
    out.request.directory = std::move(source->directory);
    return out;
}

Result<std::string> apply_body(const ConfigOptions& options) {
    auto body = source_of(options);
    if (!body) return fail(std::move(body).error());
    control::ApplyRequest& request = body->request;
    if (!options.road.empty()) request.road = plan::road_of(options.road);
    if (!options.confirm_within.empty())
        request.confirm_within = SLC_TRY(parse_duration(options.confirm_within), "confirm-within");
    if (!options.canary.empty()) request.canary = SLC_TRY(parse_canary(options.canary), "canary");
    request.author = options.author.empty() ? user_name() : options.author;
    request.message = options.message;
    request.dry_run = options.dry_run;
    return api::apply_body(*body);
}

/// The exit code of a plan that was printed; a conflict when it would be refused.
Result<int> judge(const Options& options, const Json& plan) {
    const std::string why = objection(plan);
    if (!why.empty())
        return fail(Errc::conflict, "this change would be refused: " + why,
                    member_at(member_at(plan, "proof"), "failures").empty()
                        ? "proof.max_moved is the bound"
                        : "each test that does not hold is listed with its line");
    const bool is_pending = !member_at(plan, "changes").empty();
    return options.config.detailed_exit_code && is_pending ? kExitPending : kExitDone;
}

Result<int> show_plan(const Options& options, const Json& document, const Json& plan) {
    if (is_document(options.format))
        print_document(document, options.format);
    else
        fmt::print("{}", plan_text(plan, options.format == Format::wide));
    return judge(options, plan);
}

int show_applied(const Options& options, const Json& applied) {
    if (is_document(options.format)) {
        print_document(applied, options.format);
        return kExitDone;
    }
    const Json& plan = member_at(applied, "plan");
    if (member_at(plan, "changes").empty() && number_at(applied, "generation") == 0)
        fmt::print("nothing changes: ");
    else if (!member_at(plan, "changes").empty())
        fmt::print("{}\n", plan_summary(plan));
    fmt::print("{}", outcome_text(applied));
    return kExitDone;
}

}  // namespace

Result<int> run_config_plan(const Options& options) {
    const std::string body = SLC_TRY(apply_body(options.config), "config plan");
    const Json plan = SLC_TRY(send(options, "/api/v1/config/plan", body), "config plan");
    auto code = show_plan(options, plan, plan);
    return code ? code : fail(std::move(code).error().in("config plan"));
}

Result<int> run_config_apply(const Options& options) {
    const std::string body = SLC_TRY(apply_body(options.config), "config apply");
    const Json applied = SLC_TRY(send(options, "/api/v1/config/apply", body), "config apply");
    if (!options.config.dry_run) return show_applied(options, applied);
    auto code = show_plan(options, applied, member_at(applied, "plan"));
    return code ? code : fail(std::move(code).error().in("config apply"));
}

Result<int> run_config_diff(const Options& options) {
    auto source = SLC_TRY(source_of(options.config), "config diff");
    source.request.directory.clear();
    const std::string body = SLC_TRY(api::apply_body(source), "config diff");
    const Json drift = SLC_TRY(send(options, "/api/v1/config/drift", body), "config diff");
    const Json& changes = member_at(drift, "changes");
    if (is_document(options.format))
        print_document(drift, options.format);
    else if (changes.empty())
        fmt::print("no drift: what runs is what {} says\n", text_at(drift, "file"));
    else
        fmt::print(
            "{} between what runs and {}\n\n{}", counted(changes.size(), "difference"),
            text_at(drift, "file"),
            changes_text(changes, options.format == Format::wide ? changes.size() : kMaxChanges));
    return options.config.detailed_exit_code && !changes.empty() ? kExitPending : kExitDone;
}

Result<int> run_config_confirm(const Options& options) {
    const std::string body = api::generation_body({{}, user_name(), {}});
    const Json document = SLC_TRY(send(options, "/api/v1/config/confirm", body), "config confirm");
    if (is_document(options.format))
        print_document(document, options.format);
    else
        fmt::print("generation {} is confirmed and stays\n", number_at(document, "generation"));
    return kExitDone;
}

Result<int> run_config_rollback(const Options& options) {
    api::GenerationBody body;
    if (options.config.generation > 0) body.generation = options.config.generation;
    body.author = options.config.author.empty() ? user_name() : options.config.author;
    body.message = options.config.message;
    const Json applied = SLC_TRY(
        send(options, "/api/v1/config/rollback", api::generation_body(body)), "config rollback");
    return show_applied(options, applied);
}

}  // namespace sluice::cli
