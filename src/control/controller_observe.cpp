// SPDX-License-Identifier: Apache-2.0

/// What packets go through, as others may watch it: samples, names, captures.

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

}  // namespace sluice::control
