// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What sluiced says to systemd. Without systemd each of these does nothing.

#include <string>

#include "base/log.h"

namespace sluice::daemon {

void notify_ready(const std::string& status);
/// Debian 12's systemd 252 ignores Type=notify-reload, so this is sent whatever the unit says, with
/// the monotonic time that the protocol asks for. notify_ready() ends it.
void notify_reloading();
void notify_stopping();
void notify_watchdog();

/// Whether standard error is the journal, so that fields need not be folded into a line.
bool is_stderr_journal();
/// A sink of log_to(): MESSAGE is the line, each field becomes SLUICE_<KEY>.
void log_to_journal(LogLevel level, std::string_view event, std::span<const LogField> fields);

}  // namespace sluice::daemon
