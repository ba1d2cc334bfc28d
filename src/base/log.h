// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The daemon's log: one line per event on standard error, or one entry in the journal.
///
///   log_event(LogLevel::info, "config.applied", {{"generation", "3"}, {"services", "12"}});
///   ts=2026-11-21T13:00:00.123Z level=info event=config.applied generation=3 services=12
///
/// Event names and field keys are stable: people search and alert on them. They are listed in
/// sluiced(8). Every event name is limited to kLogBurst lines in kLogWindow; what is left out is
/// counted in the field `suppressed` of the next line of that name.

#include <chrono>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace sluice {

enum class LogLevel { debug, info, warning, error };
enum class LogFormat { logfmt, json };

struct LogField {
    std::string_view key;  ///< snake_case.
    std::string value;
};

inline constexpr unsigned kLogBurst = 50;
inline constexpr std::chrono::seconds kLogWindow{10};

/// Where events go instead of standard error: the journal, a test.
using LogSink = std::function<void(LogLevel, std::string_view event, std::span<const LogField>)>;

/// Process-wide. Until called: logfmt, level info, standard error.
void log_setup(LogFormat format, LogLevel level);
/// An empty sink means standard error again.
void log_to(LogSink sink);
/// What keeps events beside the log (observe/event_log.h): it gets those of level info and above,
/// whatever level is written, and as often as they may be said: what many repeat must not push out
/// what was said once. It must not log. An empty one: nobody.
void log_also_to(LogSink sink);
void log_event(LogLevel level, std::string_view event, std::span<const LogField> fields);

inline void log_event(LogLevel level, std::string_view event,
                      std::initializer_list<LogField> fields = {}) {
    log_event(level, event, std::span<const LogField>(fields.begin(), fields.size()));
}

const char* name_of(LogLevel level);

/// One line without its end. Values are quoted when they need it; control characters are escaped,
/// so that no value can forge a line.
std::string format_logfmt(std::chrono::system_clock::time_point at, LogLevel level,
                          std::string_view event, std::span<const LogField> fields);
std::string format_log_json(std::chrono::system_clock::time_point at, LogLevel level,
                            std::string_view event, std::span<const LogField> fields);

}  // namespace sluice
