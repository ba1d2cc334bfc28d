// SPDX-License-Identifier: Apache-2.0
#include "config/print_parts.h"

#include <algorithm>
#include <cmath>

#include "base/duration.h"
#include "config/rules.h"

namespace sluice::config {
namespace {

std::string number(std::uint32_t value) {
    return std::to_string(value);
}

std::string percent(std::uint32_t value) {
    return YamlText::quote(std::to_string(value) + "%");
}

std::string percent_of(double part) {
    return percent(static_cast<std::uint32_t>(std::lround(part * 100)));
}

std::string duration(std::chrono::milliseconds value) {
    return YamlText::quote(text_of_millis(value));
}

const char* truth(bool value) {
    return value ? "true" : "false";
}

/// A map in one line, key by key.
class Inline {
 public:
    void add(std::string_view key, std::string_view value) {
        text_ += (text_.empty() ? "" : ", ") + std::string(key) + ": " + std::string(value);
    }
    void text(std::string_view key, std::string_view value) {
        if (!value.empty()) add(key, YamlText::quote(value));
    }
    [[nodiscard]] std::string take(std::string_view key) const {
        return std::string(key) + ": {" + text_ + "}";
    }

 private:
    std::string text_;
};

template <std::size_t kCount>
std::string word_of(const std::array<DnsWord, kCount>& words, std::uint16_t value) {
    const auto found = std::find_if(words.begin(), words.end(),
                                    [&](const DnsWord& entry) { return entry.value == value; });
    return found == words.end() ? std::to_string(value) : std::string(found->word);
}

void print_http(const Check& check, int depth, YamlText& out) {
    out.entry(depth, "method", check.http.method);
    out.entry(depth, "path", check.http.path);
    std::vector<std::string> status;
    for (const StatusRange& range : check.http.status) status.push_back(text_of(range));
    out.list(depth, "status", status);
    if (!check.http.body.empty()) out.entry(depth, "body", check.http.body);
    if (!check.load) return;
    Inline load;
    load.text("header", check.load->header);
    load.text("field", check.load->field);
    load.add("least", percent_of(check.load->least));
    load.add("most", percent_of(check.load->most));
    out.line(depth, load.take("load"));
}

void print_tls(const CheckTls& tls, int depth, YamlText& out) {
    if (!tls.enabled) return;
    Inline line;
    line.add("verify", truth(tls.verify));
    line.text("server_name", tls.server_name);
    line.text("ca_file", tls.ca_file);
    line.text("certificate_file", tls.certificate_file);
    line.text("key_file", tls.key_file);
    out.line(depth, line.take("tls"));
}

void print_dns(const CheckDns& dns, int depth, YamlText& out) {
    Inline line;
    line.text("name", dns.name);
    line.text("type", word_of(kDnsTypes, dns.type));
    line.text("rcode", word_of(kDnsRcodes, dns.rcode));
    line.add("over_tcp", truth(dns.over_tcp));
    out.line(depth, line.take("dns"));
}

/// What only some types have.
void print_type(const Check& check, int depth, YamlText& out) {
    switch (check.type) {
        case CheckType::http:
        case CheckType::https:
            print_http(check, depth, out);
            break;
        case CheckType::udp:
            out.entry(depth, "payload", text_of_bytes(check.udp.payload));
            if (!check.udp.reply.empty()) out.entry(depth, "reply", text_of_bytes(check.udp.reply));
            break;
        case CheckType::dns:
            print_dns(check.dns, depth, out);
            break;
        case CheckType::grpc:
            if (!check.grpc_service.empty()) out.entry(depth, "grpc_service", check.grpc_service);
            break;
        case CheckType::command:
            out.list(depth, "command", check.command);
            break;
        case CheckType::tcp:
        case CheckType::icmp:
            break;
    }
    if (!check.http.host.empty()) out.entry(depth, "host", check.http.host);
    print_tls(check.tls, depth, out);
}

void print_check(const Check& check, int depth, YamlText& out) {
    out.line(depth, "- type: " + YamlText::quote(name_of(check.type)));
    ++depth;
    out.entry(depth, "via", name_of(check.via));
    if (!check.service.empty()) out.entry(depth, "service", check.service);
    if (check.port != 0) out.line(depth, "port: " + number(check.port));
    out.line(depth, "interval: " + duration(check.interval));
    out.line(depth, "timeout: " + duration(check.timeout));
    out.line(depth, "jitter: " + percent(check.jitter));
    out.line(depth, "rise: " + number(check.rise));
    out.line(depth, "fall: " + number(check.fall));
    print_type(check, depth, out);
}

std::string router_id_text(std::uint32_t router_id) {
    std::string out;
    for (const int shift : {24, 16, 8, 0})
        out += (out.empty() ? "" : ".") + number(router_id >> shift & 0xff);
    return out;
}

void print_peer(const BgpPeer& peer, YamlText& out) {
    out.line(3, "- address: " + YamlText::quote(peer.address.text()));
    out.line(4, "port: " + number(peer.port));
    out.line(4, "as: " + number(peer.as));
    if (peer.source) out.entry(4, "source", peer.source->text());
    if (!peer.password_file.empty()) out.entry(4, "password_file", peer.password_file);
    out.line(4, std::string("ttl_security: ") + truth(peer.ttl_security));
    out.line(4, "hold_time: " + duration(peer.hold_time));
    out.line(4, "retry: " + duration(peer.retry));
    if (!peer.next_hop4 && !peer.next_hop6) return;
    Inline line;
    if (peer.next_hop4) line.text("ipv4", peer.next_hop4->text());
    if (peer.next_hop6) line.text("ipv6", peer.next_hop6->text());
    out.line(4, line.take("next_hop"));
}

void print_bgp(const AnnounceBgp& bgp, YamlText& out) {
    out.line(1, "bgp:");
    out.line(2, "as: " + number(bgp.as));
    if (bgp.router_id != 0) out.entry(2, "router_id", router_id_text(bgp.router_id));
    out.line(2, "peers:");
    for (const BgpPeer& peer : bgp.peers) print_peer(peer, out);
    std::vector<std::string> communities;
    for (const BgpCommunity& community : bgp.communities) communities.push_back(text_of(community));
    out.list(2, "communities", communities);
    if (bgp.med) out.line(2, "med: " + number(*bgp.med));
    if (bgp.local_preference) out.line(2, "local_preference: " + number(*bgp.local_preference));
    out.line(2, "prepend: " + number(bgp.prepend));
}

}  // namespace

void print_health(const Health& health, int depth, YamlText& out) {
    if (health == Health{}) return;
    out.line(depth, "health:");
    ++depth;
    out.line(depth, health.checks.empty() ? "checks: []" : "checks:");
    for (const Check& check : health.checks) print_check(check, depth + 1, out);
    out.line(depth, "min_healthy: " + percent(health.min_healthy));
    out.entry(depth, "when_none", name_of(health.when_none));
    if (!health.fallback.empty()) out.entry(depth, "fallback", health.fallback);
    out.line(depth, "slow_start: " + duration(health.slow_start));
    Inline flapping;
    flapping.add("limit", number(health.flap_limit));
    flapping.add("window", duration(health.flap_window));
    flapping.add("hold", duration(health.flap_hold));
    out.line(depth, flapping.take("flapping"));
}

void print_announce(const Announce& announce, YamlText& out) {
    out.line(0, "announce:");
    if (announce.bird) {
        out.line(1, "bird:");
        out.entry(2, "socket", announce.bird->socket);
        out.entry(2, "include", announce.bird->include);
    }
    if (announce.bgp) print_bgp(*announce.bgp, out);
    if (announce.kernel) {
        out.line(1, "kernel:");
        if (announce.kernel->interface.empty())
            out.line(2, "table: " + number(announce.kernel->table));
        else
            out.entry(2, "interface", announce.kernel->interface);
    }
    out.entry(1, "while_healthy", name_of(announce.while_healthy));
    out.entry(1, "on_daemon_exit", name_of(announce.on_daemon_exit));
    out.line(1, "drain: " + duration(announce.drain));
}

}  // namespace sluice::config
