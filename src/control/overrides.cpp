// SPDX-License-Identifier: Apache-2.0
#include "control/overrides.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "sluice/limits.h"

namespace sluice::control {
namespace {

using Json = nlohmann::json;
using config::BackendState;

constexpr int kSchemaVersion = 1;
constexpr std::array kStates{BackendState::ready, BackendState::drain, BackendState::maint,
                             BackendState::down};

tl::unexpected<Error> faulty(const std::string& what) {
    return fail(
        Errc::invalid, "runtime overrides: " + what,
        "restore the file from a backup, or remove it: every backend is then as configured");
}

std::optional<BackendState> state_from(const Json& value) {
    if (!value.is_string()) return std::nullopt;
    for (const BackendState state : kStates)
        if (value.get_ref<const std::string&>() == config::name_of(state)) return state;
    return std::nullopt;
}

WallTime time_from(const Json& value) {
    return WallTime(std::chrono::seconds(value.get<std::int64_t>()));
}

std::int64_t seconds_of(WallTime time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

Result<KeptOverride> read_one(const std::string& member, const Json& value) {
    KeptOverride out;
    if (!value.is_object()) return faulty(member + " is no object");
    for (const auto& [name, field] : value.items()) {
        if (name == "state") {
            out.what.state = state_from(field);
            if (!out.what.state) return faulty(member + ": state");
        } else if (name == "weight" && field.is_number_unsigned() &&
                   field.get<std::uint64_t>() <= SLC_MAX_WEIGHT) {
            out.what.weight = field.get<std::uint32_t>();
        } else if (name == "state_until" && field.is_number_integer()) {
            out.state_until = time_from(field);
        } else if (name == "weight_until" && field.is_number_integer()) {
            out.weight_until = time_from(field);
        } else if (name == "deadline" && field.is_number_integer()) {
            out.deadline = time_from(field);
        } else {
            return faulty(member + ": " + name);
        }
    }
    return out;
}

Json write_one(const KeptOverride& kept) {
    Json out = Json::object();
    if (kept.what.state) out["state"] = config::name_of(*kept.what.state);
    if (kept.what.weight) out["weight"] = *kept.what.weight;
    if (kept.state_until) out["state_until"] = seconds_of(*kept.state_until);
    if (kept.weight_until) out["weight_until"] = seconds_of(*kept.weight_until);
    if (kept.deadline) out["deadline"] = seconds_of(*kept.deadline);
    return out;
}

}  // namespace

Result<OverrideStore> OverrideStore::load(const std::string& path) {
    OverrideStore out;
    out.path_ = path;
    auto text = read_whole_file(path);
    if (!text && text.error().code == Errc::not_found) return out;
    if (!text) return fail(std::move(text).error());
    const Json parsed = Json::parse(*text, nullptr, false);
    const bool sound = parsed.is_object() && parsed.size() == 2 &&
                       parsed.value("schema_version", Json()) == kSchemaVersion &&
                       parsed.contains("backends") && parsed["backends"].is_object();
    if (!sound) return faulty(path + " is not what this version writes");
    for (const auto& [member, value] : parsed["backends"].items()) {
        const KeptOverride kept = SLC_TRY(read_one(member, value), path);
        out.kept_[member] = kept;
        out.plain_[member] = kept.what;
    }
    return out;
}

Result<void> OverrideStore::save() const {
    Json backends = Json::object();
    for (const auto& [member, kept] : kept_) backends[member] = write_one(kept);
    const Json whole{{"schema_version", kSchemaVersion}, {"backends", std::move(backends)}};
    return write_file(path_, whole.dump(2) + "\n");
}

std::optional<WallTime> KeptOverride::until() const {
    if (state_until && weight_until) return std::min(*state_until, *weight_until);
    return state_until ? state_until : weight_until;
}

void OverrideStore::set(const std::string& member, const plan::Override& what,
                        std::optional<WallTime> until) {
    KeptOverride& kept = kept_[member];
    if (what.state) {
        kept.what.state = what.state;
        kept.state_until = until;
        kept.deadline.reset();
    }
    if (what.weight) {
        kept.what.weight = what.weight;
        kept.weight_until = until;
    }
    plain_[member] = kept.what;
}

void OverrideStore::set_deadline(const std::string& member, std::optional<WallTime> deadline) {
    if (const auto found = kept_.find(member); found != kept_.end())
        found->second.deadline = deadline;
}

bool OverrideStore::reset(const std::string& member) {
    plain_.erase(member);
    return kept_.erase(member) != 0;
}

bool OverrideStore::expire(WallTime now) {
    bool changed = false;
    for (auto at = kept_.begin(); at != kept_.end();) {
        KeptOverride& kept = at->second;
        if (kept.state_until && *kept.state_until <= now) {
            kept.what.state.reset();
            kept.state_until.reset();
            changed = true;
        }
        if (kept.weight_until && *kept.weight_until <= now) {
            kept.what.weight.reset();
            kept.weight_until.reset();
            changed = true;
        }
        plain_[at->first] = kept.what;
        if (kept.what == plan::Override{}) {
            plain_.erase(at->first);
            at = kept_.erase(at);
        } else {
            ++at;
        }
    }
    return changed;
}

const KeptOverride* OverrideStore::find(const std::string& member) const {
    const auto found = kept_.find(member);
    return found == kept_.end() ? nullptr : &found->second;
}

}  // namespace sluice::control
