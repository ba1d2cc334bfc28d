// SPDX-License-Identifier: Apache-2.0

/// The half of the controller that follows the health of backends.

#include "control/controller.h"

namespace sluice::control {

void Controller::on_wake() {}

}  // namespace sluice::control
