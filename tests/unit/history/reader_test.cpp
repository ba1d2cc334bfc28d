// SPDX-License-Identifier: Apache-2.0

/// Somebody reads while the daemon writes.

#include <atomic>
#include <thread>

#include "tests/unit/history/scratch.h"

namespace sluice::history {
namespace {

TEST(HistoryReader, sees_each_change_whole_while_others_are_written) {
    const ScratchDirectory directory;
    History writer = opened(directory.file());
    expect_done(writer.finish(value(writer.begin(change("0"))), Outcome::in_force));
    std::atomic<bool> over = false;
    std::atomic<std::uint32_t> looks = 0;
    std::thread reader([&] {
        const History history = opened(directory.file());
        std::uint32_t newest = 0;
        while (!over) {
            const auto records = value(history.list(1000));
            std::size_t in_force = 0;
            for (const Record& record : records)
                in_force += record.outcome == Outcome::in_force ? 1 : 0;
            EXPECT_EQ(in_force, 1u);
            EXPECT_GE(records.at(0).generation, newest);
            newest = records.at(0).generation;
            const auto record = value(history.in_force());
            EXPECT_TRUE(record && record->text == std::to_string(record->generation - 1));
            ++looks;
        }
    });
    std::uint32_t written = 1;
    while (written < 300 || looks < 20) {
        const auto generation = value(writer.begin(change(std::to_string(written), written)));
        expect_done(writer.finish(generation, Outcome::in_force));
        ++written;
        if (written > 100'000) break;  // The reader has died.
    }
    over = true;
    reader.join();
    EXPECT_GE(looks, 20u);
}

}  // namespace
}  // namespace sluice::history
