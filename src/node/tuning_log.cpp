// SPDX-License-Identifier: Apache-2.0
#include "node/tuning_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"

namespace sluice::node {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

std::string text_at(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json json_of(const TunedSetting& setting) {
    return {{"interface", setting.interface}, {"ifindex", setting.ifindex},
            {"setting", setting.setting},     {"was", setting.was},
            {"wanted", setting.wanted},       {"made", setting.made}};
}

Result<TunedSetting> setting_of(const Json& json) {
    TunedSetting out;
    const auto ifindex = json.is_object() ? json.find("ifindex") : json.end();
    if (ifindex == json.end() || !ifindex->is_number_unsigned())
        return fail(Errc::invalid, "a setting without the number of its device");
    out.ifindex = ifindex->get<std::uint32_t>();
    out.interface = text_at(json, "interface");
    out.setting = text_at(json, "setting");
    out.was = text_at(json, "was");
    out.wanted = text_at(json, "wanted");
    out.made = text_at(json, "made");
    return out;
}

}  // namespace

DeviceNumbers DeviceNumbers::here() {
    DeviceNumbers out;
    if (const auto text = read_whole_file("/proc/sys/kernel/random/boot_id"))
        out.boot = text->substr(0, text->find('\n'));
    std::error_code error;
    out.network = std::filesystem::read_symlink("/proc/self/ns/net", error).string();
    return out;
}

TuningLog::TuningLog(std::string path, DeviceNumbers numbers, UniqueFd lock)
    : path_(std::move(path)), numbers_(std::move(numbers)), lock_(std::move(lock)) {}

Result<TuningLog> TuningLog::open(const std::string& state_dir, DeviceNumbers numbers) {
    SLC_CHECK(make_directory(state_dir), "tuning");
    const std::string path = state_dir + "/tuning.json";
    UniqueFd lock(::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    if (!lock.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open " + path + ".lock"));
    }
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return fail(Errc::conflict, "another sluice is tuning at this moment");
    TuningLog out(path, std::move(numbers), std::move(lock));
    SLC_CHECK(out.load(), path);
    return out;
}

Result<void> TuningLog::load() {
    const auto text = read_whole_file(path_);
    if (!text && text.error().code == Errc::not_found) return {};
    if (!text) return fail(text.error());
    constexpr const char* kHint = "move it away if what it says can be done without";
    const Json document = Json::parse(*text, nullptr, false);
    const bool is_ours = document.is_object() && document.contains("settings") &&
                         document.contains("version") && document["version"] == kVersion;
    if (!is_ours)
        return fail(Errc::invalid, "is no record of tuning that this version can read", kHint);
    if (text_at(document, "boot") != numbers_.boot) return {};
    if (text_at(document, "network") != numbers_.network)
        return fail(Errc::conflict, "tells of network namespace " + text_at(document, "network"),
                    "run it there, or give another --state-dir; if that namespace is gone, remove "
                    "the file");
    for (const Json& entry : document["settings"]) {
        auto setting = setting_of(entry);
        if (!setting) return fail(std::move(setting).error().advise(kHint));
        settings_.push_back(*std::move(setting));
    }
    return {};
}

Result<void> TuningLog::save() const {
    if (settings_.empty()) {
        if (::unlink(path_.c_str()) == 0 || errno == ENOENT) return {};
        const int saved = errno;
        return fail(sys_error(saved, "remove " + path_));
    }
    Json list = Json::array();
    for (const TunedSetting& setting : settings_) list.push_back(json_of(setting));
    const Json document = {{"version", kVersion},
                           {"boot", numbers_.boot},
                           {"network", numbers_.network},
                           {"settings", list}};
    return write_file(path_, document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

const TunedSetting* TuningLog::find(std::uint32_t ifindex, const std::string& setting) const {
    const auto found = std::find_if(
        settings_.begin(), settings_.end(),
        [&](const TunedSetting& one) { return one.ifindex == ifindex && one.setting == setting; });
    return found == settings_.end() ? nullptr : &*found;
}

TunedSetting* TuningLog::at(std::uint32_t ifindex, const std::string& setting) {
    const TunedSetting* one = find(ifindex, setting);
    return one == nullptr ? nullptr : &settings_[static_cast<std::size_t>(one - settings_.data())];
}

Result<void> TuningLog::begin(const TunedSetting& setting) {
    if (TunedSetting* before = at(setting.ifindex, setting.setting)) {
        before->wanted = setting.wanted;
        before->made.clear();
    } else {
        settings_.push_back(setting);
    }
    return save();
}

Result<void> TuningLog::made(std::uint32_t ifindex, const std::string& setting,
                             const std::string& value) {
    if (TunedSetting* one = at(ifindex, setting)) one->made = value;
    return save();
}

Result<void> TuningLog::forget(std::uint32_t ifindex, const std::string& setting) {
    std::erase_if(settings_, [&](const TunedSetting& one) {
        return one.ifindex == ifindex && one.setting == setting;
    });
    return save();
}

Result<void> TuningLog::restore(const TunedSetting& setting) {
    if (TunedSetting* one = at(setting.ifindex, setting.setting)) *one = setting;
    return save();
}

const char* name_of(TuningEnd end) {
    switch (end) {
        case TuningEnd::made:
            return "made";
        case TuningEnd::failed:
            return "failed";
        case TuningEnd::skipped:
            return "skipped";
        case TuningEnd::undone:
            return "undone";
        case TuningEnd::gone:
            return "gone";
        case TuningEnd::left:
            return "left";
        case TuningEnd::postponed:
            return "postponed";
    }
    return "failed";
}

namespace {

/// What was, and what the device said or refused.
TuningOutcome outcome(const TuningPlan& plan, const TuningStep& step, const std::string& was,
                      TuningEnd end, const Error& error = {}) {
    return {plan.interface, step.setting, was, step.wanted, end, error.what};
}

/// What is to be undone, and the record that an earlier run has left of it, if one has: that is
/// what the log says again when it is undone.
struct Change {
    TunedSetting setting;
    std::optional<TunedSetting> earlier;
};

Result<void> settle(const Change& change, TuningLog& log) {
    auto written = change.earlier ? log.restore(*change.earlier)
                                  : log.forget(change.setting.ifindex, change.setting.setting);
    if (!written) return fail(std::move(written).error().in("record the change"));
    return {};
}

/// One step: recorded, made, and what became of it recorded too. What it has changed is put into
/// `changes`.
Result<TuningOutcome> make_step(const TuningPlan& plan, const TuningStep& step, NicPort& port,
                                TuningLog& log, std::vector<Change>& changes) {
    const TuningEnd if_not = step.is_needed ? TuningEnd::failed : TuningEnd::skipped;
    const auto was = port.read(plan.interface, step.setting);
    if (!was) return outcome(plan, step, "", if_not, was.error());
    if (*was == step.wanted) return outcome(plan, step, *was, TuningEnd::made);
    Change change{{plan.interface, plan.ifindex, step.setting, *was, step.wanted, ""}, {}};
    if (const TunedSetting* earlier = log.find(plan.ifindex, step.setting))
        change.earlier = *earlier;
    SLC_CHECK(log.begin(change.setting), "record the change");
    const auto written = port.write(plan.interface, step.setting, step.wanted);
    const auto now = port.read(plan.interface, step.setting);
    if (!written) {
        // A driver that failed halfway is left in the log, to be put right by whoever undoes it.
        if (now && *now == *was)
            SLC_CHECK(settle(change, log), plan.interface);
        else
            changes.push_back(std::move(change));
        return outcome(plan, step, *was, if_not, written.error());
    }
    change.setting.made = now ? *now : step.wanted;
    SLC_CHECK(log.made(plan.ifindex, step.setting, change.setting.made), "record the change");
    TuningOutcome out = outcome(plan, step, *was, TuningEnd::made);
    if (now) out.to = *now;
    changes.push_back(std::move(change));
    return out;
}

/// Nothing: it may be undone. Else what is said instead.
std::optional<TuningEnd> keeps_from_undoing(const TunedSetting& setting, const std::string& now) {
    if (now == setting.was) return TuningEnd::undone;
    // Interrupted between the record and the answer: whatever it is now is ours.
    if (setting.made.empty() || now == setting.made) return std::nullopt;
    return TuningEnd::left;
}

/// Writes what was. A kill on the way leaves a record that is undone all the same: with nothing
/// said of what was made, whatever it is then is ours.
Result<TuningEnd> put_back(const Change& change, const std::string& name, NicPort& port,
                           TuningLog& log, std::string& error) {
    const TunedSetting& setting = change.setting;
    if (change.earlier) SLC_CHECK(log.begin(setting), "record the change");
    const auto written = port.write(name, setting.setting, setting.was);
    if (written) {
        SLC_CHECK(settle(change, log), name);
        return TuningEnd::undone;
    }
    error = written.error().what;
    return TuningEnd::failed;
}

Result<TuningOutcome> undo_one(const Change& change, NicPort& port, TuningLog& log,
                               bool allow_reset) {
    const TunedSetting& setting = change.setting;
    TuningOutcome out{setting.interface, setting.setting, setting.made,
                      setting.was,       TuningEnd::gone, ""};
    const auto name = port.name_of(setting.ifindex);
    const auto now = name ? port.read(*name, setting.setting)
                          : Result<std::string>(fail(Errc::unsupported, "the device is gone"));
    if (name) out.interface = *name;
    if (!now && now.error().code != Errc::unsupported) {
        // It may well be as it was made: it stays recorded, for when it can be read.
        out.end = TuningEnd::failed;
        out.error = now.error().what;
        return out;
    }
    if (!now) {
        SLC_CHECK(settle(change, log), out.interface);
        out.error = name ? "the device has no such setting any more" : now.error().what;
        return out;
    }
    out.from = *now;
    if (const auto instead = keeps_from_undoing(setting, *now)) {
        SLC_CHECK(settle(change, log), out.interface);
        out.end = *instead;
        if (out.end == TuningEnd::left)
            out.error = fmt::format("it was {} after the tuning", setting.made);
        return out;
    }
    if (!allow_reset && port.has_xdp(*name) &&
        resets_link(port.driver_of(*name), setting.setting)) {
        out.end = TuningEnd::postponed;
        out.error = "it resets the link while XDP handles packets: --allow-reset";
        return out;
    }
    out.end = SLC_TRY(put_back(change, *name, port, log, out.error), out.interface);
    return out;
}

}  // namespace

Result<std::vector<TuningOutcome>> apply_tuning(const std::vector<TuningPlan>& plans, NicPort& port,
                                                TuningLog& log) {
    std::vector<TuningOutcome> out;
    for (const TuningPlan& plan : plans) {
        std::vector<Change> changes;
        for (const TuningStep& step : plan.steps) {
            out.push_back(SLC_TRY(make_step(plan, step, port, log, changes), plan.interface));
            if (out.back().end != TuningEnd::failed) continue;
            std::reverse(changes.begin(), changes.end());
            for (const Change& change : changes)
                out.push_back(
                    SLC_TRY(undo_one(change, port, log, plan.allow_reset), plan.interface));
            break;
        }
    }
    return out;
}

Result<std::vector<TuningOutcome>> undo_tuning(NicPort& port, TuningLog& log, bool allow_reset) {
    std::vector<TunedSetting> all = log.settings();
    std::reverse(all.begin(), all.end());
    std::vector<TuningOutcome> out;
    for (const TunedSetting& setting : all)
        out.push_back(SLC_TRY(undo_one({setting, {}}, port, log, allow_reset), "undo the tuning"));
    return out;
}

Result<std::vector<TuningOutcome>> undo_tuning(const std::string& state_dir) {
    const auto text = read_whole_file(state_dir + "/tuning.json");
    if (!text && text.error().code == Errc::not_found) return std::vector<TuningOutcome>{};
    TuningLog log = SLC_TRY(TuningLog::open(state_dir, DeviceNumbers::here()), "undo the tuning");
    KernelNicPort port;
    return undo_tuning(port, log, false);
}

}  // namespace sluice::node
