// SPDX-License-Identifier: Apache-2.0
#include "base/duration.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstdint>

namespace sluice {
namespace {

using Seconds = std::chrono::seconds::rep;

struct Unit {
    char letter;
    Seconds seconds;
};

constexpr std::array<Unit, 4> kUnits = {{{'d', 86'400}, {'h', 3'600}, {'m', 60}, {'s', 1}}};

tl::unexpected<Error> not_a_duration() {
    return fail(Errc::invalid, "is not a duration, as in 75s, 15m, 2h, 1d or 1m30s");
}

/// A sum of `whole` and `count` times `unit`, or -1 when no number of seconds is that large.
Seconds sum_of(Seconds whole, Seconds count, Seconds unit) {
    Seconds part = 0;
    Seconds sum = 0;
    if (__builtin_mul_overflow(count, unit, &part) || __builtin_add_overflow(whole, part, &sum))
        return -1;
    return sum;
}

}  // namespace

Result<std::chrono::seconds> parse_duration(std::string_view text) {
    if (text.empty()) return not_a_duration();
    Seconds sum = 0;
    std::size_t next_unit = 0;
    while (!text.empty()) {
        const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
        if (digits == 0 || digits == text.size() || (digits > 1 && text.front() == '0'))
            return not_a_duration();
        Seconds count = 0;
        const bool fits =
            std::from_chars(text.data(), text.data() + digits, count).ec == std::errc();
        const char letter = text[digits];
        while (next_unit < kUnits.size() && kUnits[next_unit].letter != letter) ++next_unit;
        if (next_unit == kUnits.size()) return not_a_duration();
        sum = fits ? sum_of(sum, count, kUnits[next_unit].seconds) : -1;
        if (sum < 0) return fail(Errc::invalid, "is more seconds than can be counted");
        ++next_unit;
        text.remove_prefix(digits + 1);
    }
    return std::chrono::seconds(sum);
}

std::string text_of_duration(std::chrono::seconds duration) {
    Seconds rest = duration.count();
    assert(rest >= 0);
    if (rest == 0) return "0s";
    constexpr Seconds kTwoDigits = 100;
    for (const Unit& unit : kUnits)
        if (rest % unit.seconds == 0 && rest / unit.seconds < kTwoDigits)
            return std::to_string(rest / unit.seconds) + unit.letter;
    std::string out;
    for (const Unit& unit : kUnits) {
        if (rest >= unit.seconds) out += std::to_string(rest / unit.seconds) + unit.letter;
        rest %= unit.seconds;
    }
    return out;
}

std::optional<std::chrono::milliseconds> parse_millis(std::string_view text) {
    using std::chrono::milliseconds;
    if (text.ends_with("ms")) {
        text.remove_suffix(2);
        std::uint32_t count = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
        if (error != std::errc() || end != text.data() + text.size() || text.front() == '0')
            return std::nullopt;
        return milliseconds(count);
    }
    const auto whole = parse_duration(text);
    if (!whole || *whole > std::chrono::duration_cast<std::chrono::seconds>(milliseconds::max()))
        return std::nullopt;
    return *whole;
}

std::string text_of_millis(std::chrono::milliseconds duration) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(duration);
    if (whole == duration) return text_of_duration(whole);
    return std::to_string(duration.count()) + "ms";
}

}  // namespace sluice
