// SPDX-License-Identifier: Apache-2.0
#include "api/observe_stream.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "api/flow_json.h"
#include "api/json.h"

namespace sluice::api {
namespace {

using observe::Decision;

constexpr std::string_view kNot = "not_";

/// Thousands a second are written: most texts need no escapes.
void put_text(std::string& out, std::string_view key, std::string_view text) {
    const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
        return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    });
    if (is_plain)
        fmt::format_to(std::back_inserter(out), R"(,"{}":"{}")", key, text);
    else
        fmt::format_to(std::back_inserter(out), R"(,"{}":{})", key, json_string(text));
}

template <typename Number>
void put_number(std::string& out, std::string_view key, const std::optional<Number>& number) {
    if (number)
        fmt::format_to(std::back_inserter(out), R"(,"{}":{})", key, *number);
    else
        fmt::format_to(std::back_inserter(out), R"(,"{}":null)", key);
}

std::string text_or_empty(const std::optional<IpAddress>& address) {
    return address ? address->text() : std::string();
}

Result<void> add_all(observe::DecisionFilter& filter, const std::string& key,
                     const std::string& values) {
    std::string_view name = key;
    const bool is_negated = name.starts_with(kNot);
    if (is_negated) name.remove_prefix(kNot.size());
    for (const std::string& value : SLC_TRY(parse_list(key, values), "query"))
        SLC_CHECK(filter.add(name, value, is_negated), "query");
    return {};
}

bool is_filter(std::string_view key) {
    if (key.starts_with(kNot)) key.remove_prefix(kNot.size());
    return std::ranges::find(observe::kFilterKeys, key) != observe::kFilterKeys.end();
}

}  // namespace

Result<ObserveRequest> parse_observe_request(const Query& query) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
    ObserveRequest out;
    for (const auto& [key, value] : query) {
        if (is_filter(key)) {
            auto added = add_all(out.filter, key, value);
            if (!added) return fail(std::move(added).error());
        } else if (key == "last") {
            out.last = SLC_TRY(parse_number(key, value, 0, kMost), "query");
        } else if (key == "count") {
            out.count = SLC_TRY(parse_number(key, value, 1, kMost), "query");
        } else if (key == "follow") {
            out.follow = SLC_TRY(parse_number(key, value, 0, 1), "query") == 1;
        } else {
            return fail(Errc::invalid, fmt::format("query: unknown key '{}'", key),
                        fmt::format("the keys are last, follow, count, {}, and these with {} in "
                                    "front",
                                    fmt::join(observe::kFilterKeys, ", "), kNot));
        }
    }
    return out;
}

void ObserveStream::put(std::string line) {
    if (done_) return;
    piece_ += line;
    piece_ += '\n';
    if (++told_ == request_.count) done_ = true;
}

void ObserveStream::take(const slc_sample& sample, std::uint32_t cpu, std::int64_t wall_offset_ns) {
    const Decision decision = observe::decision_of(sample, cpu, names_, wall_offset_ns);
    if (!request_.filter.fits(decision)) return;
    std::string line = decision_json(decision, observe::packet_text(sample));
    if (is_first_over_) return put(std::move(line));
    first_.push_back(std::move(line));
    if (request_.last && first_.size() > *request_.last) first_.pop_front();
}

void ObserveStream::show_first() {
    is_first_over_ = true;
    for (std::string& line : first_) put(std::move(line));
    first_ = {};
    if (!request_.follow) done_ = true;
}

Result<void> ObserveStream::step(control::NodeView& node) {
    control::Observation& observation = node.observation();
    const auto names = observation.names();
    if (!has_begun_) {
        auto checked = request_.filter.check(*names);
        if (!checked) return checked;
        has_begun_ = true;
    }
    names_.take(names);
    const control::SampleBatch batch = observation.samples(cursor_);
    if (batch.lost > 0) {
        piece_ += fmt::format(R"({{"schema_version":{},"lost":{}}})", kSchemaVersion, batch.lost);
        piece_ += '\n';
    }
    const std::int64_t wall_offset_ns = observation.wall_offset_ns();
    for (std::size_t i = 0; i < batch.samples.size() && !done_; ++i)
        take(batch.samples[i], batch.cpus[i], wall_offset_ns);
    is_behind_ = batch.is_cut;
    read_ += batch.samples.size();
    // Each CPU gives the same share of a read: by then all that was there at first has been read,
    // however fast more comes.
    const std::size_t held = cursor_.seen.size() * SLC_SAMPLES_PER_CPU;
    if (!is_first_over_ && (!is_behind_ || read_ >= held)) show_first();
    return {};
}

std::string decision_json(const Decision& decision, const std::string& packet) {
    std::string out = fmt::format(
        R"({{"schema_version":{},"time":"{}","cpu":{},"queue":{},"generation":)", kSchemaVersion,
        observe::time_text(decision.time_ns), decision.cpu, decision.queue);
    out += decision.generation != 0 ? std::to_string(decision.generation) : "null";
    put_text(out, "interface", decision.interface);
    put_text(out, "verdict", decision.verdict);
    put_text(out, "stage", decision.stage);
    put_text(out, "reason", decision.reason);
    put_text(out, "service", decision.service);
    put_text(out, "backend", decision.backend);
    put_text(out, "customer", decision.customer);
    put_text(out, "policy", decision.policy);
    put_text(out, "mitigation", decision.mitigation);
    put_text(out, "packet", packet);
    put_text(out, "protocol", decision.protocol);
    put_text(out, "source", text_or_empty(decision.source));
    put_number(out, "source_port", decision.source_port);
    put_text(out, "destination", text_or_empty(decision.destination));
    put_number(out, "destination_port", decision.destination_port);
    fmt::format_to(std::back_inserter(out), R"(,"len":{},"hash":"{:08x}","extra":{}}})",
                   decision.len, decision.hash, decision.is_extra);
    return out;
}

}  // namespace sluice::api
