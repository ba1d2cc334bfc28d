// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/announce_status.h"
#include "tests/cli/fake_node.h"

namespace sluice::test {

/// Two VIPs by BIRD and a session: well; in the degraded scene the session is down and one VIP has
/// no healthy backend; in the changing one the node is being drained; in the empty one nothing
/// announces.
control::AnnounceStatus make_announcements(Scene scene);
/// The VIPs as a node in this state has them.
void set_node_state(control::AnnounceStatus& status, control::NodeState state);

}  // namespace sluice::test
