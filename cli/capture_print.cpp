// SPDX-License-Identifier: Apache-2.0
#include "cli/capture_print.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

#include "packet/notation.h"
#include "sluice/limits.h"

namespace sluice::cli {
namespace {

constexpr std::uint64_t kBillion = 1'000'000'000;
constexpr int kSchemaVersion = 1;

const char* direction_word(packet::PcapngDirection direction) {
    switch (direction) {
        case packet::PcapngDirection::inbound:
            return "in";
        case packet::PcapngDirection::outbound:
            return "out";
        default:
            return "";
    }
}

std::tm utc(std::uint64_t time_ns) {
    const auto seconds = static_cast<std::time_t>(time_ns / kBillion);
    std::tm out{};
    ::gmtime_r(&seconds, &out);
    return out;
}

std::string time_of_day(std::uint64_t time_ns) {
    const std::tm at = utc(time_ns);
    return fmt::format("{:02}:{:02}:{:02}.{:09}", at.tm_hour, at.tm_min, at.tm_sec,
                       time_ns % kBillion);
}

std::string rfc3339(std::uint64_t time_ns) {
    const std::tm at = utc(time_ns);
    return fmt::format("{:04}-{:02}-{:02}T{}Z", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday,
                       time_of_day(time_ns));
}

/// The next word, up to a blank; `text` is left with the rest.
std::string_view next_word(std::string_view& text) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    return word;
}

/// Of a packet that was cut, zeros stand for the rest; that a sum is wrong for them says nothing.
std::string notation(const packet::PcapngPacket& packet) {
    std::vector<std::uint8_t> frame(packet.bytes.begin(), packet.bytes.end());
    const bool is_cut = packet.len > frame.size();
    if (is_cut) frame.resize(std::min<std::size_t>(packet.len, SLC_MAX_FRAME_LEN));
    const std::string text = packet::describe(frame);
    if (!is_cut) return text;
    std::string out;
    for (std::string_view left = text; !left.empty();) {
        const std::string_view word = next_word(left);
        if (!word.starts_with("checksum="))
            out += fmt::format("{}{}", out.empty() ? "" : " ", word);
    }
    return out;
}

/// Numbers of a comment are numbers; names may look like some.
void put_word(Json& object, std::string_view word) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return;
    const std::string key(word.substr(0, equals));
    const std::string_view value = word.substr(equals + 1);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool is_number =
        (key == "generation" || key == "previous_generation" || key == "lost_before") &&
        error == std::errc() && end == value.data() + value.size();
    if (is_number)
        object[key] = number;
    else
        object[key] = std::string(value);
}

}  // namespace

std::string_view word_of(std::string_view comment, std::string_view key) {
    while (!comment.empty()) {
        const std::string_view word = next_word(comment);
        if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=')
            return word.substr(key.size() + 1);
    }
    return {};
}

std::string packet_line(const packet::PcapngPacket& packet, std::string_view interface,
                        Format format) {
    if (format != Format::json)
        return fmt::format("{} {} {:<3} {}  {}", time_of_day(packet.time_ns), interface,
                           direction_word(packet.direction), notation(packet), packet.comment);
    Json line = {{"schema_version", kSchemaVersion},
                 {"time", rfc3339(packet.time_ns)},
                 {"interface", std::string(interface)},
                 {"direction", direction_word(packet.direction)},
                 {"queue", packet.queue.value_or(0)},
                 {"id", packet.id.value_or(0)},
                 {"length", packet.len},
                 {"captured", packet.bytes.size()},
                 {"packet", notation(packet)}};
    std::string_view comment = packet.comment;
    while (!comment.empty()) put_word(line, next_word(comment));
    return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sluice::cli
