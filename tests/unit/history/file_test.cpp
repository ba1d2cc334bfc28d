// SPDX-License-Identifier: Apache-2.0

/// Files that are no history, or not one of this build: refused with what to do, and left as they
/// are.

#include <sqlite3.h>
#include <unistd.h>

#include "tests/unit/history/scratch.h"

namespace sluice::history {
namespace {

constexpr const char* kMoveAway =
    "move the file away: a new history begins, and what runs is not touched";

void run_sql(const std::string& path, const char* sql) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle);
    sqlite3_close(handle);
}

/// A history with one change in force, closed.
void write_history(const std::string& path, const std::string& text = "a") {
    History history = opened(path);
    expect_done(history.finish(value(history.begin(change(text))), Outcome::in_force));
}

Error refused(const std::string& path) {
    const auto history = History::open(path);
    EXPECT_FALSE(history.has_value());
    return history ? Error{} : history.error();
}

TEST(HistoryFile, of_a_later_version_is_refused_by_name) {
    const ScratchDirectory directory;
    write_history(directory.file());
    run_sql(directory.file(), "PRAGMA user_version = 7");
    const std::string before = bytes_of(directory.file());
    const Error error = refused(directory.file());
    EXPECT_EQ(error.code, Errc::unsupported);
    EXPECT_EQ(error.what, "open: history " + directory.file() +
                              ": version 7 is newer than this sluice, which reads 1");
    EXPECT_EQ(error.hint, "start the sluiced that wrote it, or a later one");
    EXPECT_EQ(bytes_of(directory.file()), before);
}

TEST(HistoryFile, that_is_text_is_refused) {
    const ScratchDirectory directory;
    const std::string text = "version: 2\n" + std::string(5000, '#') + "\n";
    write_bytes(directory.file(), text);
    const Error error = refused(directory.file());
    EXPECT_EQ(error.code, Errc::invalid);
    EXPECT_EQ(error.what, "open: history " + directory.file() + ": file is not a database");
    EXPECT_EQ(error.hint, kMoveAway);
    EXPECT_EQ(bytes_of(directory.file()), text);
}

TEST(HistoryFile, of_another_program_is_refused) {
    const ScratchDirectory directory;
    run_sql(directory.file(), "CREATE TABLE bookmarks (url TEXT)");
    const std::string before = bytes_of(directory.file());
    const Error error = refused(directory.file());
    EXPECT_EQ(error.code, Errc::invalid);
    EXPECT_EQ(error.what, "open: history " + directory.file() +
                              ": it is a database, but not a history of Sluice");
    EXPECT_EQ(error.hint, kMoveAway);
    EXPECT_EQ(bytes_of(directory.file()), before);
}

TEST(HistoryFile, without_its_tables_is_refused) {
    const ScratchDirectory directory;
    write_history(directory.file());
    run_sql(directory.file(), "ALTER TABLE generations DROP COLUMN road");
    const Error error = refused(directory.file());
    EXPECT_EQ(error.code, Errc::invalid);
    EXPECT_EQ(error.what, "open: history " + directory.file() + ": no such column: road");
}

TEST(HistoryFile, cut_short_is_refused) {
    const ScratchDirectory directory;
    write_history(directory.file(), std::string(100'000, 'x'));
    ASSERT_EQ(::truncate(directory.file().c_str(), 6000), 0);
    const Error error = refused(directory.file());
    EXPECT_EQ(error.code, Errc::invalid);
    EXPECT_EQ(error.what,
              "open: history " + directory.file() + ": database disk image is malformed");
    EXPECT_EQ(error.hint, kMoveAway);
}

/// Whatever is overwritten: an error or an answer, never a crash and never a wrong number.
TEST(HistoryFile, damaged_anywhere_never_gives_another_text) {
    const ScratchDirectory directory;
    const std::string text(20'000, 't');
    write_history(directory.file(), text);
    const std::string whole = bytes_of(directory.file());
    std::size_t refusals = 0;
    for (std::size_t page = 0; page < whole.size(); page += 4096) {
        std::string damaged = whole;
        damaged.replace(page, 64, std::string(64, '\xa5'));
        write_bytes(directory.file(), damaged);
        auto history = History::open(directory.file());
        const auto record = history ? history->in_force() : fail(history.error());
        if (record) continue;
        EXPECT_TRUE(record.error().code == Errc::invalid || record.error().code == Errc::limit)
            << page << ": " << record.error().what;
        EXPECT_NE(record.error().what.find(directory.file()), std::string::npos);
        ++refusals;
    }
    EXPECT_GE(refusals, 2u);
}

TEST(HistoryFile, with_an_outcome_of_the_future_is_told) {
    const ScratchDirectory directory;
    write_history(directory.file());
    run_sql(directory.file(), "UPDATE generations SET outcome = 'pending'");
    const History history = opened(directory.file());
    EXPECT_EQ(history.list(1).error().what,
              "list: history " + directory.file() +
                  ": generation 1 has an outcome that this sluice does not know");
}

TEST(HistoryFile, that_is_a_directory_or_lies_nowhere_is_refused) {
    const ScratchDirectory directory;
    const Error nowhere = refused(directory.path() / "missing" / "history.db");
    EXPECT_EQ(nowhere.code, Errc::not_found);
    EXPECT_EQ(nowhere.what, "open: history " + (directory.path() / "missing/history.db").string() +
                                ": No such file or directory");
    const Error is_directory = refused(directory.path());
    EXPECT_EQ(is_directory.code, Errc::system);
    EXPECT_EQ(is_directory.what, "open: history " + directory.path().string() +
                                     ": unable to open database file: Is a directory");
}

TEST(HistoryFile, held_by_another_program_is_a_conflict) {
    const ScratchDirectory directory;
    History history = opened(directory.file());
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open(directory.file().c_str(), &other), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    const auto refusal = history.begin(change("a"));
    EXPECT_EQ(refusal.error().code, Errc::conflict);
    EXPECT_EQ(refusal.error().what, "begin: history " + directory.file() + ": database is locked");
    sqlite3_close(other);
    EXPECT_EQ(value(history.begin(change("a"))), 1u);
}

TEST(HistoryFile, of_which_a_process_died_at_the_first_step_is_begun_again) {
    const ScratchDirectory directory;
    write_bytes(directory.file(), "");
    write_history(directory.file());
    EXPECT_EQ(value(opened(directory.file()).in_force())->text, "a");
}

}  // namespace
}  // namespace sluice::history
