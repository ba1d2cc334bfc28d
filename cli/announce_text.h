// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A node's announcements in words, from their document in the API. Pure.

#include <string>

#include "cli/output.h"

namespace sluice::cli {

/// "draining since ...: VIPs are withdrawn at ...", of a document with `node_state`; empty for a
/// node that is ready.
std::string node_state_text(const Json& document);
/// One line: the node's state, and how many VIPs are announced.
std::string announcements_text(const Json& page);
/// Equal for documents between which only time went by.
std::string announcements_key(const Json& page);

}  // namespace sluice::cli
