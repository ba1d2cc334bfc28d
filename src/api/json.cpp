// SPDX-License-Identifier: Apache-2.0
#include "api/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <utility>

#include "api/json_of.h"
#include "plan/reasons.h"

namespace sluice::api {
namespace {

using namespace control;

Json json_of(const Traffic& traffic) {
    return {{"packets", traffic.packets}, {"bytes", traffic.bytes}};
}

Json json_of(const ServiceStatus& service) {
    return {{"name", service.name},
            {"id", service.id},
            {"vip", service.vip.is_host() ? service.vip.address.text() : service.vip.text()},
            {"protocol", config::name_of(service.protocol)},
            {"port", config::text_of(service.ports)},
            {"forward", config::name_of(service.forward)},
            {"balance", config::name_of(service.balance)},
            {"affinity", config::name_of(service.affinity)},
            {"group", service.group},
            {"customer", service.customer},
            {"policy", service.policy},
            {"ring_slots", service.ring_slots},
            {"backends_total", service.backends_total},
            {"backends_ready", service.backends_ready},
            {"traffic", json_of(service.traffic)},
            {"dropped", json_of(service.dropped)}};
}

Json json_of(const BackendStatus& backend) {
    return {{"group", backend.group},
            {"address", backend.address.text()},
            {"member", backend.member},
            {"state", config::name_of(backend.state)},
            {"weight", backend.weight},
            {"configured_state", config::name_of(backend.configured_state)},
            {"configured_weight", backend.configured_weight},
            {"overridden", backend.overridden},
            {"override_left_s", backend.override_left.count()},
            {"retired", backend.retired},
            {"remembered", backend.remembered},
            {"cut", backend.cut},
            {"settled", is_settled(backend)},
            {"change", change_json(backend.change)},
            {"health", backend.health},
            {"health_why", backend.health_why},
            {"part", backend.part},
            {"next_hop", plan::name_of(backend.hop)},
            {"why", backend.why},
            {"interface", backend.interface},
            {"next_mac", backend.next_mac.is_zero() ? "" : backend.next_mac.text()},
            {"ring_share", backend.ring_share},
            {"traffic", json_of(backend.traffic)},
            {"services", backend.services}};
}

Json json_of(const InterfaceStatus& interface) {
    return {{"name", interface.name},         {"ifindex", interface.ifindex},
            {"driver", interface.driver},     {"xdp_mode", interface.xdp_mode},
            {"attached", interface.attached}, {"mtu", interface.mtu}};
}

Json json_of(const ReasonStatus& reason) {
    return {{"reason", reason.label},
            {"outcome", outcome_of(reason.label)},
            {"text", reason.text},
            {"remedy", reason.remedy},
            {"traffic", json_of(reason.traffic)}};
}

Json json_of(const ReloadStatus& reload) {
    return {{"success", reload.success}, {"at", time_text(reload.at)}, {"error", reload.error}};
}

Json json_of(const OwnerStatus& owner) {
    return {{"name", owner.name}, {"id", owner.id}, {"traffic", json_of(owner.traffic)}};
}

template <typename T>
Json list_of(const std::vector<T>& values) {
    Json out = Json::array();
    for (const T& value : values) out.push_back(json_of(value));
    return out;
}

constexpr std::array<std::pair<Errc, const char*>, 9> kErrcNames = {{
    {Errc::invalid, "invalid"},
    {Errc::not_found, "not_found"},
    {Errc::conflict, "conflict"},
    {Errc::denied, "denied"},
    {Errc::unsupported, "unsupported"},
    {Errc::limit, "limit"},
    {Errc::unreachable, "unreachable"},
    {Errc::system, "system"},
    {Errc::internal, "internal"},
}};

}  // namespace

Json document() {
    return Json{{"schema_version", kSchemaVersion}};
}

std::string text_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const char* phase_of(const ChangeStatus& change) {
    if (change.preparing_slots > 0) return "preparing";
    if (change.open_slots > 0) return "open";
    return change.settled() ? "settled" : "closing";
}

Json change_json(const ChangeStatus& change) {
    return {{"phase", phase_of(change)},
            {"preparing_slots", change.preparing_slots},
            {"open_slots", change.open_slots},
            {"marked_slots", change.marked_slots},
            {"held_slots", change.held_slots},
            {"window_left_ms", change.window_left.count()},
            {"deadline_left_ms", change.deadline_left.count()}};
}

bool is_settled(const BackendStatus& backend) {
    const bool takes_flows =
        backend.state == config::BackendState::ready && backend.weight > 0 && !backend.retired;
    return backend.change.settled() && (takes_flows || backend.remembered == 0);
}

const char* name_of(Errc code) {
    for (const auto& [errc, name] : kErrcNames)
        if (errc == code) return name;
    return "internal";
}

std::string time_text(std::chrono::system_clock::time_point at) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
    if (seconds == 0) return {};
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string precise_time_text(std::chrono::system_clock::time_point at) {
    const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch());
    std::string out = time_text(std::chrono::time_point<std::chrono::system_clock>(since_epoch));
    if (!out.empty()) out.insert(out.size() - 1, fmt::format(".{:03}", since_epoch.count() % 1000));
    return out;
}

