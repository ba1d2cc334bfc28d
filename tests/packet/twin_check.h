// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What is wanted of every row beside its outcome: that the sampler kept the packet as it was
/// received, that the proof twin of the same generation says the same of it, and that `sluice
/// explain` would.

#include "kernel/twin.h"
#include "proof/walk.h"
#include "tests/packet/harness.h"

namespace sluice::packet {

/// The row's packets through the twin, which has the bench's state as it is now: call it before
/// they change that.
Result<kernel::TwinAnswer> answer_of_twin(Bench& bench, const Case& row);

/// The sample of the packet that has just left.
void check_sample(const Bench& bench, const Bytes& in, const RunResult& live);

/// The same verdict, bytes and record; and what only the twin tells is true.
void check_twin(Bench& bench, const Result<kernel::TwinAnswer>& twin, const RunResult& live);

/// What `sluice explain` says of the packet at this moment; call it just before the packet is sent.
Result<proof::Walk> explanation(Bench& bench, const Bytes& in);

/// The same verdict, stage, reason, service, backend and bytes; and the walk tells the outcome. But
/// for what depends on rate: an explanation takes limits as not reached.
void check_explanation(const Bench& bench, const Case& row, const Result<proof::Walk>& walk,
                       const RunResult& live);

}  // namespace sluice::packet
