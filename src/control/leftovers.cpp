// SPDX-License-Identifier: Apache-2.0
#include "control/leftovers.h"

#include <filesystem>
#include <optional>

#include "config/load.h"
#include "config/parse.h"
#include "control/announcing.h"
#include "history/history.h"

namespace sluice::control {
namespace {

std::optional<config::Config> last_in_force(const std::string& state_dir) {
    const std::string path = state_dir + "/history.db";
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) return std::nullopt;
    auto history = history::History::open(path);
    if (!history) return std::nullopt;
    auto last = history->in_force();
    if (!last || !*last) return std::nullopt;
    config::ParseOutcome outcome = config::parse((*last)->text, (*last)->file);
    if (!outcome.ok()) return std::nullopt;
    return std::move(outcome.config);
}

Result<config::Config> config_of_file(const std::string& file) {
    const std::string text = SLC_TRY(config::read_file(file), "configuration");
    config::ParseOutcome outcome = config::parse(text, file);
    if (!outcome.ok()) return fail(Errc::invalid, outcome.errors.front().text());
    return std::move(outcome.config);
}

}  // namespace

Result<void> withdraw_leftovers(const std::string& state_dir, const std::string& config_file,
                                Leftover which) {
    auto config = last_in_force(state_dir);
    if (!config) config = SLC_TRY(config_of_file(config_file), "withdraw");
    const bool is_kept =
        config->announce && config->announce->on_daemon_exit == config::OnExit::keep;
    if (is_kept && which == Leftover::unless_kept) return {};
    SLC_CHECK(Announcing::withdraw_leftovers(*config), "withdraw");
    return {};
}

}  // namespace sluice::control
