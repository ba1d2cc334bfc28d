// SPDX-License-Identifier: Apache-2.0

/// What packets go through, as others may watch it: samples, names, talkers, captures.

#include "control/controller.h"
#include "control/explanation.h"

namespace sluice::control {

const observe::EventLog& Controller::events() {
    static const observe::EventLog kNone;
    return options_.events != nullptr ? *options_.events : kNone;
}

std::shared_ptr<const observe::Names> Controller::names() {
    return std::make_shared<observe::Names>();
}

SampleBatch Controller::samples(SampleCursor&) {
    return {};
}

std::uint32_t Controller::sampled_one_in() const {
    return live_ ? live_->config.node.sample_one_in : 0;
}

std::vector<Talker> Controller::talkers() {
    return {};
}

Result<std::unique_ptr<CaptureSession>> Controller::capture(const CaptureRequest&) {
    return fail(Errc::unsupported, "capture");
}

Result<void> Controller::end_capture(const std::string&) {
    return fail(Errc::not_found, "no capture is under way");
}

}  // namespace sluice::control
