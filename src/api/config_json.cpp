// SPDX-License-Identifier: Apache-2.0
#include "api/config_json.h"

#include <array>
#include <utility>

#include "api/json.h"
#include "api/json_of.h"

namespace sluice::api {
namespace {

using namespace control;

/// Who may read the API need not be able to aim at slots.
std::string value_of(const plan::Change& change, const std::string& value) {
    return change.field == "ring_secret" && !value.empty() ? "<redacted>" : value;
}

Json json_of(const plan::Change& change) {
    return {{"kind", plan::name_of(change.kind)},
            {"what", change.what},
            {"field", change.field},
            {"before", value_of(change, change.before)},
            {"after", value_of(change, change.after)},
            {"road", plan::name_of(change.road)},
            {"why", change.why}};
}

Json json_of(const plan::RingMove& move) {
    return {{"group", move.group},
            {"balance", config::name_of(move.balance)},
            {"ring_slots", move.slots},
            {"moved_slots", move.moved}};
}

Json json_of(const plan::TableUse& table) {
    return {{"name", table.name},
            {"used", table.used},
            {"capacity", table.capacity},
            {"bytes", table.bytes}};
}

Json json_of(const plan::Estimate& estimate) {
    return {{"time_us", estimate.time.count()}, {"memory_bytes", estimate.memory}};
}

Json json_of(const TestFailure& failure) {
    return {{"test", failure.test}, {"where", failure.where}, {"text", failure.text}};
}

Json json_of(const ReplayDifference& difference) {
    return {{"packet", difference.packet},
            {"was", difference.was},
            {"now", difference.now},
            {"count", difference.count}};
}

template <typename T>
Json list_of(const std::vector<T>& values) {
    Json out = Json::array();
    for (const T& value : values) out.push_back(json_of(value));
    return out;
}

Json json_of(const ProofReport& proof) {
    return {{"tests", proof.tests},
            {"packets", proof.packets},
            {"failures", list_of(proof.failures)},
            {"replayed", proof.replayed},
            {"moved", proof.moved},
            {"changed", proof.changed},
            {"max_moved", proof.max_moved ? Json(*proof.max_moved) : Json()},
            {"differences", list_of(proof.differences)},
            {"took_us", proof.took.count()}};
}

/// What every road would cost; those that are not consistent for the change cost nothing.
Json roads_of(const plan::ChangePlan& plan) {
    constexpr std::array<plan::Road, 3> kRoads = {plan::Road::entry, plan::Road::map,
                                                  plan::Road::program};
    Json out = Json::array();
    for (std::size_t i = 0; i < kRoads.size() && i < plan.by_road.size(); ++i) {
        Json road = {{"road", plan::name_of(kRoads[i])},
                     {"consistent", plan.by_road[i].time.count() > 0}};
        road.update(json_of(plan.by_road[i]));
        out.push_back(std::move(road));
    }
    return out;
}

void put_plan(Json& out, const PlanReport& report) {
    const plan::ChangePlan& plan = report.plan;
    out["base"] = report.base;
    out["digest"] = report.digest;
    out["road"] = plan::name_of(report.road);
    out["holds"] = report.holds;
    out["changes"] = list_of(plan.changes);
    out["slots"] = plan.slots;
    out["moved_slots"] = plan.moved;
    out["rings"] = list_of(plan.moves);
    out["tables"] = list_of(plan.tables);
    out["estimate"] = json_of(plan.estimate);
    out["roads"] = roads_of(plan);
    out["loses_rollback"] = plan.loses_rollback;
    out["notes"] = plan.notes;
    out["proof"] = json_of(report.proof);
    Json parts = Json::array();
    std::chrono::microseconds sum{0};
    std::optional<std::chrono::microseconds> effect, total;
    for (const auto& [part, took] : report.times) {
        if (part == "effect") {
            effect = took;
        } else if (part == "total") {
            total = took;
        } else {
            parts.push_back({{"part", part}, {"took_us", took.count()}});
            sum += took;
        }
    }
    out["parts"] = std::move(parts);
    if (effect) out["effect_us"] = effect->count();
    out["took_us"] = total.value_or(sum).count();
}

std::string time_or_empty(const std::optional<history::WallTime>& at) {
    return at ? time_text(*at) : std::string();
}

Json json_of(const GenerationStatus& generation) {
    const history::Record& record = generation.record;
    return {{"generation", record.generation},
            {"base", record.base},
            {"restores", record.restores},
            {"outcome", history::name_of(record.outcome)},
            {"error", record.error},
            {"live", generation.live},
            {"loaded", generation.loaded},
            {"canary", generation.canary},
            {"at", time_text(record.at)},
            {"ended", time_or_empty(record.ended)},
            {"confirm_by", time_or_empty(record.confirm_by)},
            {"author", record.author},
            {"message", record.message},
            {"road", record.road},
            {"file", record.file},
            {"digest", record.digest}};
}

Json counts(std::uint64_t packets, std::uint64_t dropped) {
    return {{"packets", packets}, {"dropped_packets", dropped}};
}

}  // namespace

std::string plan_json(const PlanReport& report) {
    Json out = document();
    put_plan(out, report);
    return text_of(out);
}

std::string apply_json(const ApplyReport& report, std::optional<history::WallTime> confirm_by) {
    Json out = document();
    out["generation"] = report.generation;
    out["outcome"] = history::name_of(report.outcome);
    out["confirm_left_s"] = report.confirm_left ? Json(report.confirm_left->count()) : Json();
    out["confirm_by"] = report.confirm_left ? time_or_empty(confirm_by) : std::string();
    Json plan = Json::object();
    put_plan(plan, report.plan);
    out["plan"] = std::move(plan);
    return text_of(out);
}

std::string confirmed_json(std::uint32_t generation) {
    Json out = document();
    out["status"] = "confirmed";
    out["generation"] = generation;
    return text_of(out);
}

std::string history_json(const std::vector<GenerationStatus>& generations) {
    Json out = document();
    Json rows = Json::array();
    for (const GenerationStatus& generation : generations) rows.push_back(json_of(generation));
    out["generations"] = std::move(rows);
    return text_of(out);
}

std::string generation_json(const GenerationStatus& generation) {
    Json out = document();
    out.update(json_of(generation));
    out["text"] = redact(generation.record.text);
    return text_of(out);
}

std::string canary_json(const CanaryStatus& canary) {
    Json out = document();
    out["generation"] = canary.generation;
    out["interfaces"] = canary.what.interfaces;
    out["share"] = canary.what.share;
    out["since"] = time_text(canary.since);
    out["traffic"] = counts(canary.packets, canary.dropped_packets);
    out["others"] = counts(canary.other_packets, canary.other_dropped_packets);
    return text_of(out);
}

std::string drift_json(const std::string& file, const std::vector<plan::Change>& changes) {
    Json out = document();
    out["file"] = file;
    out["changes"] = list_of(changes);
    return text_of(out);
}

std::string file_json(const std::string& file, std::string_view text) {
    Json out = document();
    out["config_file"] = file;
    out["text"] = redact(text);
    return text_of(out);
}

}  // namespace sluice::api
