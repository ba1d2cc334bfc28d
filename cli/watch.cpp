// SPDX-License-Identifier: Apache-2.0

/// `sluice observe` and `sluice events`: lines as they come, until nobody reads them any more.

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>

#include "api/client.h"
#include "api/query.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/daemon.h"

namespace sluice::cli {
namespace {

constexpr std::uint64_t kFirstSeen = 10;
constexpr std::uint64_t kEventsSeen = 20;
constexpr std::size_t kToMilliseconds = 23;  ///< "2026-11-21T13:00:00.123"

/// Values of one key as one word, which the API takes apart again.
void add_word(api::Query& query, const std::string& key, const std::string& value) {
    std::string& words = query[key];
    words += (words.empty() ? "" : ",") + value;
}

api::Query observe_query(const WatchOptions& options) {
    api::Query out;
    for (const FilterWord& filter : options.filters)
        add_word(out, (filter.is_negated ? "not_" : "") + filter.key, filter.value);
    const bool is_plain = !options.last;
    out["last"] = std::to_string(options.last.value_or(kFirstSeen));
    if (options.follow || is_plain) out["follow"] = "1";
    if (options.count > 0) out["count"] = std::to_string(options.count);
    return out;
}

api::Query events_query(const WatchOptions& options) {
    api::Query out;
    for (const std::string& name : options.names) add_word(out, "name", name);
    if (!options.level.empty()) out["level"] = options.level;
    out["last"] = std::to_string(options.last.value_or(kEventsSeen));
    if (options.follow) out["follow"] = "1";
    return out;
}

void put_line(std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
}

std::string short_time(const Json& line) {
    return text_at(line, "time").substr(0, kToMilliseconds) + "Z";
}

/// What is known, in the order of the packet's way.
std::string decision_text(const Json& decision) {
    std::string out = fmt::format("{} {} {}  ", short_time(decision), text_at(decision, "verdict"),
                                  text_at(decision, "reason"));
    const std::string packet = text_at(decision, "packet");
    out += packet.empty() ? fmt::format("{} bytes, not kept", number_at(decision, "len")) : packet;
    out += "  stage=" + text_at(decision, "stage");
    for (const char* key : {"service", "backend", "customer", "policy", "mitigation", "interface"})
        if (const std::string text = text_at(decision, key); !text.empty())
            out += fmt::format(" {}={}", key, text);
    out +=
        fmt::format(" queue={} cpu={}", number_at(decision, "queue"), number_at(decision, "cpu"));
    if (const std::uint64_t generation = number_at(decision, "generation"); generation > 0)
        out += fmt::format(" generation={}", generation);
    if (flag_at(decision, "extra")) out += " extra";
    return out;
}

std::string decision_row(const std::string& time, const std::string& verdict,
                         const std::string& reason, const std::string& service,
                         const std::string& backend, const std::string& interface,
                         const std::string& packet) {
    return fmt::format("{:<12}  {:<8}  {:<22}  {:<14}  {:<22}  {:<10}  {}", time, verdict, reason,
                       service, backend, interface, packet);
}

std::string decision_row(const Json& decision) {
    const auto or_dash = [&](const char* key) {
        const std::string text = text_at(decision, key);
        return text.empty() ? std::string("-") : text;
    };
    return decision_row(short_time(decision).substr(11, 12), text_at(decision, "verdict"),
                        text_at(decision, "reason"), or_dash("service"), or_dash("backend"),
                        or_dash("interface"), or_dash("packet"));
}

std::string event_text(const Json& event) {
    std::vector<LogField> fields;
    for (const auto& [key, value] : member_at(event, "fields").items())
        if (value.is_string()) fields.push_back({key, value.get<std::string>()});
    // As the log writes them.
    constexpr std::string_view kName = " event=";
    const std::string line = format_logfmt({}, LogLevel::info, text_at(event, "event"), fields);
    return fmt::format("{} {:<7} {}", text_at(event, "time"), text_at(event, "level"),
                       line.substr(line.find(kName) + kName.size()));
}

/// One line of a stream: what is missing of it is said on standard error, too.
template <typename Text>
Result<void> put(std::string_view text, const std::string& format, const char* gap,
                 const char* what, Text text_of) {
    if (text.empty()) return {};  // Only a sign of life.
    const Json line = SLC_TRY(parse_document(std::string(text)), "line");
    const std::uint64_t missing = number_at(line, gap);
    if (missing > 0)
        fmt::print(
            stderr, "warning: {} {} before they were read\n", missing,
            missing == 1 ? fmt::format("{} was lost", what) : fmt::format("{}s were lost", what));
    if (format == "json")
        put_line(text);
    else if (format == "yaml")
        fmt::print("---\n{}", yaml_text(line));
    else if (missing == 0)
        put_line(text_of(line));
    // Whoever reads a pipe sees each when it happens.
    std::fflush(stdout);
    return {};
}

/// What -o or -j say, of a command that has more formats than others.
std::string format_of(const Options& options) {
    if (options.format == Format::json) return "json";
    if (options.format == Format::yaml) return "yaml";
    return options.watch.format;
}

/// What the daemon calls invalid is the command line.
Result<int> ended(Error error, const char* command) {
    if (error.code == Errc::invalid) return usage_error(std::move(error), command);
    return fail(std::move(error).in(command));
}

}  // namespace

Result<int> run_observe(const Options& options) {
    if (options.watch.has_loose_not)
        return usage_error(make_error(Errc::invalid, "--not: no filter behind it",
                                      "--not --service web: all but this service"),
                           "observe");
    const std::string format = format_of(options);
    bool has_heading = format != "table";
    auto done =
        api::Client(options.socket)
            .stream("/api/v1/observe" + api::text_of(observe_query(options.watch)),
                    [&](std::string_view line) {
                        if (!has_heading && !line.empty())
                            put_line(decision_row("TIME", "VERDICT", "REASON", "SERVICE", "BACKEND",
                                                  "INTERFACE", "PACKET"));
                        has_heading = has_heading || !line.empty();
                        return put(line, format, "lost", "sample", [&](const Json& json) {
                            return format == "table" ? decision_row(json) : decision_text(json);
                        });
                    });
    if (!done) return ended(std::move(done).error(), "observe");
    return kExitDone;
}

Result<int> run_events(const Options& options) {
    const std::string format = format_of(options);
    auto done = api::Client(options.socket)
                    .stream("/api/v1/events" + api::text_of(events_query(options.watch)),
                            [&](std::string_view line) {
                                return put(line, format, "missed", "event", event_text);
                            });
    if (!done) return ended(std::move(done).error(), "events");
    return kExitDone;
}

}  // namespace sluice::cli
