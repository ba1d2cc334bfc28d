// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The daemon's events (observe/event_log.h) as they come: JSON lines, or server-sent events (the
/// HTML standard, "text/event-stream") whose ids a client that comes back sends again.
///
///   GET /api/v1/events?after=N&last=N&level=warning&name=backend.,config.&follow=1&format=sse
///
/// A line is an event, or says that some were given up before they were read ("missed"), or that
/// the daemon began anew since the client was here ("restarted").

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/query.h"
#include "api/stream.h"
#include "observe/event_log.h"

namespace sluice::api {

/// A place among the events: of which daemon, and the last one seen there.
struct EventPlace {
    std::optional<std::uint64_t> began;  ///< EventLog::began(); nothing: of whichever runs.
    std::uint64_t number = 0;
};

struct EventRequest {
    std::optional<EventPlace> after;
    std::optional<std::uint64_t> last;  ///< Of those that match; nothing: all that are kept.
    LogLevel level = LogLevel::info;
    std::vector<std::string> names;  ///< Prefixes, any of which must fit; empty: all fit.
    bool follow = false;
    bool sse = false;
};

/// `accept` and `last_event_id` are those headers. Errc::invalid names the key.
Result<EventRequest> parse_event_request(const Query& query, std::string_view accept,
                                         std::string_view last_event_id);

class EventStream : public Stream {
 public:
    explicit EventStream(EventRequest request) : request_(std::move(request)) {}

    Result<void> step(control::NodeView& node) override;
    [[nodiscard]] bool done() const override { return done_; }
    [[nodiscard]] std::chrono::milliseconds pause() const override {
        return std::chrono::milliseconds(is_behind_ ? 0 : 100);
    }
    [[nodiscard]] bool is_live() const override { return request_.follow; }
    [[nodiscard]] std::string keep_alive() const override { return request_.sse ? ":\n\n" : "\n"; }
    [[nodiscard]] std::string_view content_type() const override {
        return request_.sse ? "text/event-stream" : "application/x-ndjson";
    }

 private:
    void begin(const observe::EventLog& log);
    [[nodiscard]] bool fits(const observe::Event& event) const;
    /// `kind` is what server-sent events call it; empty for ordinary ones.
    void put(std::string_view kind, const std::string& json, std::uint64_t number);

    EventRequest request_;
    std::uint64_t began_ = 0;
    std::uint64_t seen_ = 0;
    std::uint64_t until_ = 0;  ///< Without following: the last one there was at the beginning.
    bool has_begun_ = false;
    bool is_behind_ = false;
    bool done_ = false;
};

}  // namespace sluice::api
