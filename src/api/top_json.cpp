// SPDX-License-Identifier: Apache-2.0
#include "api/top_json.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "api/flow_json.h"
#include "api/json.h"
#include "api/table_json.h"
#include "plan/reasons.h"

namespace sluice::api {
namespace {

using namespace control;

/// Appends `[each, each]` under a key, each by `put(to, each)`.
template <typename Range, typename Put>
void put_list(std::string& to, std::string_view key, const Range& range, const Put& put) {
    fmt::format_to(std::back_inserter(to), ",\"{}\":[", key);
    bool is_first = true;
    for (const auto& each : range) {
        if (!std::exchange(is_first, false)) to += ',';
        put(to, each);
    }
    to += ']';
}

void put_service(std::string& to, const MetricsSource& source, const ServiceMetrics& service) {
    const std::string vip = service.vip.is_host() ? service.vip.address.text() : service.vip.text();
    fmt::format_to(
        std::back_inserter(to),
        R"({{"name":{},"vip":"{}","protocol":"{}","port":"{}","group":{},"backends":{},)"
        R"("backends_ready":{},"packets":{},"bytes":{},"dropped_packets":{},"dropped_bytes":{},)"
        R"("flow_inserts":{},"flows_refused":{}}})",
        json_string(service.name), vip, config::name_of(service.protocol),
        config::text_of(service.ports),
        service.group ? json_string(source.groups[*service.group]) : "null", service.backends,
        service.backends_ready, service.counts.packets, service.counts.bytes,
        service.counts.dropped_packets, service.counts.dropped_bytes, service.flows.inserts,
        service.flows.refused_full + service.flows.refused_ceiling + service.flows.held);
}

void put_backend(std::string& to, const MetricsSource& source, const BackendMetrics& backend) {
    fmt::format_to(std::back_inserter(to),
                   R"({{"name":{},"up":{},"weight":{},"remembered":{},"packets":{},"bytes":{}}})",
                   json_string(source.groups[backend.group] + "/" + backend.address.text()),
                   backend.up, backend.weight, backend.remembered, backend.counts.packets,
                   backend.counts.bytes);
}

void put_reasons(std::string& to, const MetricsSource& source) {
    to += ",\"reasons\":[";
    for (std::size_t reason = 0; reason < SLC_REASON_COUNT; ++reason) {
        slc_counter sum{};
        for (std::size_t family = 0; family < SLC_FAMPROTO_COUNT; ++family) {
            const std::size_t at = reason * SLC_FAMPROTO_COUNT + family;
            if (at >= source.reasons.size()) break;
            sum.packets += source.reasons[at].packets;
            sum.bytes += source.reasons[at].bytes;
        }
        const char* label = plan::reason_text(static_cast<slc_reason>(reason)).label;
        fmt::format_to(std::back_inserter(to),
                       R"({}{{"reason":"{}","outcome":"{}","packets":{},"bytes":{}}})",
                       reason == 0 ? "" : ",", label, outcome_of(label), sum.packets, sum.bytes);
    }
    to += ']';
}

void put_interface(std::string& to, const InterfaceMetrics& interface) {
    fmt::format_to(std::back_inserter(to), R"({{"name":{},"attached":{},"xdp_mode":"{}")",
                   json_string(interface.name), interface.attached,
                   interface.generic ? "generic" : "native");
    if (interface.counts) {
        const auto& [dropped, passed, sent] = *interface.counts;
        fmt::format_to(std::back_inserter(to),
                       R"(,"packets":{},"bytes":{},"dropped_packets":{},"passed_packets":{},)"
                       R"("forwarded_packets":{})",
                       dropped.packets + passed.packets + sent.packets,
                       dropped.bytes + passed.bytes + sent.bytes, dropped.packets, passed.packets,
                       sent.packets);
    }
    to += '}';
}

void put_talker(std::string& to, const observe::Names& names, const Talker& talker) {
    fmt::format_to(std::back_inserter(to),
                   R"({{"source":"{}","service":{},"packets":{},"bytes":{},"dropped_packets":{},)"
                   R"("packets_per_s":{:.3f},"bytes_per_s":{:.3f},"dropped_per_s":{:.3f}}})",
                   talker.source.text(),
                   json_string(observe::name_in(names.services, talker.service)), talker.packets,
                   talker.bytes, talker.dropped_packets, talker.packets_per_s, talker.bytes_per_s,
                   talker.dropped_per_s);
}

}  // namespace

std::string top_json(const MetricsSource& source, std::span<const Talker> talkers,
                     const observe::Names& names) {
    std::string out;
    out.reserve(4096 + source.services.size() * 320 + source.backends.size() * 128);
    fmt::format_to(
        std::back_inserter(out),
        R"({{"schema_version":{},"time_ns":{},"node":{},"generation":{},"sampled_one_in":{})",
        kSchemaVersion, source.at.count(), json_string(source.summary.node),
        source.summary.generation, source.sampled_one_in);
    put_list(out, "services", source.services,
             [&](std::string& to, const auto& each) { put_service(to, source, each); });
    put_list(out, "backends", source.backends,
             [&](std::string& to, const auto& each) { put_backend(to, source, each); });
    put_reasons(out, source);
    put_list(out, "talkers", talkers,
             [&](std::string& to, const auto& each) { put_talker(to, names, each); });
    put_list(out, "maps", source.maps.maps,
             [](std::string& to, const auto& each) { to += brief_map_json(each); });
    put_list(out, "interfaces", source.interfaces, put_interface);
    out += '}';
    return out;
}

}  // namespace sluice::api
