// SPDX-License-Identifier: Apache-2.0
#include "control/node_state.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "base/log.h"

namespace sluice::control {
namespace {

using Json = nlohmann::json;
using Time = NodeStanding::Time;

constexpr int kSchemaVersion = 1;
constexpr NodeState kStates[] = {NodeState::ready, NodeState::draining, NodeState::drained};

std::int64_t seconds_of(Time time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

tl::unexpected<Error> faulty(const std::string& what) {
    return fail(Errc::invalid, what);
}

/// Whole seconds: what is kept is what is.
Time whole(Time time) {
    return std::chrono::floor<std::chrono::seconds>(time);
}

Result<void> take_field(NodeStanding& out, const std::string& name, const Json& value) {
    if (name == "state" && value.is_string()) {
        for (const NodeState state : kStates) {
            if (value.get_ref<const std::string&>() != name_of(state)) continue;
            out.state = state;
            return {};
        }
        return faulty("state");
    }
    if (name == "until_quiet" && value.is_boolean()) {
        out.until_quiet = value.get<bool>();
        return {};
    }
    if (!value.is_number_integer()) return faulty(name);
    constexpr std::int64_t kLatest{32'503'680'000};  // The year 3000: no sum of ours overflows.
    const std::int64_t seconds = value.get<std::int64_t>();
    if (seconds < 0 || seconds > kLatest) return faulty(name);
    const Time time{std::chrono::seconds(seconds)};
    if (name == "since")
        out.since = time;
    else if (name == "withdraw_at")
        out.withdraw_at = time;
    else if (name == "deadline")
        out.deadline = time;
    else if (name == "ready_at")
        out.ready_at = time;
    else if (name != "schema_version")
        return faulty(name);
    return {};
}

Result<NodeStanding> read_standing(const std::string& text) {
    NodeStanding out;
    const Json parsed = Json::parse(text, nullptr, false);
    if (!parsed.is_object() || parsed.value("schema_version", Json()) != kSchemaVersion)
        return faulty("not what this version writes");
    for (const auto& [name, value] : parsed.items())
        SLC_CHECK(take_field(out, name, value), "a field of another version");
    return out;
}

}  // namespace

const char* name_of(NodeState state) {
    switch (state) {
        case NodeState::ready:
            return "ready";
        case NodeState::draining:
            return "draining";
        case NodeState::drained:
            return "drained";
    }
    return "?";
}

Result<NodeDuty> NodeDuty::load(const std::string& path) {
    NodeDuty out;
    out.path_ = path;
    auto text = read_whole_file(path);
    if (!text && text.error().code == Errc::not_found) return out;
    if (!text) return fail(std::move(text).error());
    auto read = read_standing(*text);
    if (read)
        out.standing_ = std::move(*read);
    else
        log_event(LogLevel::error, "node.state_not_kept",
                  {{"error", path + ": " + read.error().what + ": taken for ready"}});
    return out;
}

Result<void> NodeDuty::save(const NodeStanding& standing) const {
    Json out{{"schema_version", kSchemaVersion},
             {"state", name_of(standing.state)},
             {"since", seconds_of(standing.since)}};
    if (standing.state == NodeState::draining) {
        out["withdraw_at"] = seconds_of(standing.withdraw_at);
        out["until_quiet"] = standing.until_quiet;
        if (standing.deadline) out["deadline"] = seconds_of(*standing.deadline);
    }
    if (standing.ready_at) out["ready_at"] = seconds_of(*standing.ready_at);
    return write_file(path_, out.dump(2) + "\n");
}

Result<void> NodeDuty::order(const NodeOrder& order, std::chrono::seconds drain, Time now) {
    now = whole(now);
    NodeStanding next;
    next.since = now;
    if (order.drain) {
        next.state = NodeState::draining;
        next.withdraw_at = now + drain;
        next.until_quiet = order.until_quiet;
        if (order.deadline) next.deadline = now + *order.deadline;
        if (order.keep) next.ready_at = now + *order.keep;
        if (standing_.state == NodeState::drained) {
            next = standing_;
            next.ready_at.reset();
            if (order.keep) next.ready_at = now + *order.keep;
        } else if (standing_.state == NodeState::draining) {
            next.since = standing_.since;
            next.withdraw_at = standing_.withdraw_at;
        }
    } else if (standing_.state == NodeState::ready) {
        return {};
    }
    // An order that a restart would forget is none.
    SLC_CHECK(save(next), "node state");
    take(std::move(next));
    return {};
}

bool NodeDuty::pass(Time now, bool is_quiet) {
    if (standing_.state == NodeState::ready) return false;
    NodeStanding next;
    next.since = whole(now);
    const bool is_over = standing_.ready_at && *standing_.ready_at <= now;
    const bool is_late = standing_.deadline && *standing_.deadline <= now;
    const bool is_due =
        is_late || (standing_.withdraw_at <= now && (is_quiet || !standing_.until_quiet));
    if (!is_over && (standing_.state == NodeState::drained || !is_due)) return false;
    if (!is_over) {
        next.state = NodeState::drained;
        next.ready_at = standing_.ready_at;
    }
    if (auto saved = save(next); !saved)
        log_event(LogLevel::error, "node.state_not_kept", {{"error", saved.error().what}});
    take(std::move(next));
    return true;
}

void NodeDuty::take(NodeStanding standing) {
    if (standing.state != standing_.state)
        log_event(LogLevel::info, "node.state",
                  {{"from", name_of(standing_.state)}, {"to", name_of(standing.state)}});
    standing_ = std::move(standing);
}

}  // namespace sluice::control
