// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "control/configurations.h"

namespace sluice::cli {

/// "interface=eth1,eth2" or "share=5%". Errc::invalid with the end of a sentence that begins with
/// the text: "is neither ...".
Result<control::Canary> parse_canary(std::string_view text);

}  // namespace sluice::cli
