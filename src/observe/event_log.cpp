// SPDX-License-Identifier: Apache-2.0
#include "observe/event_log.h"

#include <algorithm>

namespace sluice::observe {
namespace {

/// Not in the middle of a character.
std::string shortened(const std::string& value) {
    if (value.size() <= kMaxEventValue) return value;
    std::size_t len = kMaxEventValue;
    while (len > 0 && (static_cast<unsigned char>(value[len]) & 0xc0) == 0x80) --len;
    return value.substr(0, len) + "...";
}

}  // namespace

EventLog::EventLog(Clock clock)
    : clock_(std::move(clock)),
      began_(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(clock_().time_since_epoch())
              .count())) {}

void EventLog::add(LogLevel level, std::string_view name, std::span<const LogField> fields) {
    Event event;
    event.number = ++last_;
    event.at = clock_();
    event.level = level;
    event.name = name;
    for (const LogField& field : fields)
        event.fields.emplace_back(field.key, shortened(field.value));
    events_.push_back(std::move(event));
    if (events_.size() > kEventsKept) events_.pop_front();
}

EventPage EventLog::after(std::uint64_t number, std::size_t limit) const {
    EventPage out;
    out.last = last_;
    if (number >= last_ || events_.empty()) return out;
    const std::uint64_t first = events_.front().number;
    out.missed = number + 1 < first ? first - number - 1 : 0;
    const std::size_t begin = number + 1 < first ? 0 : number + 1 - first;
    const std::size_t end = std::min(events_.size(), begin + limit);
    for (std::size_t i = begin; i < end; ++i) out.events.push_back(events_[i]);
    return out;
}

std::uint64_t EventLog::before_last(std::size_t count, const Wanted& wanted) const {
    if (count == 0) return last_;
    for (auto event = events_.rbegin(); event != events_.rend(); ++event)
        if (wanted(*event) && --count == 0) return event->number - 1;
    return events_.empty() ? last_ : events_.front().number - 1;
}

}  // namespace sluice::observe
