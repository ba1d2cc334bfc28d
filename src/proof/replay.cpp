// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <tuple>

#include "packet/notation.h"
#include "proof/outcome.h"
#include "proof/proof.h"
#include "proof/sample_frame.h"

namespace sluice::proof {
namespace {

constexpr std::size_t kMaxDifferences = 20;
constexpr std::uint64_t kSecond = 1'000'000'000;
/// Samples of a quiet node may span hours, and the flows that are remembered now would have
/// expired long before the last of them.
constexpr std::uint64_t kLongestReplay = 10 * kSecond;

std::uint64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kSecond +
           static_cast<std::uint64_t>(now.tv_nsec);
}

/// "10.0.0.5" of "web/10.0.0.5": a backend is where packets go, whatever its group is called.
std::string_view address_of(std::string_view member) {
    const std::size_t slash = member.rfind('/');
    return slash == std::string_view::npos ? member : member.substr(slash + 1);
}

enum class Change { none, moved, changed };

Change change_of(const ReplayAnswer& before, const ReplayAnswer& after) {
    const bool was_sent = is_to_backend(before.rec);
    const bool is_sent = is_to_backend(after.rec);
    if (was_sent && is_sent)
        return address_of(before.member) == address_of(after.member) ? Change::none : Change::moved;
    if (was_sent != is_sent) return Change::changed;
    const bool is_same =
        before.rec.verdict == after.rec.verdict && before.rec.reason == after.rec.reason;
    return is_same ? Change::none : Change::changed;
}

}  // namespace

Result<std::vector<ReplayAnswer>> replay(std::span<const slc_sample> samples, kernel::Twin& twin,
                                         const Names& names) {
    std::vector<ReplayAnswer> out;
    out.reserve(samples.size());
    const std::uint64_t start_ns = monotonic_ns();
    for (const slc_sample& sample : samples) {
        ReplayAnswer& answer = out.emplace_back();
        const auto frame = frame_of(sample);
        if (!frame) continue;
        const std::uint64_t first_ns = samples.front().time_ns;
        const std::uint64_t passed_ns = sample.time_ns > first_ns ? sample.time_ns - first_ns : 0;
        const auto ran =
            twin.run(*frame, start_ns + std::min(passed_ns, kLongestReplay), sample.ifindex);
        if (!ran) return fail(ran.error());
        answer.ran = true;
        answer.rec = ran->answer.rec;
        if (answer.rec.member == 0) continue;
        answer.member = names.member(answer.rec.member);
        if (answer.member.empty()) answer.member = fmt::format("member {}", answer.rec.member);
    }
    return out;
}

void compare(std::span<const slc_sample> samples, std::span<const ReplayAnswer> before,
             std::span<const ReplayAnswer> after, ProofReport& out) {
    // Service before and after, then what became of it.
    using Key = std::tuple<std::uint32_t, std::uint32_t, std::string, std::string>;
    std::map<Key, ReplayDifference> kinds;
    const std::size_t count = std::min({samples.size(), before.size(), after.size()});
    for (std::size_t i = 0; i < count; ++i) {
        if (!before[i].ran || !after[i].ran) continue;
        ++out.replayed;
        const Change change = change_of(before[i], after[i]);
        if (change == Change::none) continue;
        ++(change == Change::moved ? out.moved : out.changed);
        const std::string was = outcome_text(before[i].rec, before[i].member);
        const std::string now = outcome_text(after[i].rec, after[i].member);
        ReplayDifference& kind = kinds[{before[i].rec.service, after[i].rec.service, was, now}];
        if (kind.count++ != 0) continue;
        if (const auto frame = frame_of(samples[i])) kind.packet = packet::describe(*frame);
        kind.was = was;
        kind.now = now;
    }
    for (auto& [key, kind] : kinds) out.differences.push_back(std::move(kind));
    std::ranges::stable_sort(out.differences, std::ranges::greater(), &ReplayDifference::count);
    if (out.differences.size() > kMaxDifferences) out.differences.resize(kMaxDifferences);
}

}  // namespace sluice::proof
