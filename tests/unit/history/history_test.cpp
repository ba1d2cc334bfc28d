// SPDX-License-Identifier: Apache-2.0

/// What a history says of the changes that it was told of.

#include "history/history.h"

#include "tests/unit/history/scratch.h"

namespace sluice::history {
namespace {

using namespace std::chrono_literals;

std::string outcomes_of(const History& history) {
    std::string out;
    for (const Record& record : value(history.list(100)))
        out += std::to_string(record.generation) + " " + name_of(record.outcome) + "\n";
    return out;
}

TEST(History, a_new_one_is_empty) {
    const ScratchDirectory directory;
    const History history = opened(directory.file());
    EXPECT_TRUE(value(history.list(10)).empty());
    EXPECT_FALSE(value(history.in_force()).has_value());
    EXPECT_TRUE(value(history.unfinished()).empty());
    EXPECT_EQ(std::filesystem::status(directory.file()).permissions() & std::filesystem::perms(07),
              std::filesystem::perms::none);
}

TEST(History, keeps_everything_about_a_change) {
    const ScratchDirectory directory;
    const auto before = std::chrono::system_clock::now();
    Begin what = change("version: 2\n# \xc3\xbc, \0 and \" ' ; --\n", 7);
    what.text += std::string(1, '\0') + "behind a zero byte";
    what.digest = sha256_hex(what.text);
    what.restores = 3;
    what.confirm_by = std::chrono::floor<std::chrono::microseconds>(before + 5min);
    std::uint32_t generation = 0;
    {
        History history = opened(directory.file());
        generation = value(history.begin(what));
        EXPECT_EQ(value(history.unfinished()).at(0).generation, generation);
        expect_done(history.finish(generation, Outcome::awaiting, "program"));
    }
    const History history = opened(directory.file());
    const Record record = value(history.get(generation));
    EXPECT_EQ(record.generation, 1u);
    EXPECT_EQ(record.base, 7u);
    EXPECT_EQ(record.restores, 3u);
    EXPECT_EQ(record.text, what.text);
    EXPECT_EQ(record.digest, what.digest);
    EXPECT_EQ(record.file, what.file);
    EXPECT_EQ(record.file_digest, what.file_digest);
    EXPECT_EQ(record.author, "ada");
    EXPECT_EQ(record.message, "because");
    EXPECT_EQ(record.road, "program");
    EXPECT_EQ(record.error, "");
    EXPECT_EQ(record.outcome, Outcome::awaiting);
    EXPECT_EQ(record.confirm_by, what.confirm_by);
    EXPECT_GE(record.at, std::chrono::floor<std::chrono::microseconds>(before));
    ASSERT_TRUE(record.ended.has_value());
    EXPECT_GE(*record.ended, record.at);
    EXPECT_EQ(value(history.in_force())->text, what.text);
    EXPECT_EQ(value(history.list(1)).at(0).text, "");
}

TEST(History, a_change_in_force_replaces_the_one_before_it) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    const auto first = value(history.begin(change("a")));
    expect_done(history.finish(first, Outcome::in_force, "program"));
    const auto second = value(history.begin(change("b", first)));
    EXPECT_EQ(value(history.in_force())->generation, first);
    expect_done(history.finish(second, Outcome::awaiting, "map"));
    EXPECT_EQ(outcomes_of(history), "2 awaiting\n1 replaced\n");
    const auto third = value(history.begin(change("c", second)));
    expect_done(history.finish(third, Outcome::in_force, "entry"));
    EXPECT_EQ(outcomes_of(history), "3 in_force\n2 replaced\n1 replaced\n");
    EXPECT_EQ(value(history.in_force())->text, "c");
}

TEST(History, a_refused_change_replaces_nothing) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    expect_done(history.finish(value(history.begin(change("a"))), Outcome::in_force, "program"));
    const auto second = value(history.begin(change("b", 1)));
    expect_done(history.finish(second, Outcome::refused, "", "the verifier says no"));
    EXPECT_EQ(outcomes_of(history), "2 refused\n1 in_force\n");
    EXPECT_EQ(value(history.get(second)).error, "the verifier says no");
}

TEST(History, a_change_that_nobody_confirmed_is_undone_by_one_that_restores) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    expect_done(history.finish(value(history.begin(change("a"))), Outcome::in_force, "program"));
    Begin what = change("b", 1);
    what.confirm_by = std::chrono::system_clock::now();
    expect_done(history.finish(value(history.begin(what)), Outcome::awaiting, "map"));
    expect_done(history.finish(2, Outcome::undone, "", "not confirmed in time"));
    EXPECT_FALSE(value(history.in_force()).has_value());
    Begin back = change("a", 2);
    back.restores = 1;
    expect_done(history.finish(value(history.begin(back)), Outcome::in_force, "program"));
    EXPECT_EQ(outcomes_of(history), "3 in_force\n2 undone\n1 replaced\n");
    const Record undone = value(history.get(2));
    EXPECT_EQ(undone.error, "not confirmed in time");
    EXPECT_EQ(undone.road, "map");
}

