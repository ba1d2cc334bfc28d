// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the fake node has to watch: sampled packets, what their ids are called, events; times too
/// are fixed.

#include <memory>

#include "control/observation.h"
#include "observe/event_log.h"
#include "observe/names.h"

namespace sluice::test {

/// 2026-01-01T00:00:00Z is a second of CLOCK_MONOTONIC.
inline constexpr std::int64_t kFakeWallOffset = 1'767'225'599'000'000'000;

std::shared_ptr<const observe::Names> fake_names();
/// A sample of `packet` (packet/notation.h), number `seq` of its CPU, `time_ms` after the first.
slc_sample fake_sample(std::uint64_t seq, std::uint64_t time_ms, slc_exit_record rec,
                       const std::string& packet);
/// Six at first; then three that were lost, and one more; then none.
control::SampleBatch fake_samples(control::SampleCursor& cursor);
/// An hour's.
void add_fake_events(observe::EventLog& log);
/// A clock for it: a minute later each time that it is asked.
observe::EventLog::Clock fake_event_clock();

}  // namespace sluice::test
