// SPDX-License-Identifier: Apache-2.0
#include "api/flow_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/json_of.h"
#include "api/query.h"
#include "api/tuple.h"

namespace sluice::api {
namespace {

using namespace control;

std::string text_or_empty(const std::optional<IpAddress>& address) {
    return address ? address->text() : std::string();
}

Json json_of(const FlowRecord& record) {
    return {{"group", record.group},
            {"address", record.backend.text()},
            {"class", name_of(record.flow_class)},
            {"age_ms", record.age.count()},
            {"expires_ms", record.expires.count()},
            {"bucket", record.bucket},
            {"fingerprint", fmt::format("{:09x}", record.fingerprint)}};
}

}  // namespace

std::string json_string(std::string_view text) {
    return text_of(Json(text));
}

std::string flow_json(const FlowTuple& tuple, const FlowAnswer& answer) {
    Json out = document();
    out["tuple"] = text_of(tuple);
    out["why"] = answer.why;
    out["text"] = answer.text;
    out["address"] = text_or_empty(answer.backend);
    out["service"] = answer.service;
    out["group"] = answer.group;
    out["hash"] = fmt::format("{:016x}", answer.hash);
    out["ring_slots"] = answer.ring_slots;
    out["slot"] = answer.slot;
    out["marked"] = answer.marked;
    out["open"] = answer.open;
    out["held"] = answer.held;
    out["current"] = text_or_empty(answer.current);
    out["previous"] = text_or_empty(answer.previous);
    out["remembered"] = answer.remembered ? json_of(*answer.remembered) : Json();
    return text_of(out);
}

}  // namespace sluice::api
