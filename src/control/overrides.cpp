// SPDX-License-Identifier: Apache-2.0
#include "control/overrides.h"

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
        } else if (name == "until" && field.is_number_integer()) {
            out.until = std::chrono::system_clock::time_point(
                std::chrono::seconds(field.get<std::int64_t>()));
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
    if (kept.until)
        out["until"] =
            std::chrono::duration_cast<std::chrono::seconds>(kept.until->time_since_epoch())
                .count();
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
        out.set(member, kept.what, kept.until);
    }
    return out;
}

Result<void> OverrideStore::save() const {
    Json backends = Json::object();
    for (const auto& [member, kept] : kept_) backends[member] = write_one(kept);
    const Json whole{{"schema_version", kSchemaVersion}, {"backends", std::move(backends)}};
    return write_file(path_, whole.dump(2) + "\n");
}

void OverrideStore::set(const std::string& member, const plan::Override& what,
                        std::optional<std::chrono::system_clock::time_point> until) {
    KeptOverride& kept = kept_[member];
    if (what.state) kept.what.state = what.state;
    if (what.weight) kept.what.weight = what.weight;
    kept.until = until;
    plain_[member] = kept.what;
}

bool OverrideStore::reset(const std::string& member) {
    plain_.erase(member);
    return kept_.erase(member) != 0;
}

bool OverrideStore::expire(std::chrono::system_clock::time_point now) {
    const std::size_t before = kept_.size();
    std::erase_if(kept_, [&](const auto& entry) {
        const bool over = entry.second.until && *entry.second.until <= now;
        if (over) plain_.erase(entry.first);
        return over;
    });
    return kept_.size() != before;
}

const KeptOverride* OverrideStore::find(const std::string& member) const {
    const auto found = kept_.find(member);
    return found == kept_.end() ? nullptr : &found->second;
}

}  // namespace sluice::control
