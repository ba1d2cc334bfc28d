// SPDX-License-Identifier: Apache-2.0

/// `sluice explain`: what a packet would do, and what it would do under another configuration.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "api/explain_routes.h"
#include "base/exit_code.h"
#include "cli/change_text.h"
#include "cli/commands.h"
#include "cli/config_source.h"
#include "cli/daemon.h"
#include "packet/pasted.h"
#include "packet/pcap.h"

namespace sluice::cli {
namespace {

constexpr std::size_t kDumpRow = 16;
constexpr const char* kForms =
    "'tcp 198.51.100.7:1234 > 192.0.2.10:443 syn', bytes in hexadecimal, or --pcap FILE --frame N";

Result<std::string> captured(const ExplainOptions& options) {
    const auto frames = SLC_TRY(packet::read_capture_file(options.pcap), options.pcap);
    const std::uint32_t wanted = options.frame == 0 ? 1 : options.frame;
    if (wanted > frames.size())
        return fail(Errc::invalid, fmt::format("{}: there is no frame {}", options.pcap, wanted),
                    fmt::format("it has {}", counted(frames.size(), "frame")));
    const packet::CapturedFrame& frame = frames[wanted - 1];
    if (frame.missing != 0)
        return fail(Errc::invalid,
                    fmt::format("{}: frame {} was captured without its last {} bytes", options.pcap,
                                wanted, frame.missing),
                    "capture whole packets: tcpdump -s 0");
    return fmt::format("hex:{:02x}", fmt::join(frame.bytes, ""));
}

/// The packet as the daemon reads it, sound as far as can be said here.
Result<std::string> asked_packet(const Options& options) {
    const ExplainOptions& explain = options.explain;
    if (options.name.empty() == explain.pcap.empty())
        return fail(Errc::invalid, options.name.empty() ? "which packet?" : "two packets", kForms);
    if (!explain.pcap.empty()) return captured(explain);
    if (explain.frame != 0) return fail(Errc::invalid, "--frame without --pcap", kForms);
    std::string out = options.name;
    if (out == "-")
        out.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
    while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
    const auto frame = packet::read_packet(out);
    if (!frame) return fail(frame.error());
    return out;
}

Result<std::string> request_body(const Options& options, std::string packet) {
    api::ExplainBody body;
    body.packet = std::move(packet);
    body.request.interface = options.explain.interface;
    if (options.explain.against.empty()) return api::explain_body(body);
    auto source = SLC_TRY(read_source(options.explain.against), "against");
    body.request.against = std::move(source.text);
    body.request.file = std::move(source.file);
    body.request.directory = std::move(source.directory);
    return api::explain_body(body);
}

Colour colour_of(const std::string& verdict) {
    if (verdict == "drop") return Colour::bad;
    return verdict == "pass" ? Colour::none : Colour::good;
}

/// Sixteen bytes a line, with the offset of the first.
void print_bytes(const std::string& hex) {
    for (std::size_t at = 0; at < hex.size(); at += 2 * kDumpRow) {
        std::string row;
        for (std::size_t i = at; i < std::min(hex.size(), at + 2 * kDumpRow); i += 2)
            row += " " + hex.substr(i, 2);
        fmt::print("  {:04x} {}\n", at / 2, row);
    }
}

void print_packet(const char* what, const Json& packet, bool is_wide) {
    if (!packet.is_object()) return;
    fmt::print("{} {}\n", what, text_at(packet, "text"));
    if (is_wide) print_bytes(text_at(packet, "hex"));
}

void print_walk(const std::string& title, const Json& walk, bool is_wide) {
    const std::string verdict = text_at(walk, "verdict");
    const std::string backend = text_at(walk, "backend");
    fmt::print("{}: {} ({}) at stage {}{}\n", title, painted(verdict, colour_of(verdict)),
               text_at(walk, "reason"), text_at(walk, "stage"),
               backend.empty() ? "" : ", for " + backend);
    for (const Json& step : member_at(walk, "steps"))
        fmt::print("  {:<8} {}\n", text_at(step, "stage"), text_at(step, "text"));
    print_packet(verdict == "pass" ? "to Linux:" : "leaves:  ", member_at(walk, "out"), is_wide);
    for (const Json& assumption : member_at(walk, "assumptions"))
        fmt::print("assumed:  {}\n", assumption.is_string() ? assumption.get<std::string>() : "");
}

void print_explanation(const Json& document, bool is_wide) {
    print_packet("packet:  ", member_at(document, "packet"), is_wide);
    const Json& now = member_at(document, "now");
    const Json& planned = member_at(document, "planned");
    print_walk(fmt::format("generation {}", number_at(now, "generation")), now, is_wide);
    if (!planned.is_object()) return;
    fmt::print("\n");
    print_walk("planned", planned, is_wide);
    const Json& differences = member_at(document, "differences");
    if (differences.empty()) {
        fmt::print("\nno difference\n");
        return;
    }
    fmt::print("\n{}:\n", counted(differences.size(), "difference"));
    for (const Json& difference : differences)
        fmt::print("  {}\n", difference.is_string() ? difference.get<std::string>() : "");
}

}  // namespace

Result<int> run_explain(const Options& options) {
    auto packet = asked_packet(options);
    if (!packet && packet.error().code == Errc::invalid)
        return usage_error(std::move(packet).error(), "explain");
    if (!packet) return fail(std::move(packet).error().in("explain"));
    const std::string body = SLC_TRY(request_body(options, std::move(*packet)), "explain");
    const Json document = SLC_TRY(send(options, std::string(api::kExplainPath), body), "explain");
    if (is_document(options.format))
        print_document(document, options.format);
    else
        print_explanation(document, options.format == Format::wide);
    const std::string remedy = text_at(member_at(document, "now"), "remedy");
    if (!is_document(options.format) && !remedy.empty()) print_hint(remedy);
    const bool differs = !member_at(document, "differences").empty();
    return options.explain.detailed_exit_code && differs ? kExitPending : kExitDone;
}

}  // namespace sluice::cli
