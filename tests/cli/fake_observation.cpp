// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_observation.h"

namespace sluice::test {

std::shared_ptr<const observe::Names> FakeObservation::names() {
    return std::make_shared<observe::Names>();
}

control::SampleBatch FakeObservation::samples(control::SampleCursor&) {
    return {};
}

std::vector<control::Talker> FakeObservation::talkers() {
    return {};
}

Result<std::unique_ptr<control::CaptureSession>> FakeObservation::capture(
    const control::CaptureRequest&) {
    return fail(Errc::unsupported, "capture");
}

Result<void> FakeObservation::end_capture(const std::string&) {
    return fail(Errc::not_found, "no capture is under way");
}

Result<control::Explanation> FakeObservation::explain(const control::ExplanationRequest&) {
    return fail(Errc::unsupported, "explain");
}

}  // namespace sluice::test
