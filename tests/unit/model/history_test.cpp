// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/model/history.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace sluice::model {
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string told(const History& history, const Outcome& outcome) {
    const History least = shrunk(history);
    const Outcome of_least = play(least);
    return *outcome.broken +
           "\nto play it again: SLUICE_MODEL_FIRST=" + std::to_string(history.setup.seed) +
           " SLUICE_MODEL_COUNT=1 unit_model\nthe same, cut down: " +
           of_least.broken.value_or("not broken") + "\n" + text_of(least);
}

/// The short form; SLUICE_MODEL_COUNT asks for more, SLUICE_MODEL_FIRST for others.
TEST(Model, no_history_cuts_a_live_connection_or_blocks_a_change_for_ever) {
    const std::uint64_t first = number_of("SLUICE_MODEL_FIRST", 1);
    const std::uint64_t count = number_of("SLUICE_MODEL_COUNT", 2000);
    Outcome all;
    int broken = 0;
    for (std::uint64_t seed = first; seed < first + count && broken < 3; ++seed) {
        const History history = random_history(seed);
        const Outcome outcome = play(history);
        all.add(outcome);
        if (!outcome.broken) continue;
        ++broken;
        ADD_FAILURE() << told(history, outcome);
    }
    const Excuses& excuses = all.traffic.excuses;
    std::printf(
        "%lu histories: %lu packets, %lu connections established, %lu packets reached their "
        "owner,\n"
        "%lu asked the table, %lu hits, %lu inserts, %lu refused, %lu held, %lu forged, %lu SYNs "
        "came "
        "again;\nexcused: %lu gone, %lu overdue, %lu silent, %lu late SYNs, %lu forged SYNs; %lu "
        "flows "
        "cut by deadlines, %lu members forgotten\n",
        count, all.flows.packets, all.traffic.established, all.traffic.checked, all.flows.asked,
        all.flows.hits, all.flows.inserts, all.flows.refused, all.flows.held, all.forged,
        all.traffic.resent_syns, excuses.gone, excuses.overdue, excuses.silent, excuses.late_syn,
        excuses.forged_syn, all.cut, all.forgotten);
}

struct BrokenRule {
    const char* name;
    Fault fault;
    std::uint64_t histories;  ///< In which the model must have noticed.
};

class ModelNotices : public testing::TestWithParam<BrokenRule> {};

TEST_P(ModelNotices, within_some_histories) {
    for (std::uint64_t seed = 1; seed <= GetParam().histories; ++seed) {
        History history = random_history(seed);
        history.setup.times.fault = GetParam().fault;
        if (play(history).broken) return;
    }
    ADD_FAILURE() << "the model did not notice";
}

INSTANTIATE_TEST_SUITE_P(
    Rules, ModelNotices,
    testing::Values(BrokenRule{"short_preparation", Fault::short_preparation, 2000},
                    BrokenRule{"short_window", Fault::short_window, 2000},
                    BrokenRule{"forgotten_refusals", Fault::forgets_refusals, 2000},
                    BrokenRule{"tables_swept_in_the_wrong_order", Fault::sweeps_current_first,
                               20000},
                    BrokenRule{"expired_entries_skipped", Fault::skips_expired, 20000},
                    BrokenRule{"entries_of_failed_members_kept", Fault::keeps_failed, 2000},
                    BrokenRule{"members_forgotten_early", Fault::forgets_early, 2000},
                    BrokenRule{"moves_without_preparation", Fault::moves_unprepared, 2000},
                    BrokenRule{"sweeps_that_stop", Fault::stops_sweeping, 2000}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace sluice::model
