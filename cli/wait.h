// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/output.h"
#include "cli/tree.h"

namespace sluice::cli {

/// How waiting for a change ended.
enum class WaitEnd {
    settled,
    deadline,
    interrupted,
    gone,  ///< A retired backend whose last flow ended.
};

/// How far a document is, in words, and what of it is equal while only time goes by.
struct WaitView {
    std::string (*text)(const Json& document);
    std::string (*key)(const Json& document);
};
extern const WaitView kBackendView;

/// Asks for the document at `target` twice a second until one of the above, and shows on standard
/// error how far it is: on a terminal as one line that is rewritten, else as a line for each
/// change. A daemon that restarts meanwhile is waited for. `document` is the first one, and then
/// the last one that was read.
Result<WaitEnd> wait_until_settled(const Options& options, const std::string& target,
                                   Json& document, std::optional<std::chrono::seconds> deadline,
                                   const WaitView& view = kBackendView);

}  // namespace sluice::cli
