// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_observation.h"

#include "tests/cli/fake_capture.h"
#include "tests/cli/fake_top.h"
#include "tests/cli/fake_watch.h"

namespace sluice::test {

std::shared_ptr<const observe::Names> FakeObservation::names() {
    return fake_names();
}

control::SampleBatch FakeObservation::samples(control::SampleCursor& cursor) {
    return fake_samples(cursor);
}

std::int64_t FakeObservation::wall_offset_ns() const {
    return kFakeWallOffset;
}

std::vector<control::Talker> FakeObservation::talkers() {
    return fake_talkers();
}

Result<std::unique_ptr<control::CaptureSession>> FakeObservation::capture(
    const control::CaptureRequest& request) {
    return fake_capture(request);
}

Result<void> FakeObservation::end_capture(const std::string&) {
    return fail(Errc::not_found, "no capture is under way");
}

}  // namespace sluice::test
