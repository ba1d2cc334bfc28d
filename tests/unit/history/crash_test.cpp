// SPDX-License-Identifier: Apache-2.0

/// A daemon that is killed between any two of its steps: what a call has said to be done is there.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/unique_fd.h"
#include "tests/unit/history/scratch.h"

namespace sluice::history {
namespace {

/// A child that says when it has come to a step, and is killed by SIGKILL.
class Victim {
 public:
    /// `work(say)` runs in the child; what it says are numbers.
    using Work = std::function<void(const std::function<void(std::uint32_t)>& say)>;

    explicit Victim(const Work& work) {
        int ends[2];
        EXPECT_EQ(::pipe(ends), 0);
        child_ = ::fork();
        if (child_ == 0) {
            ::close(ends[0]);
            work([&](std::uint32_t number) {
                if (::write(ends[1], &number, sizeof number) != sizeof number) ::_exit(2);
            });
            ::pause();
            ::_exit(0);
        }
        ::close(ends[1]);
        said_ = UniqueFd(ends[0]);
    }
    Victim(const Victim&) = delete;
    Victim& operator=(const Victim&) = delete;
    ~Victim() { kill(); }

    /// The next number; 0 when it will say no more.
    std::uint32_t hear() {
        std::uint32_t number = 0;
        return ::read(said_.get(), &number, sizeof number) == sizeof number ? number : 0;
    }
    void kill() {
        if (child_ <= 0) return;
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
        child_ = 0;
    }

 private:
    pid_t child_ = 0;
    UniqueFd said_;
};

TEST(HistoryCrash, a_change_that_was_begun_is_found_unfinished) {
    const ScratchDirectory directory;
    Victim victim([&](const auto& say) {
        auto history = History::open(directory.file());
        if (!history) return;
        const auto first = history->begin(change("a"));
        if (!first || !history->finish(*first, Outcome::in_force, "program")) return;
        if (const auto second = history->begin(change("b", *first))) say(*second);
    });
    ASSERT_EQ(victim.hear(), 2u);
    victim.kill();
    const History history = opened(directory.file());
    const auto unfinished = value(history.unfinished());
    ASSERT_EQ(unfinished.size(), 1u);
    EXPECT_EQ(unfinished[0].generation, 2u);
    EXPECT_EQ(unfinished[0].text, "b");
    EXPECT_EQ(unfinished[0].base, 1u);
    EXPECT_EQ(value(history.in_force())->text, "a");
}

TEST(HistoryCrash, a_change_that_was_finished_is_in_force) {
    const ScratchDirectory directory;
    Victim victim([&](const auto& say) {
        auto history = History::open(directory.file());
        if (!history) return;
        for (const char* text : {"a", "b"}) {
            const auto generation = history->begin(change(text));
            if (!generation || !history->finish(*generation, Outcome::awaiting, "map")) return;
            say(*generation);
        }
    });
    ASSERT_EQ(victim.hear(), 1u);
    ASSERT_EQ(victim.hear(), 2u);
    victim.kill();
    History history = opened(directory.file());
    EXPECT_TRUE(value(history.unfinished()).empty());
    EXPECT_EQ(value(history.in_force())->text, "b");
    EXPECT_EQ(value(history.in_force())->outcome, Outcome::awaiting);
    expect_done(history.confirm(2));
    EXPECT_EQ(value(history.get(1)).outcome, Outcome::replaced);
}

/// What must hold whenever a process dies.
void expect_consistent(const History& history, std::uint32_t heard) {
    const auto records = value(history.list(1'000'000));
    ASSERT_GE(records.size(), heard);
    EXPECT_LE(records.size(), heard + 1u);
    std::size_t in_force = 0;
    std::size_t applying = 0;
    for (const Record& record : records) {
        in_force += record.outcome == Outcome::in_force ? 1 : 0;
        applying += record.outcome == Outcome::applying ? 1 : 0;
        EXPECT_TRUE(record.generation > heard || record.outcome != Outcome::applying);
    }
    EXPECT_EQ(in_force, records.size() > applying ? 1u : 0u);
    EXPECT_LE(applying, 1u);
}

/// Killed while it writes, at whatever instruction that is: nothing that was said to be done is
/// missing, and no change is there by half.
TEST(HistoryCrash, killed_in_the_middle_of_anything_nothing_is_lost) {
    for (std::uint32_t until = 1; until <= 40; ++until) {
        const ScratchDirectory directory;
        Victim victim([&](const auto& say) {
            auto history = History::open(directory.file());
            while (history) {
                const auto generation = history->begin(
                    change("text " + std::string(3 * 4096, 'x') + std::to_string(::getpid())));
                if (!generation || !history->finish(*generation, Outcome::in_force, "map")) return;
                say(*generation);
            }
        });
        std::uint32_t heard = 0;
        while (heard < until) {
            const std::uint32_t next = victim.hear();
            ASSERT_EQ(next, heard + 1);
            heard = next;
        }
        victim.kill();
        while (const std::uint32_t next = victim.hear()) heard = next;
        expect_consistent(opened(directory.file()), heard);
    }
}

/// Killed while it makes the file.
TEST(HistoryCrash, killed_while_it_is_opened_it_opens_the_next_time) {
    for (int round = 0; round < 40; ++round) {
        const ScratchDirectory directory;
        {
            Victim victim([&](const auto& say) {
                say(1);
                const auto history = History::open(directory.file());
                say(history ? 2 : 3);
            });
            ASSERT_EQ(victim.hear(), 1u);
            for (int spin = 0; spin < round * 2000; ++spin) asm volatile("");
        }
        History history = opened(directory.file());
        EXPECT_EQ(value(history.begin(change("a"))), 1u);
    }
}

}  // namespace
}  // namespace sluice::history
