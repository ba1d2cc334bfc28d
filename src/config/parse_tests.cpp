// SPDX-License-Identifier: Apache-2.0

/// What a configuration says of itself: `tests`, held against the services and backends that it
/// has, and `proof`.

#include <algorithm>
#include <climits>
#include <unordered_map>

#include "config/draft.h"
#include "config/rules.h"
#include "packet/notation.h"

namespace sluice::config {
namespace {

using Verdict = Expectation::Verdict;

constexpr std::array kVerdicts = {Verdict::drop, Verdict::pass, Verdict::tx, Verdict::redirect,
                                  Verdict::forward};
constexpr std::array kForwards = {Forward::ipip, Forward::gre, Forward::gue, Forward::l2,
                                  Forward::local};
constexpr std::array kReasons = std::to_array<std::string_view>({
#define SLC_REASON(symbol, label, text, remedy) label,
#include "sluice/reasons.def"
#undef SLC_REASON
});
constexpr std::chrono::milliseconds kLongestPause = std::chrono::hours(24);

/// What expectations may name.
class Names {
 public:
    explicit Names(const Config& config) {
        for (const Service& service : config.services)
            services_.try_emplace(service.name, &service);
        for (std::size_t group = 0; group < config.groups.size(); ++group)
            for (const Backend& backend : config.groups[group].backends)
                backends_.push_back({backend.address, group});
        std::sort(backends_.begin(), backends_.end());
    }

    [[nodiscard]] const Service* service(const std::string& name) const {
        const auto found = services_.find(name);
        return found == services_.end() ? nullptr : found->second;
    }
    [[nodiscard]] std::string near(const std::string& name) const {
        std::vector<std::string_view> known;
        constexpr std::size_t kMostCompared = 1000;  // As for groups.
        for (const auto& [other, service] : services_) {
            if (known.size() == kMostCompared) break;
            known.push_back(other);
        }
        std::sort(known.begin(), known.end());
        return suggestion(name, known);
    }
    [[nodiscard]] bool any_has(const IpAddress& backend) const {
        const auto found = std::lower_bound(backends_.begin(), backends_.end(), Place{backend, 0});
        return found != backends_.end() && found->first == backend;
    }
    [[nodiscard]] bool has(std::size_t group, const IpAddress& backend) const {
        return std::binary_search(backends_.begin(), backends_.end(), Place{backend, group});
    }

 private:
    using Place = std::pair<IpAddress, std::size_t>;

