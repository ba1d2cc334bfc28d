// SPDX-License-Identifier: Apache-2.0

/// What a packet would do: the controller's side of `sluice explain`.

#include "control/controller.h"
#include "control/explanation.h"

namespace sluice::control {

Result<Explanation> Controller::explain(const ExplanationRequest&) {
    return fail(Errc::unsupported, "explain");
}

}  // namespace sluice::control