const char* outcome_of(std::string_view reason_label) {
    for (int number = 0; number < SLC_REASON_COUNT; ++number) {
        const auto reason = static_cast<slc_reason>(number);
        if (plan::reason_text(reason).label != reason_label) continue;
        if (plan::is_drop(reason)) return "dropped";
        if (plan::is_pass(reason)) return "passed";
        return plan::is_answer(reason) ? "answered" : "forwarded";
    }
    return "dropped";
}

bool is_degraded(const NodeStatus& node) {
    return node.degraded || !node.reload.success;
}

std::string status_json(const NodeStatus& node) {
    Json out = document();
    out["state"] = is_degraded(node) ? "degraded" : "healthy";
    out["problems"] = node.problems;
    out["version"] = node.version;
    out["node"] = node.node;
    out["generation"] = node.generation;
    out["config_file"] = node.config_file;
    out["config_digest"] = node.config_digest;
    out["started"] = time_text(node.started);
    out["reload"] = json_of(node.reload);
    out["node_state"] = standing_json(node.standing);
    out["interfaces"] = list_of(node.interfaces);
    out["services"] = list_of(node.services);
    out["reasons"] = list_of(node.reasons);
    return text_of(out);
}

std::string services_json(const NodeStatus& node) {
    Json out = document();
    out["services"] = list_of(node.services);
    return text_of(out);
}

std::string service_json(const NodeStatus& node, const ServiceStatus& service) {
    Json out = document();
    out.update(json_of(service));
    Json backends = Json::array();
    for (const BackendStatus& backend : node.backends)
        if (std::find(backend.services.begin(), backend.services.end(), service.name) !=
            backend.services.end())
            backends.push_back(json_of(backend));
    out["backends"] = std::move(backends);
    return text_of(out);
}

std::string backends_json(const NodeStatus& node) {
    Json out = document();
    out["backends"] = list_of(node.backends);
    return text_of(out);
}

std::string backend_json(const BackendStatus& backend) {
    Json out = document();
    out.update(json_of(backend));
    return text_of(out);
}

std::string node_json(const NodeStatus& node) {
    Json out = document();
    out["node"] = node.node;
    out["version"] = node.version;
    out["generation"] = node.generation;
    out["config_file"] = node.config_file;
    out["config_digest"] = node.config_digest;
    out["started"] = time_text(node.started);
    out["reload"] = json_of(node.reload);
    out["instruction_set"] = node.instruction_set;
    out["interfaces"] = list_of(node.interfaces);
    Json programs = Json::array();
    for (const ProgramStatus& program : node.programs)
        programs.push_back({{"name", program.name},
                            {"instructions", program.instructions},
                            {"instructions_built", program.instructions_built}});
    out["programs"] = std::move(programs);
    Json families = Json::array();
    for (const FamilyStatus& family : node.families)
        families.push_back({{"family", family.label}, {"traffic", json_of(family.traffic)}});
    out["families"] = std::move(families);
    out["customers"] = list_of(node.customers);
    out["policies"] = list_of(node.policies);
    return text_of(out);
}

std::string reasons_json(const NodeStatus& node) {
    Json out = document();
    out["reasons"] = list_of(node.reasons);
    return text_of(out);
}

std::string redact(std::string_view text) {
    static constexpr std::string_view kKey = "ring_secret";
    static constexpr std::size_t kSecretDigits = 32;
    std::string out;
    std::size_t at = 0;
    while (true) {
        const std::size_t key = text.find(kKey, at);
        if (key == std::string_view::npos) break;
        std::size_t value = key + kKey.size();
        const auto is_between = [](char c) {
            return c == '"' || c == '\'' || c == ':' || c == ' ' || c == '\t' || c == '\n';
        };
        while (value < text.size() && is_between(text[value])) ++value;
        std::size_t end = value;
        while (end < text.size() && std::isxdigit(static_cast<unsigned char>(text[end])) != 0)
            ++end;
        out += text.substr(at, value - at);
        if (end - value >= kSecretDigits)
            out += "<redacted>";
        else
            out += text.substr(value, end - value);
        at = end;
    }
    out += text.substr(at);
    return out;
}

std::string config_json(const NodeStatus& node, std::string_view text) {
    Json out = document();
    out["generation"] = node.generation;
    out["config_file"] = node.config_file;
    out["config_digest"] = node.config_digest;
    out["text"] = redact(text);
    return text_of(out);
}

std::string ok_json() {
    Json out = document();
    out["status"] = "ok";
    return text_of(out);
}

std::string accepted_json() {
    Json out = document();
    out["status"] = "accepted";
    return text_of(out);
}

std::string reloaded_json(const NodeStatus& node) {
    Json out = document();
    out["status"] = "reloaded";
    out["generation"] = node.generation;
    out["config_digest"] = node.config_digest;
    return text_of(out);
}

std::string error_json(const Error& error) {
    Json out = document();
    out["code"] = name_of(error.code);
    out["message"] = error.what;
    out["hint"] = error.hint;
    return text_of(out);
}

Error error_from_json(std::string_view body, unsigned http_status) {
    const Json json = Json::parse(body, nullptr, false);
    const auto text = [&](const char* key) -> std::string {
        if (!json.is_object()) return {};
        const auto found = json.find(key);
        return found != json.end() && found->is_string() ? found->get<std::string>()
                                                         : std::string();
    };
    const std::string code = text("code");
    for (const auto& [errc, name] : kErrcNames)
        if (code == name) return make_error(errc, text("message"), text("hint"));
    return make_error(Errc::internal,
                      fmt::format("the daemon answered with status {}", http_status));
}

}  // namespace sluice::api
