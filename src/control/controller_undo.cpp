// SPDX-License-Identifier: Apache-2.0

/// Back: confirmations that never came, rollbacks, and what history knows.

#include <algorithm>

#include "base/digest.h"
#include "base/log.h"
#include "config/load.h"
#include "control/controller.h"
#include "control/retained.h"
#include "kernel/grace_period.h"

namespace sluice::control {

Result<void> Controller::confirm() {
    if (!awaiting_)
        return fail(Errc::not_found, "no change waits for a confirmation",
                    "sluice config history shows how the last ones ended");
    SLC_CHECK(history_->confirm(awaiting_->number), "confirm");
    log_event(LogLevel::info, "config.confirmed",
              {{"generation", std::to_string(awaiting_->number)}});
    awaiting_.reset();
    return {};
}

/// Once a second: what was not confirmed in time goes.
void Controller::watch_confirmation() {
    if (!awaiting_ || wall_now() < awaiting_->until) return;
    const Awaiting late = *awaiting_;
    auto outcome = go_back(late.base, "confirmation",
                           "generation " + std::to_string(late.number) + " was not confirmed");
    log_event(outcome ? LogLevel::warning : LogLevel::error, "config.undone",
              {{"generation", std::to_string(late.number)},
               {"in_force", std::to_string(live_->number)},
               {"error", outcome ? "" : outcome.error().what}});
    // What cannot be undone now is tried again, and said, but not every second.
    if (!outcome && awaiting_) awaiting_->until = wall_now() + std::chrono::seconds(10);
}

Result<ApplyReport> Controller::rollback(std::optional<std::uint32_t> generation,
                                         const std::string& author, const std::string& message) {
    if (!live_) return fail(Errc::unreachable, "no configuration is in force yet");
    if (canary_) return fail(ready_for_change().error());
    std::uint32_t number = 0;
    if (generation) {
        number = *generation;
    } else {
        const auto record = SLC_TRY(history_->get(live_->number), "rollback");
        number = record.restores != 0 ? base_of(record.restores) : record.base;
        if (number == 0)
            return fail(Errc::not_found,
                        "there is no generation before " + std::to_string(live_->number),
                        "sluice config history lists them");
    }
    if (number == live_->number)
        return fail(Errc::conflict, "generation " + std::to_string(number) + " is in force",
                    "sluice config history lists the others");
    auto out = SLC_TRY(go_back(number, author, message), "rollback");
    log_event(LogLevel::info, "config.rolled_back",
              {{"generation", std::to_string(out.generation)},
               {"restores", std::to_string(number)},
               {"author", author},
               {"road", plan::name_of(out.plan.road)}});
    return out;
}

/// The one before a generation; 0 when there is none, or nobody knows any more.
std::uint32_t Controller::base_of(std::uint32_t number) const {
    const auto record = history_->get(number);
    return record ? record->base : 0;
}

/// To the text of `number`, as a new generation: by one swap where it is still loaded.
Result<ApplyReport> Controller::go_back(std::uint32_t number, const std::string& author,
                                        const std::string& message) {
    const auto began = Clock::now();
    const history::Record record = SLC_TRY(history_->get(number), "generation");
    if (record.outcome == history::Outcome::refused)
        return fail(Errc::conflict,
                    "generation " + std::to_string(number) + " never took effect: " + record.error,
                    "sluice config history lists those that did");
    const std::optional<Awaiting> late = std::exchange(awaiting_, std::nullopt);
    ApplyRequest request;
    request.text = record.text;
    request.file = record.file;
    request.directory = directory_for(record.file);
    request.author = author;
    request.message = message;
    auto out = swap_back(number, request, began);
    if (!out && out.error().code == Errc::conflict) {
        // What was in force once needs no leave to come back, whatever its tests say by now.
        auto candidate = consider(request, began, Proving::no);
        out = candidate ? apply_considered(std::move(*candidate), request, number, began)
                        : Result<ApplyReport>(fail(std::move(candidate).error()));
    }
    if (!out) {
        awaiting_ = late;
        return out;
    }
    // The same text and tables once more: then it is the one that waited that stays.
    if (late)
        note_finish(
            late->number,
            out->generation == late->number ? history::Outcome::in_force : history::Outcome::undone,
            {});
    return out;
}

/// Errc::conflict when that generation is not loaded, or cannot come back by a swap.
Result<ApplyReport> Controller::swap_back(std::uint32_t number, const ApplyRequest& request,
                                          Clock::time_point began) {
    SLC_CHECK(wake(number), "wake");
    const auto found = std::find_if(retained_.begin(), retained_.end(),
                                    [&](const Loaded& each) { return each.number == number; });
    if (found == retained_.end()) return fail(Errc::conflict, "not loaded");
    Loaded target = std::move(*found);
    retained_.erase(found);
    const bool is_stale =
        !uses_state(*target.generation) ||
        (target.config.node.decap && target.config.node.decap->addresses.empty() &&
         target.address_revision != network_->revision().addresses);
    if (is_stale) {
        drop_generation(target.pinned);
        return fail(Errc::conflict, "its state maps or addresses are those of before");
    }
    ApplyReport out;
    out.plan.base = live_->number;
    out.plan.digest = target.digest;
    out.plan.road = plan::Road::program;
    plan::LiveRings rings = SLC_TRY(rings_before(), "rings");
    const auto reconciled =
        reconcile(target, *live_, std::move(rings), live_->ids, overrides(), *network_);
    if (!reconciled) {
        watch_all();
        (void)instance_->drop(target.pinned);
        return fail(Errc::conflict, reconciled.error().what);
    }
    out.plan.times.emplace_back(
        "reconcile", std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began));
    history::Begin what;
    what.base = live_->number;
    what.restores = number;
    what.text = target.text;
    what.digest = target.digest;
    what.file = request.file;
    what.file_digest = file_digest();
    what.author = request.author;
    what.message = request.message;
    auto begun = history_->begin(what, instance_->next_generation() - 1);
    if (!begun) {
        retained_.insert(retained_.begin(), std::move(target));
        watch_all();
        return fail(std::move(begun).error());
    }
    out.generation = *begun;
    target.number = out.generation;
    out.plan.times.emplace_back(
        "journal", std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began) -
                       out.plan.times.back().second);
    auto done = make_live(target);
    if (!done) {
        note_finish(out.generation, history::Outcome::refused, "program", done.error().what);
        done.error().code = Errc::internal;  // Loading it again would fail, too.
        // It may come back another time: reconciling it begins anew each time.
        target.number = number;
        (void)keep_meta(target);
        retained_.insert(retained_.begin(), std::move(target));
        return fail(std::move(done).error());
    }
    note_finish(out.generation, history::Outcome::in_force, "program");
    note_total(out, began);
    out.plan.plan.notes.push_back("still loaded: one swap; " +
                                  std::to_string(reconciled->rings_that_differ) + " of " +
                                  std::to_string(reconciled->rings) + " rings were built anew");
    announce(out, request);
    return out;
}

