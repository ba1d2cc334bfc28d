// SPDX-License-Identifier: Apache-2.0
#include "observe/decision_filter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "plan/reasons.h"

namespace sluice::observe {
namespace {

constexpr std::string_view kVerdicts[] = {"drop", "pass", "tx", "redirect", "forward"};
constexpr std::string_view kProtocols[] = {"tcp", "udp", "sctp", "icmp", "icmp6"};

template <typename T>
std::optional<T> number_of(std::string_view text) {
    T out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return out;
}

bool is_reason(std::string_view label) {
    for (int reason = 0; reason < SLC_REASON_COUNT; ++reason)
        if (label == plan::reason_text(static_cast<slc_reason>(reason)).label) return true;
    return false;
}

/// A number of a protocol that has a name means the same.
std::optional<std::string> protocol_of(std::string_view text) {
    if (std::ranges::find(kProtocols, text) != std::end(kProtocols)) return std::string(text);
    const auto number = number_of<std::uint8_t>(text);
    if (!number) return std::nullopt;
    switch (*number) {
        case 1:
            return "icmp";
        case 6:
            return "tcp";
        case 17:
            return "udp";
        case 58:
            return "icmp6";
        case 132:
            return "sctp";
        default:
            return std::to_string(*number);
    }
}

auto bad(std::string_view key, std::string_view value, std::string_view what,
         std::string hint = {}) {
    return fail(Errc::invalid, fmt::format("{}: '{}' is {}", key, value, what), std::move(hint));
}

/// Whether a key that is set holds, when it is wanted, or does, when it is not.
class Judge {
 public:
    explicit Judge(bool is_wanted) : is_wanted_(is_wanted) {}

    template <typename Values, typename Holds>
    bool passes(const Values& values, Holds holds) const {
        if (values.empty()) return true;
        return std::any_of(values.begin(), values.end(), holds) == is_wanted_;
    }

 private:
    bool is_wanted_;
};

template <typename Terms>
bool passes(const Terms& terms, const Decision& decision, bool is_wanted) {
    const Judge judge(is_wanted);
    const auto is = [](const std::string& text) {
        return [&text](const std::string& word) { return word == text; };
    };
    const auto holds = [](const std::optional<IpAddress>& address) {
        return [&address](const IpPrefix& prefix) { return address && prefix.contains(*address); };
    };
    const bool is_forwarded = decision.verdict == "tx" || decision.verdict == "redirect";
    return judge.passes(terms.verdicts,
                        [&](const std::string& word) {
                            return word == decision.verdict || (word == "forward" && is_forwarded);
                        }) &&
           judge.passes(terms.reasons, is(decision.reason)) &&
           judge.passes(terms.services, is(decision.service)) &&
           judge.passes(terms.backends, is(decision.backend)) &&
           judge.passes(terms.customers, is(decision.customer)) &&
           judge.passes(terms.interfaces, is(decision.interface)) &&
           judge.passes(terms.protocols, is(decision.protocol)) &&
           judge.passes(terms.sources, holds(decision.source)) &&
           judge.passes(terms.destinations, holds(decision.destination)) &&
           judge.passes(terms.ports, [&](std::uint16_t port) {
               return decision.source_port == port || decision.destination_port == port;
           });
}

Result<void> find_all(const std::set<std::string, std::less<>>& words,
                      const std::unordered_map<std::uint32_t, std::string>& names,
                      std::string_view noun, std::string hint) {
    for (const std::string& word : words) {
        const bool is_there = std::any_of(names.begin(), names.end(),
                                          [&](const auto& name) { return name.second == word; });
        if (!is_there)
            return fail(Errc::not_found, fmt::format("no {} '{}'", noun, word), std::move(hint));
    }
    return {};
}

}  // namespace

Result<void> DecisionFilter::add(std::string_view key, std::string_view value, bool is_negated) {
    return add_to(is_negated ? unwanted_ : wanted_, key, value);
}

Result<void> DecisionFilter::add_to(Terms& terms, std::string_view key, std::string_view value) {
    if (value.empty()) return fail(Errc::invalid, fmt::format("{}: empty", key));
    if (key == "verdict") {
        if (std::ranges::find(kVerdicts, value) == std::end(kVerdicts))
            return bad(key, value, fmt::format("not one of {}", fmt::join(kVerdicts, ", ")));
        terms.verdicts.emplace(value);
    } else if (key == "reason") {
        if (!is_reason(value)) return bad(key, value, "no reason", "sluice reasons lists them");
        terms.reasons.emplace(value);
    } else if (key == "from" || key == "to") {
        const auto prefix = IpPrefix::parse(value);
        if (!prefix) return bad(key, value, "no address or prefix", "192.0.2.0/24, 2001:db8::/32");
        (key == "from" ? terms.sources : terms.destinations).push_back(*prefix);
    } else if (key == "protocol") {
        const auto protocol = protocol_of(value);
        if (!protocol)
            return bad(key, value,
                       fmt::format("not one of {}, or a number", fmt::join(kProtocols, ", ")));
        terms.protocols.insert(*protocol);
    } else if (key == "port") {
        const auto port = number_of<std::uint16_t>(value);
        if (!port) return bad(key, value, "no port");
        terms.ports.insert(*port);
    } else if (key == "service") {
        terms.services.emplace(value);
    } else if (key == "backend") {
        terms.backends.emplace(value);
    } else if (key == "customer") {
        terms.customers.emplace(value);
    } else if (key == "interface") {
        terms.interfaces.emplace(value);
    } else {
        return fail(Errc::invalid, fmt::format("no filter '{}'", key),
                    fmt::format("the filters are {}", fmt::join(kFilterKeys, ", ")));
    }
    return {};
}

bool DecisionFilter::fits(const Decision& decision) const {
    return passes(wanted_, decision, true) && passes(unwanted_, decision, false);
}

Result<void> DecisionFilter::check(const Names& names) const {
    for (const Terms* terms : {&wanted_, &unwanted_}) {
        SLC_CHECK(find_all(terms->services, names.services, "service",
                           "sluice service list shows them all"),
                  "filter");
        SLC_CHECK(find_all(terms->backends, names.backends, "backend",
                           "a backend is GROUP/ADDRESS, as sluice backend list shows it"),
                  "filter");
        SLC_CHECK(find_all(terms->customers, names.customers, "customer",
                           "the configuration names them at its services"),
                  "filter");
        SLC_CHECK(find_all(terms->interfaces, names.interfaces, "interface",
                           "sluice node show lists those that carry the data plane"),
                  "filter");
    }
    return {};
}

}  // namespace sluice::observe
