// SPDX-License-Identifier: Apache-2.0
#include "daemon/systemd.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

// The fields of sd_journal_sendv carry no source location of ours.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

#include <cctype>
#include <chrono>
#include <cstdlib>
#include <vector>

namespace sluice::daemon {
namespace {

int priority_of(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return LOG_DEBUG;
        case LogLevel::info:
            return LOG_INFO;
        case LogLevel::warning:
            return LOG_WARNING;
        case LogLevel::error:
            return LOG_ERR;
    }
    return LOG_ERR;
}

/// A status line must stay one line: another one would be read as a message of the protocol.
std::string one_line(std::string text) {
    for (char& c : text)
        if (std::iscntrl(static_cast<unsigned char>(c)) != 0) c = ' ';
    return text;
}

}  // namespace

void notify_ready(const std::string& status) {
    ::sd_notify(0, ("READY=1\nSTATUS=" + one_line(status)).c_str());
}

void notify_reloading() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto now_us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    ::sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now_us).c_str());
}

void notify_stopping() {
    ::sd_notify(0, "STOPPING=1");
}

void notify_watchdog() {
    ::sd_notify(0, "WATCHDOG=1");
}

bool is_stderr_journal() {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat info{};
    if (stream == nullptr || ::fstat(STDERR_FILENO, &info) != 0) return false;
    return fmt::format("{}:{}", info.st_dev, info.st_ino) == stream;
}

void log_to_journal(LogLevel level, std::string_view event, std::span<const LogField> fields) {
    std::string message = "event=" + std::string(event);
    std::vector<std::string> entries = {fmt::format("PRIORITY={}", priority_of(level)),
                                        fmt::format("SLUICE_EVENT={}", event),
                                        "SYSLOG_IDENTIFIER=sluiced"};
    for (const LogField& field : fields) {
        std::string name = "SLUICE_";
        for (const char c : field.key)
            name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        entries.push_back(name + "=" + field.value);
        message += fmt::format(" {}={}", field.key, field.value);
    }
    entries.push_back("MESSAGE=" + message);
    std::vector<iovec> parts;
    for (std::string& entry : entries) parts.push_back({entry.data(), entry.size()});
    ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

}  // namespace sluice::daemon
