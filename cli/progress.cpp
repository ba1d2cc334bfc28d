// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/duration.h"
#include "cli/daemon.h"

namespace sluice::cli {
namespace {

constexpr std::uint64_t kMillisecondsPerSecond = 1000;

std::string slots_text(std::uint64_t count) {
    return fmt::format("{} slot{}", count, count == 1 ? "" : "s");
}

std::uint64_t slots_in_phase(const Json& change) {
    const std::string phase = text_at(change, "phase");
    if (phase == "preparing") return number_at(change, "preparing_slots");
    return number_at(change, phase == "open" ? "open_slots" : "marked_slots");
}

bool is_window_open(const Json& change) {
    return number_at(change, "open_slots") > 0 || number_at(change, "preparing_slots") > 0;
}

}  // namespace

std::string flows_text(std::uint64_t count) {
    return fmt::format("{} flow{}", count, count == 1 ? "" : "s");
}

std::string span_text(std::uint64_t milliseconds) {
    const std::uint64_t seconds =
        milliseconds / kMillisecondsPerSecond + (milliseconds % kMillisecondsPerSecond > 0 ? 1 : 0);
    return text_of_duration(std::chrono::seconds(seconds));
}

std::string state_text(const Json& backend) {
    if (flag_at(backend, "retired")) return "retired";
    const std::string state = text_at(backend, "state");
    const std::string configured = text_at(backend, "configured_state");
    return state == configured ? state : fmt::format("{} (configured: {})", state, configured);
}

std::string weight_text(const Json& backend) {
    const std::uint64_t weight = number_at(backend, "weight");
    const std::uint64_t configured = number_at(backend, "configured_weight");
    return weight == configured ? std::to_string(weight)
                                : fmt::format("{} (configured: {})", weight, configured);
}

std::string change_text(const Json& change) {
    const std::string phase = text_at(change, "phase");
    if (phase.empty() || phase == "settled") return {};
    std::string out = fmt::format("{}: {}", phase, slots_text(slots_in_phase(change)));
    const std::uint64_t window = number_at(change, "window_left_ms");
    if (is_window_open(change) && window > 0)
        out += fmt::format(", window closes in {}", span_text(window));
    const std::uint64_t deadline = number_at(change, "deadline_left_ms");
    if (deadline > 0) out += fmt::format(", deadline in {}", span_text(deadline));
    const std::uint64_t held = number_at(change, "held_slots");
    if (held > 0)
        out += fmt::format(", {} held (new flows stay: some found no room to be remembered)",
                           slots_text(held));
    return out;
}

std::string backend_sentence(const Json& backend) {
    const std::string phase = text_at(member_at(backend, "change"), "phase");
    const std::uint64_t remembered = number_at(backend, "remembered");
    return fmt::format("{}: {}, weight {}; {}, {} for it", backend_name(backend),
                       state_text(backend), weight_text(backend), phase,
                       remembered == 0 ? std::string("no flows are remembered")
                                       : fmt::format("{} {} remembered", flows_text(remembered),
                                                     remembered == 1 ? "is" : "are"));
}

std::string progress_text(const Json& backend) {
    const Json& change = member_at(backend, "change");
    const std::string state =
        flag_at(backend, "retired") ? std::string("retired") : text_at(backend, "state");
    std::string out = fmt::format("{} {}: {} remembered", backend_name(backend), state,
                                  flows_text(number_at(backend, "remembered")));
    const std::string what = change_text(change);
    if (!what.empty()) out += ", " + what;
    if (is_window_open(change)) out += "; silent connections are not yet known";
    return out;
}

std::string progress_key(const Json& backend) {
    const Json& change = member_at(backend, "change");
    return fmt::format("{} {} {} {} {} {}", state_text(backend), weight_text(backend),
                       number_at(backend, "remembered"), text_at(change, "phase"),
                       slots_in_phase(change), number_at(change, "held_slots"));
}

}  // namespace sluice::cli
