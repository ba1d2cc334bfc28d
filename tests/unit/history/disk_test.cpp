// SPDX-License-Identifier: Apache-2.0

/// Disks that are full or read-only: a tmpfs of a few pages in a mount namespace of the test's own.

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include "tests/unit/history/scratch.h"

namespace sluice::history {
namespace {

constexpr int kNoPrivilege = 77;

/// Runs `body(directory)` in a child that has a tmpfs of `size` there, and takes over its failures.
void on_small_disk(const char* size, const std::function<void(const std::string&)>& body) {
    const ScratchDirectory directory;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const std::string options = std::string("size=") + size;
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, options.c_str()) != 0)
            ::_exit(errno == EPERM ? kNoPrivilege : 2);
        body(directory.path().string());
        ::_exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << status;
    if (WEXITSTATUS(status) == kNoPrivilege) GTEST_SKIP() << "mounting needs root";
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(HistoryDisk, a_change_that_does_not_fit_is_refused_and_nothing_is_lost) {
    on_small_disk("1m", [](const std::string& directory) {
        History history = opened(directory + "/history.db");
        expect_done(history.finish(value(history.begin(change("small"))), Outcome::in_force));
        const auto refusal = history.begin(change(std::string(2'000'000, 'x')));
        ASSERT_FALSE(refusal.has_value());
        EXPECT_EQ(refusal.error().code, Errc::limit);
        EXPECT_EQ(refusal.error().what,
                  "begin: history " + directory + "/history.db: database or disk is full");
        EXPECT_EQ(refusal.error().hint, "free some space there; nothing was changed");
        EXPECT_EQ(value(history.in_force())->text, "small");
        EXPECT_TRUE(value(history.unfinished()).empty());
        EXPECT_EQ(value(history.begin(change("another"))), 2u);
    });
}

TEST(HistoryDisk, a_disk_that_fills_up_refuses_and_goes_on_when_there_is_room) {
    on_small_disk("2m", [](const std::string& directory) {
        History history = opened(directory + "/history.db");
        std::uint32_t last = 0;
        const auto apply = [&](int i) {
            return history.begin(change(std::string(50'000, 'x') + std::to_string(i), last));
        };
        int i = 0;
        for (;; ++i) {
            const auto generation = apply(i);
            if (!generation) {
                EXPECT_EQ(generation.error().code, Errc::limit) << generation.error().what;
                break;
            }
            ASSERT_LT(i, 100);
            if (!history.finish(*generation, Outcome::in_force)) break;
            last = *generation;
        }
        ASSERT_GT(last, 3u);
        EXPECT_EQ(value(history.in_force())->generation, last);
        ASSERT_EQ(::mount(nullptr, directory.c_str(), nullptr, MS_REMOUNT, "size=8m"), 0);
        const auto next = value(apply(i + 1));
        EXPECT_GT(next, last);
        expect_done(history.finish(next, Outcome::in_force));
        EXPECT_EQ(value(opened(directory + "/history.db").in_force())->generation, next);
    });
}

TEST(HistoryDisk, a_full_disk_has_no_room_for_a_new_history) {
    on_small_disk("4k", [](const std::string& directory) {
        const auto history = History::open(directory + "/history.db");
        ASSERT_FALSE(history.has_value());
        EXPECT_EQ(history.error().code, Errc::limit) << history.error().what;
        EXPECT_EQ(history.error().hint, "free some space there; nothing was changed");
    });
}

TEST(HistoryDisk, a_read_only_directory_is_denied_with_or_without_a_history_in_it) {
    on_small_disk("1m", [](const std::string& directory) {
        {
            opened(directory + "/history.db");
        }
        ASSERT_EQ(::mount(nullptr, directory.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, ""), 0);
        for (const char* name : {"/history.db", "/new.db"}) {
            const auto history = History::open(directory + name);
            ASSERT_FALSE(history.has_value());
            EXPECT_EQ(history.error().code, Errc::denied) << history.error().what;
            EXPECT_EQ(history.error().hint,
                      "sluiced must be able to write this file and the directory that it is in");
            EXPECT_NE(history.error().what.find(directory + name), std::string::npos);
        }
    });
}

TEST(HistoryDisk, a_disk_that_becomes_read_only_is_told_and_nothing_is_lost) {
    on_small_disk("1m", [](const std::string& directory) {
        {
            History history = opened(directory + "/history.db");
            expect_done(history.finish(value(history.begin(change("a"))), Outcome::in_force));
        }
        ASSERT_EQ(::mount(nullptr, directory.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, ""), 0);
        EXPECT_FALSE(History::open(directory + "/history.db").has_value());
        ASSERT_EQ(::mount(nullptr, directory.c_str(), nullptr, MS_REMOUNT, ""), 0);
        EXPECT_EQ(value(opened(directory + "/history.db").in_force())->text, "a");
    });
}

}  // namespace
}  // namespace sluice::history
