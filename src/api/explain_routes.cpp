// SPDX-License-Identifier: Apache-2.0
#include "api/explain_routes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/config_request.h"
#include "api/json_of.h"
#include "api/routes_of.h"
#include "control/observation.h"
#include "packet/notation.h"
#include "packet/pasted.h"

namespace sluice::api {
namespace {

constexpr std::size_t kMaxPacketLen = std::size_t{4} * SLC_MAX_FRAME_LEN;  // Two digits and blanks.
constexpr std::size_t kMaxInterfaceLen = 15;  // IFNAMSIZ without its end.
constexpr std::size_t kMaxPathLen = 4096;
constexpr const char* kKeys = "the keys are packet, interface and against {text, file, directory}";

Result<void> take_line(std::string& to, Member& member, std::size_t most, bool lines = false) {
    auto line = line_of(member, most, lines);
    if (!line) return fail(std::move(line).error());
    to = std::move(*line);
    return {};
}

Result<void> take(ExplainBody& out, Member& member) {
    control::ExplanationRequest& request = out.request;
    if (member.key == "packet") return take_line(out.packet, member, kMaxPacketLen, true);
    if (member.key == "interface") return take_line(request.interface, member, kMaxInterfaceLen);
    if (member.key == "against.file") return take_line(request.file, member, kMaxPathLen);
    if (member.key == "against.directory") {
        if (auto taken = take_line(request.directory, member, kMaxPathLen); !taken) return taken;
        if (!request.directory.starts_with('/'))
            return fail(Errc::invalid, "against.directory: not an absolute path");
        return {};
    }
    if (member.key != "against.text")
        return fail(Errc::invalid, fmt::format("unknown key '{}'", shown(member.key)), kKeys);
    auto text = text_of(member);
    if (!text) return fail(std::move(text).error());
    request.against = std::move(*text);
    if (request.against.empty()) return fail(Errc::invalid, "against.text: empty");
    return {};
}

std::string hex(const std::vector<std::uint8_t>& bytes) {
    return fmt::format("{:02x}", fmt::join(bytes, ""));
}

Json packet_json(const std::string& text, const std::vector<std::uint8_t>& bytes) {
    return {{"text", text}, {"bytes", bytes.size()}, {"hex", hex(bytes)}};
}

Json walk_json(const control::Walk& walk) {
    Json out = {{"generation", walk.generation},
                {"verdict", walk.verdict},
                {"stage", walk.stage},
                {"reason", walk.reason},
                {"text", walk.text},
                {"remedy", walk.remedy},
                {"service", walk.service},
                {"group", walk.group},
                {"backend", walk.backend},
                {"customer", walk.customer},
                {"policy", walk.policy},
                {"mitigation", walk.mitigation},
                {"encapsulation", walk.encapsulation},
                {"egress", walk.egress}};
    out["hash"] = walk.hash != 0 ? Json(fmt::format("{:016x}", walk.hash)) : Json();
    out["slot"] = walk.slot ? Json(*walk.slot) : Json();
    Json steps = Json::array();
    for (const auto& step : walk.steps)
        steps.push_back({{"stage", step.stage}, {"text", step.text}});
    out["steps"] = std::move(steps);
    out["out"] = walk.out.empty() ? Json() : packet_json(walk.out_text, walk.out);
    out["assumptions"] = walk.assumptions;
    return out;
}

}  // namespace

Result<ExplainBody> parse_explain(std::string_view body) {
    ExplainBody out;
    auto members = SLC_TRY(read_body(body), "request");
    for (Member& member : members) SLC_CHECK(take(out, member), "request");
    if (out.packet.empty()) return fail(Errc::invalid, "request: no packet", kKeys);
    const auto& asked = out.request;
    if (asked.against.empty() && (!asked.file.empty() || !asked.directory.empty()))
        return fail(Errc::invalid, "request: against without a text", kKeys);
    return out;
}

Result<std::string> explain_body(const ExplainBody& body) {
    const control::ExplanationRequest& request = body.request;
    Json out = {{"packet", body.packet}};
    if (!request.interface.empty()) out["interface"] = request.interface;
    if (!request.against.empty()) {
        Json against = {{"text", request.against}};
        if (!request.file.empty()) against["file"] = request.file;
        if (!request.directory.empty()) against["directory"] = request.directory;
        out["against"] = std::move(against);
    }
    std::string text = text_of(out);
    if (text.size() > kMaxConfigBodyLen)
        return fail(Errc::limit, fmt::format("{}: more than {} MiB as a request", request.file,
                                             kMaxConfigBodyLen >> 20));
    return text;
}

std::string explanation_json(const control::Explanation& explanation) {
    Json out = document();
    out["packet"] = packet_json(explanation.packet, explanation.frame);
    out["interface"] = explanation.interface;
    out["now"] = walk_json(explanation.now);
    out["planned"] = explanation.planned ? walk_json(*explanation.planned) : Json();
    out["differences"] = explanation.differences;
    return text_of(out);
}

Response answer_explain(const Request& request, control::NodeView& node) {
    if (request.method != "POST") return wrong_method(request, kExplainPath, "POST");
    auto body = parse_explain(request.body);
    if (!body) return bad_target(body.error());
    auto frame = packet::read_packet(body->packet);
    if (!frame) return bad_target(std::move(frame).error().in("packet"));
    body->request.frame = std::move(*frame);
    const auto found = node.observation().explain(body->request);
    return found ? ok(explanation_json(*found)) : refused(found.error());
}

}  // namespace sluice::api
