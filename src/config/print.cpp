// SPDX-License-Identifier: Apache-2.0
#include "config/print.h"

#include <cmath>
#include <cstdio>

#include "base/duration.h"
#include "config/keys.h"
#include "config/print_parts.h"
#include "config/yaml_text.h"

namespace sluice::config {
namespace {

void print_node(const Node& node, YamlText& out) {
    out.line(0, "node:");
    out.entry(1, "name", node.name);
    out.list(1, "interfaces", node.interfaces);
    out.entry(1, "xdp_mode", name_of(node.xdp_mode));
    if (node.tunnel_source4 || node.tunnel_source6) {
        out.line(1, "tunnel_source:");
        if (node.tunnel_source4) out.entry(2, "ipv4", node.tunnel_source4->text());
        if (node.tunnel_source6) out.entry(2, "ipv6", node.tunnel_source6->text());
    }
    if (!node.ring_secret_file.empty()) {
        out.entry(1, "ring_secret_file", node.ring_secret_file);
    } else if (node.has_ring_secret) {
        char digits[33];
        std::snprintf(digits, sizeof digits, "%016llx%016llx",
                      static_cast<unsigned long long>(node.ring_secret[0]),
                      static_cast<unsigned long long>(node.ring_secret[1]));
        out.entry(1, "ring_secret", digits);
    }
    out.line(1, "icmp_rate: " + std::to_string(node.icmp_rate));
    out.line(1, "gue_port: " + std::to_string(node.gue_port));
    out.line(1, "flows: {entries: " + std::to_string(node.flow_entries) + "}");
    out.line(1, "sampling: " + std::to_string(node.sample_one_in));
    out.line(1, "keep_generations: " + std::to_string(node.keep_generations));
    if (!node.next.empty()) out.entry(1, "next", node.next);
    if (!node.decap) return;
    out.line(1, "decap:");
    out.list(2, "from", texts_of(node.decap->from));
    std::vector<std::string> addresses;
    for (const IpAddress& address : node.decap->addresses) addresses.push_back(address.text());
    out.list(2, "addresses", addresses);
}

std::string text_of_id(const Backend& backend) {
    if (!backend.server_id) return {};
    const std::string text = text_of(*backend.server_id);
    return ", server_id: " + (text.starts_with("0x") ? YamlText::quote(text) : text);
}

std::string duration_text(std::chrono::seconds duration) {
    return YamlText::quote(text_of_duration(duration));
}

/// What groups have, and services with a group of their own.
void print_upkeep(const Group& group, YamlText& out) {
    out.entry(2, "on_down", name_of(group.on_down));
    if (group.deadline != std::chrono::seconds::zero())
        out.line(2, "deadline: " + duration_text(group.deadline));
    out.line(2, "flows: {share: \"" + std::to_string(group.flows.share) + "%\", ceiling: \"" +
                    std::to_string(group.flows.ceiling) + "%\"}");
    print_health(group.health, 2, out);
}

void print_memory(const Service& service, YamlText& out) {
    const Lifetimes& lifetimes = service.lifetimes;
    out.entry(2, "tracking", name_of(service.tracking));
    out.line(2, "lifetimes: {embryonic: " + duration_text(lifetimes.embryonic) +
                    ", established: " + duration_text(lifetimes.established) +
                    ", closing: " + duration_text(lifetimes.closing) +
                    ", udp: " + duration_text(lifetimes.udp) + "}");
    if (service.routing.by == RouteBy::quic_lb)
        out.line(2, "route_by: {quic-lb: {rotation: " + std::to_string(service.routing.rotation) +
                        ", server_id_length: " + std::to_string(service.routing.server_id_len) +
                        "}}");
    else
        out.entry(2, "route_by", name_of(service.routing.by));
}

void print_backends(const Group& group, int depth, YamlText& out) {
    if (group.backends.empty()) {
        out.line(depth, "backends: []");
        return;
    }
    out.line(depth, "backends:");
    for (const Backend& backend : group.backends)
        out.line(depth + 1, "- {address: " + YamlText::quote(backend.address.text()) +
                                ", weight: " + std::to_string(backend.weight) +
                                ", state: " + name_of(backend.state) + text_of_id(backend) + "}");
}

void print_groups(const Config& config, YamlText& out) {
    bool begun = false;
    for (const Group& group : config.groups) {
        if (group.anonymous) continue;
        if (!begun) out.line(0, "groups:");
        begun = true;
        out.line(1, YamlText::quote(group.name) + ":");
        out.entry(2, "balance", name_of(group.balance));
        print_upkeep(group, out);
        print_backends(group, 2, out);
    }
}

void print_service(const Config& config, const Service& service, YamlText& out) {
    out.line(1, "- name: " + YamlText::quote(service.name));
    out.entry(2, "vip", text_of(service.vip));
    out.entry(2, "protocol", name_of(service.protocol));
    out.entry(2, "port", text_of(service.ports));
    out.entry(2, "forward", name_of(service.forward));
    if (service.forward != Forward::local) {
        const Group& group = config.groups[service.group];
        if (group.anonymous) {
            print_backends(group, 2, out);
            print_upkeep(group, out);
        } else {
            out.entry(2, "group", group.name);
        }
        print_memory(service, out);
    }
    out.entry(2, "balance", name_of(service.balance));
    out.entry(2, "affinity", name_of(service.affinity));
    out.line(2, "dscp: " + (service.dscp_copy ? "copy" : std::to_string(service.dscp)));
    out.entry(2, "unmatched", name_of(service.unmatched));
    if (!service.customer.empty()) out.entry(2, "customer", service.customer);
    if (!service.policy.empty()) out.entry(2, "policy", service.policy);
    if (!service.announce) out.line(2, "announce: false");
}

void print_protected(const Protected& item, YamlText& out) {
    out.line(1, "- prefix: " + YamlText::quote(text_of(item.prefix)));
    if (!item.customer.empty()) out.entry(2, "customer", item.customer);
    if (!item.policy.empty()) out.entry(2, "policy", item.policy);
}

void print_proof(const Proof& proof, YamlText& out) {
    if (!proof.max_moved) return;
    const std::string millionths = std::to_string(std::llround(*proof.max_moved * 1e6) % 10'000);
    std::string decimals = "." + std::string(4 - millionths.size(), '0') + millionths;
    decimals.erase(decimals.find_last_not_of('0') + 1);
    if (decimals == ".") decimals.clear();
    const std::string whole = std::to_string(std::llround(*proof.max_moved * 1e6) / 10'000);
    out.line(0, "proof:");
    out.entry(1, "max_moved", whole + decimals + "%");
}

/// In one line: {verdict: "forward", service: "web"}.
void print_expected(const Expectation& expect, int depth, YamlText& out) {
    std::string line;
    const auto add = [&](std::string_view key, std::string_view value) {
        line += (line.empty() ? "" : ", ") + std::string(key) + ": " + YamlText::quote(value);
    };
    if (expect.verdict != Expectation::Verdict::any) add("verdict", name_of(expect.verdict));
    if (!expect.reason.empty()) add("reason", expect.reason);
    if (!expect.service.empty()) add("service", expect.service);
    if (expect.backend) add("backend", expect.backend->text());
    if (expect.same_backend) add("backend", "same");
    if (expect.encapsulation) add("encapsulation", name_of(*expect.encapsulation));
    if (!line.empty()) out.line(depth, "expect: {" + line + "}");
}

void print_packet(const TestPacket& packet, int depth, YamlText& out) {
    if (!packet.packet.empty()) out.entry(depth, "packet", packet.packet);
    if (!packet.pcap.empty()) out.entry(depth, "pcap", packet.pcap);
    if (packet.frame != 0) out.line(depth, "frame: " + std::to_string(packet.frame));
    print_expected(packet.expect, depth, out);
}

void print_test(const Test& test, YamlText& out) {
    out.line(1, "- name: " + YamlText::quote(test.name));
    if (test.packets.size() == 1) return print_packet(test.packets.front(), 2, out);
    out.line(2, "sequence:");
    for (const TestPacket& packet : test.packets) {
        out.line(3, "-");
        if (packet.after.count() != 0) out.entry(4, "after", text_of_millis(packet.after));
        print_packet(packet, 4, out);
    }
}

}  // namespace

std::string YamlText::quote(std::string_view value) {
    std::string out = "\"";
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            char escape[5];
            std::snprintf(escape, sizeof escape, "\\x%02x", byte);
            out += escape;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string text_of(const IpPrefix& prefix) {
    return prefix.is_host() ? prefix.address.text() : prefix.text();
}

std::vector<std::string> texts_of(const std::vector<IpPrefix>& prefixes) {
    std::vector<std::string> out;
    out.reserve(prefixes.size());
    for (const IpPrefix& prefix : prefixes) out.push_back(text_of(prefix));
    return out;
}

std::string to_yaml(const Config& config) {
    YamlText out;
    out.line(0, "version: " + std::to_string(kVersion));
    print_node(config.node, out);
    print_groups(config, out);
    if (!config.services.empty()) out.line(0, "services:");
    for (const Service& service : config.services) print_service(config, service, out);
    if (!config.protected_prefixes.empty()) out.line(0, "protected:");
    for (const Protected& item : config.protected_prefixes) print_protected(item, out);
    if (config.announce) print_announce(*config.announce, out);
    print_proof(config.proof, out);
    if (!config.tests.empty()) out.line(0, "tests:");
    for (const Test& test : config.tests) print_test(test, out);
    return std::move(out).take();
}

}  // namespace sluice::config
