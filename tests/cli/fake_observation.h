// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the fake node says of packets: fixed answers, for the API and the commands.

#include "control/explanation.h"
#include "control/observation.h"

namespace sluice::test {

class FakeObservation : public control::Observation {
 public:
    std::shared_ptr<const observe::Names> names() override;
    control::SampleBatch samples(control::SampleCursor& cursor) override;
    std::int64_t wall_offset_ns() const override;
    std::uint32_t sampled_one_in() const override { return 1024; }
    std::vector<control::Talker> talkers() override;
    Result<std::unique_ptr<control::CaptureSession>> capture(
        const control::CaptureRequest& request) override;
    Result<void> end_capture(const std::string& name) override;
    Result<control::Explanation> explain(const control::ExplanationRequest& request) override;
};

}  // namespace sluice::test
