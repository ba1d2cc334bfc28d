// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Durations as people write them, in the configuration, on the command line and in the API: whole
/// seconds in units s, m, h and d, each at most once and the longest first: "75s", "1m30s", "1d".

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice {

/// Errc::invalid with the end of a sentence that begins with the text, which is not repeated (it
/// may hold anything): "is not a duration, as in 75s, 15m, 2h, 1d or 1m30s". A unit is always
/// needed, so that nobody has to know in what a number counts; numbers have no leading zeros.
Result<std::chrono::seconds> parse_duration(std::string_view text);

/// One number where that is exact and below a hundred, else days to seconds without those that are
/// zero: "75s", "90m", "1h", "14m59s", "0s". parse_duration reads it back. Not for negative ones.
std::string text_of_duration(std::chrono::seconds duration);

/// Where seconds are too coarse: a duration as above, or milliseconds alone, as in "250ms".
std::optional<std::chrono::milliseconds> parse_millis(std::string_view text);

/// As text_of_duration() for whole seconds, else in milliseconds: "1m", "1500ms". parse_millis
/// reads it back. Not for negative ones.
std::string text_of_millis(std::chrono::milliseconds duration);

}  // namespace sluice
