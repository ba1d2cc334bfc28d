// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The list of reasons.def for people: labels, texts, remedies.

#include <cstdint>
#include <string>

#include "sluice/types.h"

namespace sluice::plan {

struct ReasonText {
    const char* label;
    const char* text;
    const char* remedy;  ///< May be empty.
};

/// `reason` below SLC_REASON_COUNT.
const ReasonText& reason_text(slc_reason reason);

/// Whether a packet that leaves with this reason was dropped (in whatever configuration).
bool is_drop(slc_reason reason);

/// Whether its sender got an answer made here, instead of a backend getting the packet.
bool is_answer(slc_reason reason);

/// Whether it was left to Linux: what is for this node as a backend too.
bool is_pass(slc_reason reason);

/// Whether the backend's agent can give this reason.
bool is_agent_reason(slc_reason reason);

const char* famproto_label(slc_famproto famproto);  ///< "ip4_tcp".
const char* verdict_label(std::uint8_t verdict);    ///< "drop", "pass", "tx", "redirect".
const char* stage_label(std::uint8_t stage);        ///< "entry", "parse", ...
/// Label of a reason, also of one that this version does not know: "reason 77".
std::string reason_label(std::uint16_t reason);

}  // namespace sluice::plan
