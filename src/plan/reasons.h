// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The list of reasons.def for people: labels, texts, remedies.

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

/// Whether the backend's agent can give this reason.
bool is_agent_reason(slc_reason reason);

const char* famproto_label(slc_famproto famproto);  ///< "ip4_tcp".

}  // namespace sluice::plan
