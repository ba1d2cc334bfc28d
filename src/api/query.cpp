// SPDX-License-Identifier: Apache-2.0
#include "api/query.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>
#include <limits>
#include <optional>

#include "api/backend_order.h"

namespace sluice::api {
namespace {

using control::FlowClass;

constexpr FlowClass kClasses[] = {FlowClass::embryonic, FlowClass::established, FlowClass::closing,
                                  FlowClass::datagram};

std::optional<unsigned> hex_digit(char c) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(&c, &c + 1, value, 16);
    return error == std::errc() ? std::optional(value) : std::nullopt;
}

Result<std::string> decode_word(std::string_view text) {
    std::string word(text);
    std::replace(word.begin(), word.end(), '+', ' ');
    return decode(word);
}

Result<FlowClass> parse_class(std::string_view value) {
    for (const FlowClass candidate : kClasses)
        if (value == name_of(candidate)) return candidate;
    return fail(
        Errc::invalid,
        fmt::format("class: '{}' is not one of embryonic, established, closing, datagram", value));
}

Result<void> take_backend(FlowRequest& request, const std::string& value) {
    const BackendName name = SLC_TRY(parse_backend_name(value), "backend");
    request.query.backend = name.address;
    if (!request.query.group.empty() && request.query.group != name.owner)
        return fail(Errc::invalid, "group and backend name different owners",
                    "a backend is OWNER/ADDRESS: its owner says it all");
    request.query.group = name.owner;
    request.backend = value;
    return {};
}

}  // namespace

const char* name_of(FlowClass flow_class) {
    switch (flow_class) {
        case FlowClass::embryonic:
            return "embryonic";
        case FlowClass::established:
            return "established";
        case FlowClass::closing:
            return "closing";
        case FlowClass::datagram:
            return "datagram";
    }
    return "?";
}

Result<std::string> decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
        const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
        if (!high || !low || (*high == 0 && *low == 0))
            return fail(Errc::invalid, "the path has a broken percent escape");
        out += static_cast<char>(*high * 16 + *low);
        i += 2;
    }
    return out;
}

std::string encode(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || std::string_view("-._~:").find(c) != std::string_view::npos)
            out += c;
        else
            out += fmt::format("%{:02X}", byte);
    }
    return out;
}

Result<Query> parse_query(std::string_view text) {
    Query out;
    while (!text.empty()) {
        const std::string_view pair = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(pair.size() + 1, text.size()));
        const std::size_t equals = pair.find('=');
        if (equals == std::string_view::npos || equals == 0)
            return fail(Errc::invalid, fmt::format("query '{}': not KEY=VALUE", pair));
        std::string key = SLC_TRY(decode_word(pair.substr(0, equals)), "query");
        std::string value = SLC_TRY(decode_word(pair.substr(equals + 1)), "query");
        if (!out.emplace(key, std::move(value)).second)
            return fail(Errc::invalid, fmt::format("query: key '{}' twice", key));
    }
    return out;
}

Result<std::uint64_t> parse_number(const std::string& key, std::string_view value,
                                   std::uint64_t least, std::uint64_t most) {
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
    if (error != std::errc() || end != value.data() + value.size() || out < least || out > most)
        return fail(Errc::invalid, fmt::format("{}: '{}' is not a whole number from {} to {}", key,
                                               value, least, most));
    return out;
}

Result<std::vector<std::string>> parse_list(const std::string& key, std::string_view value) {
    std::vector<std::string> out;
    while (true) {
        const std::string_view word = value.substr(0, value.find(','));
        if (word.empty()) return fail(Errc::invalid, fmt::format("{}: an empty word", key));
        out.emplace_back(word);
        if (word.size() == value.size()) return out;
        value.remove_prefix(word.size() + 1);
    }
}

std::string text_of(const Query& query) {
    std::string out;
    for (const auto& [key, value] : query)
        out += fmt::format("{}{}={}", out.empty() ? "?" : "&", encode(key), encode(value));
    return out;
}

Result<FlowRequest> parse_flow_request(const Query& query, bool may_limit) {
    const auto most_age = static_cast<std::uint64_t>(kMaxOrderTime.count());
    FlowRequest out;
    const auto group = query.find("group");
    if (group != query.end()) out.query.group = group->second;
    for (const auto& [key, value] : query) {
        if (key == "group") {
            if (value.empty()) return fail(Errc::invalid, "group: empty");
        } else if (key == "backend") {
            auto taken = take_backend(out, value);
            if (!taken) return fail(std::move(taken).error());
        } else if (key == "class") {
            auto flow_class = parse_class(value);
            if (!flow_class) return fail(std::move(flow_class).error());
            out.query.flow_class = *flow_class;
        } else if (key == "min_age_s" || key == "max_age_s") {
            auto age = parse_number(key, value, 0, most_age);
            if (!age) return fail(std::move(age).error());
            (key == "min_age_s" ? out.query.min_age : out.query.max_age) =
                std::chrono::seconds(*age);
        } else if (key == "limit" && may_limit) {
            auto limit = parse_number(key, value, 1, std::numeric_limits<std::uint64_t>::max());
            if (!limit) return fail(std::move(limit).error());
            out.limit = *limit;
        } else {
            return fail(Errc::invalid, fmt::format("query: unknown key '{}'", key),
                        fmt::format("the keys are group, backend, class, min_age_s, max_age_s{}",
                                    may_limit ? ", limit" : ""));
        }
    }
    return out;
}

}  // namespace sluice::api