/// One that an earlier daemon had loaded is taken over when it is asked for.
Result<void> Controller::wake(std::uint32_t number) {
    const auto found = std::find_if(sleeping_.begin(), sleeping_.end(),
                                    [&](const Sleeping& each) { return each.number == number; });
    if (found == sleeping_.end()) return {};
    const Sleeping asleep = *found;
    sleeping_.erase(found);
    const auto record = SLC_TRY(history_->get(number), "generation");
    auto loaded = wake_as(asleep, record);
    if (loaded) {
        retained_.insert(retained_.begin(), std::move(*loaded));
        return {};
    }
    log_event(LogLevel::warning, "generation.not_adopted",
              {{"directory", asleep.directory}, {"why", loaded.error().what}});
    return {};  // Then its text is applied.
}

Result<Loaded> Controller::wake_as(const Sleeping& asleep, const history::Record& record) {
    Choice choice = SLC_TRY(choose_record(record), "wake");
    Loaded out = SLC_TRY(adopt(asleep.directory, choice), "wake");
    out.number = asleep.number;
    out.pinned = asleep.pinned;
    out.before = {};
    out.wanted = {};
    return out;
}

Result<std::vector<GenerationStatus>> Controller::history(std::uint32_t limit) {
    if (!history_) return fail(Errc::unreachable, "no configuration is in force yet");
    std::vector<GenerationStatus> out;
    for (const auto& record : SLC_TRY(history_->list(limit), "history"))
        out.push_back(describe(record));
    return out;
}

Result<GenerationStatus> Controller::generation(std::uint32_t number) {
    if (!history_) return fail(Errc::unreachable, "no configuration is in force yet");
    return describe(SLC_TRY(history_->get(number), "history"));
}

GenerationStatus Controller::describe(const history::Record& record) const {
    GenerationStatus out;
    out.record = record;
    out.live = live_ && live_->number == record.generation;
    out.canary = canary_ && canary_->loaded.number == record.generation;
    const auto is_this = [&](const auto& each) { return each.number == record.generation; };
    out.loaded = out.live || out.canary ||
                 std::any_of(retained_.begin(), retained_.end(), is_this) ||
                 std::any_of(sleeping_.begin(), sleeping_.end(), is_this);
    return out;
}

Result<std::vector<plan::Change>> Controller::drift(const std::string& text,
                                                    const std::string& file) {
    if (!live_) return fail(Errc::unreachable, "no configuration is in force yet");
    const std::string name = file.empty() ? options_.config_file : file;
    const auto config = SLC_TRY(read_config(text, name, directory_for(file)), "diff");
    return plan::make_drift(live_->config, overrides_.overrides(), config);
}

Result<std::string> Controller::file_text() {
    return config::read_file(options_.config_file);
}

}  // namespace sluice::control
