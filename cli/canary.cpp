// SPDX-License-Identifier: Apache-2.0

/// `sluice config canary show|promote|back`, and the words that begin one.

#include "cli/canary.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/exit_code.h"
#include "cli/change_text.h"
#include "cli/commands.h"
#include "cli/daemon.h"

namespace sluice::cli {
namespace {

constexpr std::string_view kInterface = "interface=";
constexpr std::string_view kShare = "share=";
constexpr std::size_t kMaxInterfaceLen = 15;  // IFNAMSIZ without its end.

tl::unexpected<Error> no_canary() {
    return fail(Errc::invalid, "is neither interface=eth1[,eth2] nor share=5%");
}

Result<double> parse_share(std::string_view text) {
    if (!text.ends_with('%')) return no_canary();
    text.remove_suffix(1);
    double percent = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
    if (error != std::errc() || end != text.data() + text.size() || !(percent > 0) || percent > 100)
        return no_canary();
    return percent / 100;
}

std::string what_text(const Json& canary) {
    std::string names;
    for (const Json& name : member_at(canary, "interfaces"))
        if (name.is_string()) names += (names.empty() ? "" : ", ") + name.get<std::string>();
    if (!names.empty()) return "what comes by " + names;
    return percent_text(fraction_at(canary, "share")) + " of client addresses";
}

std::string counts_text(const Json& counts) {
    const std::uint64_t packets = number_at(counts, "packets");
    const std::uint64_t dropped = number_at(counts, "dropped_packets");
    const double part =
        packets == 0 ? 0 : static_cast<double>(dropped) / static_cast<double>(packets);
    return fmt::format("{} packets, {} dropped ({})", packets, dropped, percent_text(part));
}

Result<Json> end_canary(const Options& options, const char* how) {
    return send(options, std::string("/api/v1/config/canary/") + how, "{}");
}

}  // namespace

Result<control::Canary> parse_canary(std::string_view text) {
    control::Canary out;
    if (text.starts_with(kShare)) {
        const auto share = parse_share(text.substr(kShare.size()));
        if (!share) return fail(share.error());
        out.share = *share;
        return out;
    }
    if (!text.starts_with(kInterface)) return no_canary();
    text.remove_prefix(kInterface.size());
    while (true) {
        const std::string_view name = text.substr(0, text.find(','));
        if (name.empty() || name.size() > kMaxInterfaceLen) return no_canary();
        out.interfaces.emplace_back(name);
        if (name.size() == text.size()) return out;
        text.remove_prefix(name.size() + 1);
    }
}

Result<int> run_canary_show(const Options& options) {
    const Json canary = SLC_TRY(fetch(options, "/api/v1/config/canary"), "config canary show");
    if (is_document(options.format)) {
        print_document(canary, options.format);
        return kExitDone;
    }
    print_facts({{"generation", std::to_string(number_at(canary, "generation"))},
                 {"takes", what_text(canary)},
                 {"since", time_for_people(text_at(canary, "since"))},
                 {"canary", counts_text(member_at(canary, "traffic"))},
                 {"others", counts_text(member_at(canary, "others"))}});
    return kExitDone;
}

Result<int> run_canary_promote(const Options& options) {
    const Json applied = SLC_TRY(end_canary(options, "promote"), "config canary promote");
    if (is_document(options.format))
        print_document(applied, options.format);
    else
        fmt::print("{}", outcome_text(applied));
    return kExitDone;
}

Result<int> run_canary_back(const Options& options) {
    const Json applied = SLC_TRY(end_canary(options, "back"), "config canary back");
    if (is_document(options.format))
        print_document(applied, options.format);
    else
        fmt::print("the canary is taken back: generation {} has all packets\n",
                   number_at(applied, "generation"));
    return kExitDone;
}

}  // namespace sluice::cli
