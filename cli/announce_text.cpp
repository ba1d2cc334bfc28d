// SPDX-License-Identifier: Apache-2.0
#include "cli/announce_text.h"

#include <fmt/format.h>

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/daemon.h"

namespace sluice::cli {
namespace {

/// "2 of 3 VIPs are announced, 1 is failing (why)"
std::string vips_text(const Json& page) {
    const Json& vips = member_at(page, "announcements");
    std::map<std::string, std::size_t> count;
    std::string why;
    for (const Json& vip : vips) {
        const std::string state = text_at(vip, "state");
        ++count[state];
        if (state == "failing" && why.empty())
            why = fmt::format(" ({}: {})", text_at(vip, "vip"), text_at(vip, "why"));
    }
    std::string out = fmt::format("{} of {} VIPs announced", count["announced"], vips.size());
    for (const char* state : {"draining", "wanted", "failing"})
        if (count[state] > 0) out += fmt::format(", {} {}", count[state], state);
    return out + why;
}

}  // namespace

std::string node_state_text(const Json& document) {
    const Json& node = member_at(document, "node_state");
    const std::string state = text_at(node, "state");
    if (state != "draining" && state != "drained") return {};
    std::string out = fmt::format("{} since {}", state, time_for_people(text_at(node, "since")));
    if (state == "draining") {
        out += flag_at(node, "until_quiet")
                   ? "; VIPs are withdrawn when no more packets come, not before "
                   : "; VIPs are withdrawn at ";
        out += time_for_people(text_at(node, "withdraw_at"));
        if (!text_at(node, "deadline").empty())
            out += fmt::format(", at {} at the latest", time_for_people(text_at(node, "deadline")));
    }
    if (!text_at(node, "ready_at").empty())
        return out + fmt::format("; ready again at {}", time_for_people(text_at(node, "ready_at")));
    return out + (state == "drained" ? "; sluice node ready brings it back" : "");
}

std::string announcements_text(const Json& page) {
    const std::string state = node_state_text(page);
    return (state.empty() ? "ready" : state) + "; " + vips_text(page);
}

std::string announcements_key(const Json& page) {
    return announcements_text(page);
}

}  // namespace sluice::cli
