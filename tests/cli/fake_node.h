// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A node whose every answer is fixed, so that what is printed of it can be asserted whole.
/// Addresses are those of RFC 5737 and RFC 3849.

#include <string>

#include "control/status.h"

namespace sluice::test {

enum class Scene {
    healthy,   ///< Two services, three backends, some traffic.
    degraded,  ///< A service without backends, generic XDP, a refused reload, drops.
    crowded,   ///< More services and problems than fit a screen.
    empty,     ///< Started; no configuration in force.
};

control::NodeStatus make_status(Scene scene);

class FakeNode : public control::NodeView {
 public:
    explicit FakeNode(Scene scene) : status_(make_status(scene)) {}

    control::NodeStatus status() override { return status_; }
    /// Counts a generation up; in the degraded scene it is refused like a file with an error.
    Result<void> reload() override;
    std::string config_text() override;

    int reloads = 0;

 private:
    control::NodeStatus status_;
};

}  // namespace sluice::test
