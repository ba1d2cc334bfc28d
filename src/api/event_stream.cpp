// SPDX-License-Identifier: Apache-2.0
#include "api/event_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "api/json.h"
#include "api/json_of.h"
#include "observe/losses.h"

namespace sluice::api {
namespace {

using observe::Event;
using observe::EventLog;

constexpr std::size_t kStepLen = 256;
constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

std::string event_json(const Event& event) {
    Json fields = Json::object();
    for (const auto& [key, value] : event.fields) fields[key] = value;
    Json out = document();
    out["number"] = event.number;
    out["time"] = precise_time_text(event.at);
    out["level"] = name_of(event.level);
    out["event"] = event.name;
    out["fields"] = std::move(fields);
    return text_of(out);
}

std::string count_json(const char* key, std::uint64_t count) {
    Json out = document();
    out[key] = count;
    return text_of(out);
}

/// "17", or "1763766000123-17" as the stream's own ids are.
Result<EventPlace> parse_place(const std::string& key, std::string_view text) {
    EventPlace out;
    const std::size_t dash = text.find('-');
    if (dash != std::string_view::npos) {
        const auto began = parse_number(key, text.substr(0, dash), 0, kMost);
        if (!began) return fail(began.error());
        out.began = *began;
        text.remove_prefix(dash + 1);
    }
    const auto number = parse_number(key, text, 0, kMost);
    if (!number) return fail(number.error());
    out.number = *number;
    return out;
}

Result<LogLevel> parse_level(std::string_view value) {
    for (const LogLevel level : {LogLevel::info, LogLevel::warning, LogLevel::error})
        if (value == name_of(level)) return level;
    return fail(Errc::invalid,
                fmt::format("level: '{}' is not one of info, warning, error", value));
}

Result<void> take(EventRequest& request, const std::string& key, const std::string& value) {
    if (key == "after") {
        request.after = SLC_TRY(parse_place(key, value), "query");
    } else if (key == "last") {
        request.last = SLC_TRY(parse_number(key, value, 0, kMost), "query");
    } else if (key == "level") {
        request.level = SLC_TRY(parse_level(value), "query");
    } else if (key == "name") {
        request.names = SLC_TRY(parse_list(key, value), "query");
    } else if (key == "follow") {
        request.follow = SLC_TRY(parse_number(key, value, 0, 1), "query") == 1;
    } else if (key == "format") {
        if (value != "sse" && value != "lines")
            return fail(Errc::invalid, fmt::format("format: '{}' is not one of lines, sse", value));
        request.sse = value == "sse";
    } else {
        return fail(Errc::invalid, fmt::format("query: unknown key '{}'", key),
                    "the keys are after, last, level, name, follow, format");
    }
    return {};
}

}  // namespace

Result<EventRequest> parse_event_request(const Query& query, std::string_view accept,
                                         std::string_view last_event_id) {
    EventRequest out;
    out.sse = accept.find("text/event-stream") != std::string_view::npos;
    // A browser that comes back asks the same again, and says where it was.
    if (!last_event_id.empty())
        out.after = SLC_TRY(parse_place("Last-Event-ID", last_event_id), "header");
    const bool is_back = out.after.has_value();
    for (const auto& [key, value] : query) {
        if (is_back && (key == "after" || key == "last")) continue;
        auto taken = take(out, key, value);
        if (!taken) return fail(std::move(taken).error());
    }
    if (out.after && out.last)
        return fail(Errc::invalid, "query: after and last exclude each other");
    return out;
}

bool EventStream::fits(const Event& event) const {
    if (event.level < request_.level) return false;
    return request_.names.empty() ||
           std::any_of(request_.names.begin(), request_.names.end(),
                       [&](const std::string& name) { return event.name.starts_with(name); });
}

void EventStream::put(std::string_view kind, const std::string& json, std::uint64_t number) {
    if (!request_.sse) {
        piece_ += json + "\n";
        return;
    }
    if (!kind.empty()) piece_ += fmt::format("event: {}\n", kind);
    fmt::format_to(std::back_inserter(piece_), "id: {}-{}\ndata: {}\n\n", began_, number, json);
}

void EventStream::begin(const EventLog& log) {
    has_begun_ = true;
    began_ = log.began();
    until_ = log.last();
    if (request_.last) {
        seen_ = log.before_last(*request_.last, [this](const Event& event) { return fits(event); });
    } else if (request_.after) {
        const EventPlace& place = *request_.after;
        const bool is_same = place.began ? *place.began == began_ : place.number <= until_;
        if (is_same)
            seen_ = std::min(place.number, until_);
        else
            put("restarted", count_json("restarted", began_), 0);
    } else {
        seen_ = log.before_last(observe::kEventsKept, [](const Event&) { return true; });
    }
}

Result<void> EventStream::step(control::NodeView& node) {
    const EventLog& log = node.events();
    if (!has_begun_) begin(log);
    const observe::EventPage page = log.after(seen_, kStepLen);
    // Of what came after its end a page has missed nothing.
    const std::uint64_t missed =
        request_.follow ? page.missed : std::min(page.missed, until_ - seen_);
    if (missed > 0) {
        seen_ += missed;
        put("missed", count_json("missed", missed), seen_);
        observe::count_lost(observe::Loss::events, missed);
    }
    for (const Event& event : page.events) {
        if (!request_.follow && event.number > until_) break;
        seen_ = event.number;
        if (fits(event)) put({}, event_json(event), event.number);
    }
    is_behind_ = !page.events.empty() && seen_ < page.last;
    done_ = !request_.follow && (page.events.empty() || seen_ >= until_);
    return {};
}

}  // namespace sluice::api
