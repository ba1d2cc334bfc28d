// SPDX-License-Identifier: Apache-2.0
#include "api/backend_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <vector>

#include "sluice/limits.h"

namespace sluice::api {
namespace {

using Json = nlohmann::ordered_json;
using control::BackendOrder;

constexpr const char* kKeys = "the keys are state, weight, keep_s, deadline_s and reset";
constexpr std::size_t kMaxShownLen = 64;  ///< Bytes of what a peer made up that are repeated.
constexpr config::BackendState kStates[] = {
    config::BackendState::ready, config::BackendState::drain, config::BackendState::maint,
    config::BackendState::down};

std::string shown(std::string_view text) {
    return std::string(text.substr(0, kMaxShownLen));
}

/// The object, or which key is in it twice: the parser itself takes the last one silently.
Result<Json> parse_object(std::string_view body) {
    std::vector<std::string> keys;
    std::string twice;
    const auto note_key = [&](int depth, Json::parse_event_t event, Json& value) {
        if (event != Json::parse_event_t::key || depth != 1) return true;
        const auto& key = value.get_ref<const std::string&>();
        if (std::find(keys.begin(), keys.end(), key) != keys.end()) twice = key;
        keys.push_back(key);
        return true;
    };
    Json json = Json::parse(body, note_key, false);
    if (json.is_discarded())
        return fail(Errc::invalid, "the body is not JSON", "for example {\"state\": \"drain\"}");
    if (!json.is_object())
        return fail(Errc::invalid, "the body is not a JSON object",
                    "for example {\"state\": \"drain\"}");
    if (!twice.empty()) return fail(Errc::invalid, fmt::format("key '{}' twice", shown(twice)));
    return json;
}

Result<std::uint64_t> whole_number(const std::string& key, const Json& value, std::uint64_t least,
                                   std::uint64_t most) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least ||
        value.get<std::uint64_t>() > most)
        return fail(Errc::invalid,
                    fmt::format("{}: not a whole number from {} to {}", key, least, most));
    return value.get<std::uint64_t>();
}

Result<config::BackendState> parse_state(const Json& value) {
    if (!value.is_string())
        return fail(Errc::invalid, "state: not a string", "one of ready, drain, maint, down");
    const auto& word = value.get_ref<const std::string&>();
    for (const auto state : kStates)
        if (word == config::name_of(state)) return state;
    return fail(Errc::invalid,
                fmt::format("state: '{}' is not one of ready, drain, maint, down", shown(word)));
}

Result<void> take(BackendOrder& order, const std::string& key, const Json& value) {
    const auto most = static_cast<std::uint64_t>(kMaxOrderTime.count());
    if (key == "state") {
        order.state = SLC_TRY(parse_state(value), "order");
    } else if (key == "weight") {
        order.weight = static_cast<std::uint32_t>(
            SLC_TRY(whole_number(key, value, 0, SLC_MAX_WEIGHT), "order"));
    } else if (key == "keep_s") {
        order.keep = std::chrono::seconds(SLC_TRY(whole_number(key, value, 1, most), "order"));
    } else if (key == "deadline_s") {
        order.deadline = std::chrono::seconds(SLC_TRY(whole_number(key, value, 1, most), "order"));
    } else if (key == "reset") {
        if (!value.is_boolean() || !value.get<bool>())
            return fail(Errc::invalid, "order: reset: only true may stand there");
        order.reset = true;
    } else {
        return fail(Errc::invalid, fmt::format("order: unknown key '{}'", shown(key)), kKeys);
    }
    return {};
}

/// "10.0.0.5", "10.0.0.5:80", "2001:db8::7" or "[2001:db8::7]:80".
bool parse_address(std::string_view text, BackendName& out) {
    const auto whole = IpAddress::parse(text);
    if (whole) {
        out.address = *whole;
        return true;
    }
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return false;
    std::string_view address = text.substr(0, colon);
    const bool is_bracketed = address.size() > 2 && address.front() == '[' && address.back() == ']';
    if (is_bracketed) address = address.substr(1, address.size() - 2);
    const auto parsed = IpAddress::parse(address);
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data() + colon + 1, end, port);
    if (!parsed || parsed->is_ip6 != is_bracketed || error != std::errc() || last != end)
        return false;
    out.address = *parsed;
    out.port = port;
    return true;
}

}  // namespace

Result<BackendName> parse_backend_name(std::string_view text) {
    const std::size_t slash = text.find('/');
    BackendName out;
    out.owner = text.substr(0, slash);
    if (slash == std::string_view::npos || slash == 0 ||
        !parse_address(text.substr(slash + 1), out))
        return fail(Errc::invalid, fmt::format("'{}' is not OWNER/ADDRESS", shown(text)),
                    "the owner is a group or a service: for example web/10.0.0.5");
    return out;
}

Result<void> check_port(const control::NodeStatus& node, const BackendName& name) {
    for (const control::ServiceStatus& service : node.services)
        if ((service.name == name.owner || service.group == name.owner) &&
            (service.ports.any ||
             (service.ports.first <= *name.port && *name.port <= service.ports.last)))
            return {};
    return fail(Errc::not_found,
                fmt::format("no service of '{}' has port {}", name.owner, *name.port),
                "a backend is named without a port too: OWNER/ADDRESS");
}

Result<BackendOrder> parse_order(std::string_view body) {
    const Json json = SLC_TRY(parse_object(body), "order");
    if (json.empty()) return fail(Errc::invalid, "order: nothing is ordered", kKeys);
    BackendOrder out;
    for (const auto& [key, value] : json.items()) {
        auto taken = take(out, key, value);
        if (!taken) return fail(std::move(taken).error());
    }
    if (out.reset && json.size() > 1)
        return fail(Errc::invalid, "order: reset: nothing else may be ordered with it");
    return out;
}

std::string order_json(const BackendOrder& order) {
    Json out = Json::object();
    if (order.state) out["state"] = config::name_of(*order.state);
    if (order.weight) out["weight"] = *order.weight;
    if (order.keep) out["keep_s"] = order.keep->count();
    if (order.deadline) out["deadline_s"] = order.deadline->count();
    if (order.reset) out["reset"] = true;
    return out.dump();
}

std::string text_of(const BackendOrder& order) {
    std::string out;
    const auto put = [&out](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
    if (order.state) put(fmt::format("state={}", config::name_of(*order.state)));
    if (order.weight) put(fmt::format("weight={}", *order.weight));
    if (order.keep) put(fmt::format("keep_s={}", order.keep->count()));
    if (order.deadline) put(fmt::format("deadline_s={}", order.deadline->count()));
    if (order.reset) put("reset");
    return out;
}

}  // namespace sluice::api