TEST(History, a_change_whose_end_could_not_be_written_can_be_confirmed) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    const auto generation = value(history.begin(change("a")));
    expect_done(history.confirm(generation));
    EXPECT_EQ(value(history.get(generation)).outcome, Outcome::in_force);
    EXPECT_EQ(history.confirm(generation + 1).error().code, Errc::not_found);
}

TEST(History, a_confirmed_change_waits_no_more) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    Begin what = change("a");
    what.confirm_by = std::chrono::system_clock::now() + 1h;
    const auto generation = value(history.begin(what));
    expect_done(history.finish(generation, Outcome::awaiting, "program"));
    expect_done(history.confirm(generation));
    const Record record = value(history.get(generation));
    EXPECT_EQ(record.outcome, Outcome::in_force);
    EXPECT_FALSE(record.confirm_by.has_value());
    EXPECT_EQ(record.road, "program");
    EXPECT_EQ(history.confirm(9).error().what, "generation 9 waits for no confirmation");
}

TEST(History, a_canary_stands_beside_the_one_in_force) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    expect_done(history.finish(value(history.begin(change("a"))), Outcome::in_force, "program"));
    expect_done(history.finish(value(history.begin(change("b", 1))), Outcome::canary, "program"));
    EXPECT_EQ(outcomes_of(history), "2 canary\n1 in_force\n");
    EXPECT_TRUE(value(history.unfinished()).empty());
    expect_done(history.finish(2, Outcome::in_force));
    EXPECT_EQ(outcomes_of(history), "2 in_force\n1 replaced\n");
    EXPECT_EQ(value(history.get(2)).road, "program");
}

TEST(History, numbers_are_never_given_twice) {
    const ScratchDirectory directory;
    {
        History history = opened(directory.file());
        EXPECT_EQ(value(history.begin(change("a"))), 1u);
        EXPECT_EQ(value(history.begin(change("b"), 41)), 42u);
        EXPECT_EQ(value(history.begin(change("c"), 7)), 43u);
        for (const std::uint32_t generation : {1u, 42u, 43u})
            expect_done(history.finish(generation, Outcome::refused));
        expect_done(history.prune(0));
        EXPECT_EQ(outcomes_of(history), "");
    }
    History history = opened(directory.file());
    EXPECT_EQ(value(history.begin(change("d"))), 44u);
}

TEST(History, what_is_not_there_is_said_to_be_missing) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    EXPECT_EQ(history.get(3).error().what, "no generation 3");
    EXPECT_EQ(history.get(3).error().code, Errc::not_found);
    EXPECT_EQ(history.finish(3, Outcome::in_force).error().what, "no generation 3");
    expect_done(history.finish(value(history.begin(change("a"))), Outcome::in_force));
    EXPECT_FALSE(history.finish(3, Outcome::in_force).has_value());
    EXPECT_EQ(outcomes_of(history), "1 in_force\n");
}

TEST(History, lists_the_newest_first) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    for (int i = 0; i < 5; ++i)
        expect_done(history.finish(value(history.begin(change("a"))), Outcome::in_force));
    const auto records = value(history.list(2));
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0].generation, 5u);
    EXPECT_EQ(records[1].generation, 4u);
    EXPECT_TRUE(value(history.list(0)).empty());
}

TEST(History, forgets_what_is_old_and_over) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    const std::vector<Outcome> outcomes = {Outcome::in_force, Outcome::canary, Outcome::refused,
                                           Outcome::undone, Outcome::refused};
    for (std::size_t i = 0; i < outcomes.size(); ++i)
        expect_done(
            history.finish(value(history.begin(change("text " + std::to_string(i)))), outcomes[i]));
    EXPECT_EQ(value(history.begin(change("text 2"))), 6u);
    expect_done(history.prune(1));
    EXPECT_EQ(outcomes_of(history), "6 applying\n5 refused\n2 canary\n1 in_force\n");
    EXPECT_EQ(value(history.get(6)).text, "text 2");
    EXPECT_EQ(history.get(3).error().code, Errc::not_found);
    EXPECT_EQ(value(history.get(1)).text, "text 0");
}

TEST(History, a_text_that_was_there_before_takes_no_room) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    const std::string text(5'000'000, 'x');
    for (int i = 0; i < 20; ++i)
        expect_done(history.finish(value(history.begin(change(text))), Outcome::in_force));
    EXPECT_EQ(value(history.get(20)).text, text);
    EXPECT_LT(std::filesystem::file_size(directory.file()), 6'000'000u);
}

TEST(History, every_outcome_reads_back) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    for (const Outcome outcome :
         {Outcome::applying, Outcome::in_force, Outcome::awaiting, Outcome::replaced,
          Outcome::undone, Outcome::refused, Outcome::canary, Outcome::withdrawn}) {
        const auto generation = value(history.begin(change(name_of(outcome))));
        expect_done(history.finish(generation, outcome));
        EXPECT_EQ(value(history.get(generation)).outcome, outcome);
    }
}

}  // namespace
}  // namespace sluice::history
