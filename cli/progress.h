// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A planned change of one backend in words, from its document in the API. Pure.

#include <string>

#include "cli/output.h"

namespace sluice::cli {

/// "1 flow", "1200 flows".
std::string flows_text(std::uint64_t count);
/// "14m59s", to the second, never less than is left.
std::string span_text(std::uint64_t milliseconds);
/// "drain", "drain (configured: ready)", "retired".
std::string state_text(const Json& backend);
std::string weight_text(const Json& backend);

/// "open: 86 slots, window closes in 15m, 2 slots held"; empty when nothing is in progress.
std::string change_text(const Json& change);
/// "web/10.0.0.5: drain (configured: ready), weight 1; settled, 12 flows are remembered for it".
std::string backend_sentence(const Json& backend);
/// What --wait shows: one line, what matters most in front.
std::string progress_text(const Json& backend);
/// Equal for documents between which only time went by.
std::string progress_key(const Json& backend);

}  // namespace sluice::cli
