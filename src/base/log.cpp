// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace sluice {
namespace {

using SystemTime = std::chrono::system_clock::time_point;
using SteadyTime = std::chrono::steady_clock::time_point;

/// How often one event was said in the window that began at `since`.
struct Allowance {
    SteadyTime since;
    unsigned said = 0;
    std::uint64_t suppressed = 0;
};

struct Logger {
    std::mutex mutex;
    LogFormat format = LogFormat::logfmt;
    LogLevel level = LogLevel::info;
    LogSink sink;
    LogSink also;
    std::map<std::string, Allowance, std::less<>> allowances;
    std::shared_ptr<spdlog::logger> out = [] {
        auto logger = std::make_shared<spdlog::logger>(
            "sluice", std::make_shared<spdlog::sinks::stderr_sink_st>());
        logger->set_pattern("%v");
        logger->set_level(spdlog::level::trace);
        logger->flush_on(spdlog::level::trace);
        return logger;
    }();
};

Logger& logger() {
    static Logger instance;
    return instance;
}

std::string timestamp(SystemTime at) {
    const auto since_epoch_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
    const std::time_t seconds = since_epoch_ms / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       since_epoch_ms % 1000);
}

/// JSON's escapes, which logfmt shares.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out += {'\\', c};
        else if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out + '"';
}

bool is_bare(std::string_view text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    return !text.empty();
}

/// Whether this line may be said, and how many before it were not.
std::pair<bool, std::uint64_t> admit(Logger& log, std::string_view event) {
    const auto now = std::chrono::steady_clock::now();
    auto found = log.allowances.find(event);
    if (found == log.allowances.end())
        found = log.allowances.emplace(std::string(event), Allowance{now, 0, 0}).first;
    Allowance& allowance = found->second;
    std::uint64_t suppressed = 0;
    if (now - allowance.since >= kLogWindow) {
        suppressed = allowance.suppressed;
        allowance = Allowance{now, 0, 0};
    }
    if (allowance.said >= kLogBurst) {
        ++allowance.suppressed;
        return {false, 0};
    }
    ++allowance.said;
    return {true, suppressed};
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

}  // namespace

const char* name_of(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return "debug";
        case LogLevel::info:
            return "info";
        case LogLevel::warning:
            return "warning";
        case LogLevel::error:
            return "error";
    }
    return "error";
}

std::string format_logfmt(SystemTime at, LogLevel level, std::string_view event,
                          std::span<const LogField> fields) {
    std::string out = fmt::format("ts={} level={} event={}", timestamp(at), name_of(level), event);
    for (const LogField& field : fields)
        out += fmt::format(" {}={}", field.key,
                           is_bare(field.value) ? field.value : quoted(field.value));
    return out;
}

std::string format_log_json(SystemTime at, LogLevel level, std::string_view event,
                            std::span<const LogField> fields) {
    std::string out = fmt::format("{{\"ts\":\"{}\",\"level\":\"{}\",\"event\":{}", timestamp(at),
                                  name_of(level), quoted(event));
    for (const LogField& field : fields)
        out += fmt::format(",{}:{}", quoted(field.key), quoted(field.value));
    return out + "}";
}

void log_setup(LogFormat format, LogLevel level) {
    Logger& log = logger();
    const std::lock_guard lock(log.mutex);
    log.format = format;
    log.level = level;
}

void log_to(LogSink sink) {
    Logger& log = logger();
    const std::lock_guard lock(log.mutex);
    log.sink = std::move(sink);
    log.allowances.clear();
}

void log_also_to(LogSink sink) {
    Logger& log = logger();
    const std::lock_guard lock(log.mutex);
    log.also = std::move(sink);
}

void log_event(LogLevel level, std::string_view event, std::span<const LogField> fields) {
    Logger& log = logger();
    const std::lock_guard lock(log.mutex);
    const bool is_kept = log.also && level >= LogLevel::info;
    if (!is_kept && level < log.level) return;
    const auto [admitted, suppressed] = admit(log, event);
    if (!admitted) return;
    std::vector<LogField> all(fields.begin(), fields.end());
    if (suppressed > 0) all.push_back({"suppressed", std::to_string(suppressed)});
    if (is_kept) log.also(level, event, all);
    if (level < log.level) return;
    if (log.sink) {
        log.sink(level, event, all);
        return;
    }
    const auto now = std::chrono::system_clock::now();
    log.out->log(spdlog_level(level), log.format == LogFormat::json
                                          ? format_log_json(now, level, event, all)
                                          : format_logfmt(now, level, event, all));
}

}  // namespace sluice