    std::unordered_map<std::string_view, const Service*> services_;
    std::vector<Place> backends_;
};

void parse_backend_expected(const Reader& in, const YamlNode& node, const Path& path,
                            const Names& names, const Service* service, bool is_first,
                            Expectation& out) {
    if (node.kind == NodeKind::scalar && node.scalar == "same") {
        if (is_first)
            in.error(node, path, "no packet stands before this one in its test");
        else
            out.same_backend = true;
        return;
    }
    const auto address = read_address(in, node, path);
    if (!address) return;
    out.backend = address;
    if (!names.any_has(*address))
        in.error(node, path, address->text() + " is a backend of no group");
    else if (service != nullptr && service->forward == Forward::local)
        in.error(node, path,
                 "service " + service->name + " delivers to this node and has no backends");
    else if (service != nullptr && !names.has(service->group, *address))
        in.error(node, path, address->text() + " is no backend of service " + service->name);
}

/// What contradicts the verdict.
void check_expected(const Reader& in, const MapReader& map, const Expectation& expect) {
    if (expect.verdict != Verdict::drop && expect.verdict != Verdict::pass) return;
    const auto refuse = [&](std::string_view key) {
        if (const YamlNode* node = map.find(key))
            in.error(*node, map.path().at(key),
                     std::string("verdict: ") + name_of(expect.verdict) +
                         " sends the packet to no backend");
    };
    refuse("backend");
    if (expect.verdict == Verdict::drop || expect.encapsulation != Forward::local)
        refuse("encapsulation");
}

Expectation parse_expected(const Reader& in, const YamlNode& node, const Path& path,
                           const Names& names, bool is_first) {
    Expectation out;
    out.mark = node.mark;
    const MapReader map(in, node, path, keys::kExpect);
    if (map.valid() && node.children == 0)
        in.error(node, path, "is empty: say at least one thing, as in {verdict: forward}");
    assign_word(in, map, "verdict", kVerdicts, out.verdict);
    if (const YamlNode* reason = map.find("reason")) {
        const auto label = read_string(in, *reason, path.at("reason"));
        if (label && std::find(kReasons.begin(), kReasons.end(), *label) != kReasons.end())
            out.reason = *label;
        else if (label)
            in.error(*reason, path.at("reason"),
                     "no reason " + quoted(*label) +
                         suggestion(*label, {kReasons.begin(), kReasons.end()}));
    }
    const Service* service = nullptr;
    if (const YamlNode* value = map.find("service")) {
        out.service = read_string(in, *value, path.at("service")).value_or("");
        service = names.service(out.service);
        if (service == nullptr && value->kind == NodeKind::scalar)
            in.error(*value, path.at("service"),
                     "no service " + quoted(out.service) + names.near(out.service));
    }
    if (const YamlNode* backend = map.find("backend"))
        parse_backend_expected(in, *backend, path.at("backend"), names, service, is_first, out);
    if (const YamlNode* value = map.find("encapsulation"))
        out.encapsulation = read_word(in, *value, path.at("encapsulation"), kForwards);
    check_expected(in, map, out);
    return out;
}

/// A duration, or milliseconds: "5s", "250ms".
void parse_pause(const Reader& in, const YamlNode& node, const Path& path, bool is_first,
                 TestPacket& out) {
    if (is_first) return in.error(node, path, "no packet stands before this one in its test");
    out.after = read_millis(in, node, path, "a pause", std::chrono::milliseconds(1), kLongestPause)
                    .value_or(out.after);
}

void parse_notation(const Reader& in, const YamlNode& node, const Path& path, TestPacket& out) {
    const auto text = read_string(in, node, path);
    if (!text) return;
    const auto frame = packet::build(*text);
    if (!frame) return in.error(node, path, printable(frame.error().what, 200));
    out.packet = *text;
}

void parse_capture(const Reader& in, const YamlNode& node, const Path& path, TestPacket& out) {
    const auto text = read_string(in, node, path);
    if (!text) return;
    if (text->empty() || text->size() >= PATH_MAX || text->find('\0') != std::string::npos)
        in.error(node, path, quoted(*text) + " is not the path of a file");
    else
        out.pcap = *text;
}

/// after, packet, pcap, frame and expect: those of them that `map` may have.
TestPacket parse_packet(const Reader& in, const MapReader& map, const Names& names, Mark mark,
                        bool is_first, bool in_sequence) {
    const Path& path = map.path();
    TestPacket out;
    out.mark = mark;
    if (const YamlNode* after = in_sequence ? map.find("after") : nullptr)
        parse_pause(in, *after, path.at("after"), is_first, out);
    const YamlNode* packet = map.find("packet");
    const YamlNode* pcap = map.find("pcap");
    if (packet != nullptr && pcap != nullptr)
        in.error(*pcap, path.at("pcap"), "give packet or pcap, not both");
    if (packet == nullptr && pcap == nullptr && map.valid())
        in.findings.error(
            mark, path.text(),
            in_sequence ? "needs a packet or a pcap" : "needs a packet, a pcap or a sequence");
    if (packet != nullptr) {
        out.mark = packet->mark;
        parse_notation(in, *packet, path.at("packet"), out);
    } else if (pcap != nullptr) {
        out.mark = pcap->mark;
        parse_capture(in, *pcap, path.at("pcap"), out);
    }
    if (const YamlNode* frame = map.find("frame")) {
        if (pcap == nullptr)
            in.error(*frame, path.at("frame"), "is a frame of a capture: it needs pcap");
        out.frame =
            read_number(in, *frame, path.at("frame"), "the number of a frame", 1, UINT32_MAX)
                .value_or(0);
    }
    const YamlNode* expect = in_sequence ? map.find("expect") : map.require("expect");
    if (expect != nullptr)
        out.expect = parse_expected(in, *expect, path.at("expect"), names, is_first);
    return out;
}

void parse_sequence(const Reader& in, const YamlNode& list, const Path& path, const Names& names,
                    Test& out) {
    if (!expect_list(in, list, path)) return;
    if (list.children == 0) in.error(list, path, "is an empty list, it needs at least one entry");
    if (list.children > kMaxTestPackets)
        return in.error(list, path,
                        "has " + std::to_string(list.children) + " packets, at most " +
                            std::to_string(kMaxTestPackets) + " are possible");
    bool any = list.children == 0;
    for (const YamlNode* item = in.tree.first(list); item != nullptr; item = in.tree.next(*item)) {
        const Path at = path.at(out.packets.size());
        const MapReader map(in, *item, at, keys::kStep);
        any = any || !map.valid() || map.find("expect") != nullptr;
        out.packets.push_back(parse_packet(in, map, names, item->mark, out.packets.empty(), true));
    }
    if (!any) in.error(list, path, "expects nothing of any packet: it cannot fail");
}

Test parse_test(const Reader& in, const YamlNode& node, const Path& path, const Names& names,
                Seen& seen) {
    Test out;
    out.mark = node.mark;
    const MapReader map(in, node, path, keys::kTest);
    if (const YamlNode* name = map.require("name")) {
        out.name = read_string(in, *name, path.at("name")).value_or("");
        const std::string problem = problem_with_test_name(out.name);
        if (!problem.empty() && name->kind == NodeKind::scalar)
            in.error(*name, path.at("name"), quoted(out.name) + " " + problem);
        if (const std::uint32_t line = problem.empty() ? seen.line_of(out.name, name->mark) : 0)
            in.error(*name, path.at("name"),
                     "test " + quoted(out.name) + " is defined twice, first on line " +
                         std::to_string(line));
    }
    const YamlNode* sequence = map.find("sequence");
    if (sequence == nullptr) {
        out.packets.push_back(parse_packet(in, map, names, node.mark, true, false));
        return out;
    }
    for (const std::string_view key : {"packet", "pcap", "frame", "expect"})
        if (const YamlNode* beside = map.find(key))
            in.error(*beside, path.at(key), "stands in the sequence, not beside it");
    parse_sequence(in, *sequence, path.at("sequence"), names, out);
    return out;
}

}  // namespace

void parse_tests(const Reader& in, const YamlNode& tests, Draft& draft) {
    const Path root;
    const Path path = root.at("tests");
    if (!expect_list(in, tests, path)) return;
    if (tests.children > kMaxTests)
        return in.error(tests, path,
                        "has " + std::to_string(tests.children) + " entries, at most " +
                            std::to_string(kMaxTests) + " are possible");
    const Names names(draft.config);
    Seen seen;
    for (const YamlNode* item = in.tree.first(tests); item != nullptr; item = in.tree.next(*item))
        draft.config.tests.push_back(
            parse_test(in, *item, path.at(draft.config.tests.size()), names, seen));
}

void parse_proof(const Reader& in, const YamlNode& node, Draft& draft) {
    const Path root;
    const Path path = root.at("proof");
    draft.config.proof.mark = node.mark;
    const MapReader map(in, node, path, keys::kProof);
    const YamlNode* moved = map.find("max_moved");
    if (moved == nullptr) return;
    draft.config.proof.mark = moved->mark;
    draft.config.proof.max_moved =
        read_fraction(in, *moved, path.at("max_moved"), "a share of the packets");
}

}  // namespace sluice::config
