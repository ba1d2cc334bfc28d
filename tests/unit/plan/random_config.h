// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Random configurations that are valid by construction and fill every kind of table: several
/// services on one VIP, prefixes around each other, ranges, ids of several lengths, groups in no
/// order. The same seed gives the same ones.

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace sluice::plan {

class RandomConfig {
 public:
    explicit RandomConfig(std::uint32_t seed) : random_(seed) {}

    std::string next() {
        groups_.clear();
        std::string out = "version: 2\n" + node();
        const std::uint32_t groups = below(4);
        if (groups > 0) out += "groups:\n";
        for (std::uint32_t i = 0; i < groups; ++i) {
            groups_.push_back("g" + std::to_string(100 - i));
            out += "  " + groups_.back() + ": {balance: " + pick({"maglev", "rendezvous"}) +
                   upkeep() + ", backends: " + backends(true) + "}\n";
        }
        out += services();
        out += protected_prefixes();
        if (coin()) out += "proof: {max_moved: " + std::to_string(below(100)) + ".25%}\n";
        return out + tests();
    }

 private:
    std::string node() {
        std::string out = "node:\n  name: n" + std::to_string(below(9)) + "\n";
        if (coin()) out += "  interfaces: [eth1, eth0, eth0.100]\n";
        if (coin()) out += "  xdp_mode: " + pick({"native", "generic"}) + "\n";
        if (coin()) out += "  tunnel_source: {ipv4: 10.255.0.0/24, ipv6: \"fd00:ff::/96\"}\n";
        if (coin())
            out += "  ring_secret: \"000000000000000000000000000000" + two() + "\"\n";
        else if (coin())
            out += "  ring_secret_file: \"/run/secret \xc3\xbc\"\n";
        if (coin()) out += "  icmp_rate: " + std::to_string(1 + below(9999)) + "\n";
        if (coin()) out += "  gue_port: " + std::to_string(1 + below(65535)) + "\n";
        if (coin()) out += "  flows: {entries: " + std::to_string(512u << below(8)) + "}\n";
        if (coin()) out += "  sampling: " + pick({"0", "1", "4096"}) + "\n";
        if (coin()) out += "  keep_generations: " + std::to_string(below(17)) + "\n";
        if (coin()) out += "  next: /sys/fs/bpf/next\n";
        if (coin()) {
            out += "  decap: {from: [10.9.0.0/16, 10.8.1.1, \"fd00:1::/64\", 10.0.0.0/8]";
            if (coin()) out += ", addresses: [10.7.7.9, \"fd00:7::1\", 10.7.7.7]";
            out += "}\n";
        }
        return out;
    }

    std::string upkeep() {
        std::string out;
        if (coin()) out += ", on_down: keep";
        if (coin()) out += ", deadline: " + std::to_string(1 + below(9999)) + "s";
        if (coin())
            out += ", flows: {share: " + std::to_string(below(4)) +
                   "%, ceiling: " + std::to_string(8 + below(93)) + "%}";
        return out;
    }

    std::string backends(bool with_ids) {
        std::set<std::uint32_t> hosts;
        const std::uint32_t count = below(6);
        while (hosts.size() < count) hosts.insert(1 + below(250));
        std::vector<std::uint32_t> order(hosts.begin(), hosts.end());
        if (coin()) std::shuffle(order.begin(), order.end(), random_);
        const bool ids = with_ids && coin();
        std::string out = "[";
        for (const std::uint32_t host : order) {
            if (out.size() > 1) out += ", ";
            out += "{address: " + (coin() ? "10.1.0." + std::to_string(host)
                                          : "\"2001:db8:1::" + std::to_string(host) + "\"");
            if (coin()) out += ", weight: " + std::to_string(below(20));
            if (coin()) out += ", state: " + pick({"ready", "drain", "maint"});
            if (ids && coin()) out += ", server_id: " + std::to_string(host);
            out += "}";
        }
        return out + "]";
    }

    std::string services() {
        const std::uint32_t vips = below(5);
        std::string out = "services:\n";
        bool any = false;
        int number = 0;
        for (std::uint32_t vip = 0; vip < vips; ++vip) {
            const std::string where = pick({"192.0.2." + std::to_string(vip),
                                            "\"2001:db8:2::" + std::to_string(vip) + "\"",
                                            "203.0.113." + std::to_string(vip * 16) + "/28",
                                            "\"2001:db8:3:" + std::to_string(vip) + "::/64\""});
            const bool pass = coin();
            std::vector<std::string> ports = {"80",        "443",        "1000-1999",
                                              "2000-2000", "3000-65535", "any"};
            std::shuffle(ports.begin(), ports.end(), random_);
            ports.resize(1 + below(static_cast<std::uint32_t>(ports.size())));
            for (const auto& port : ports) {
                out += "  - {name: " + pick({"s", "a", "z"}) + std::to_string(number++) +
                       ", vip: " + where + ", port: " + port + service() +
                       (pass ? ", unmatched: pass" : "") + "}\n";
                any = true;
            }
        }
        return any ? out : "services: []\n";
    }

    std::string service() {
        std::string out = ", dscp: " + pick({"copy", "0", "46"});
        if (coin()) out += ", affinity: " + pick({"source", "source-port"});
        if (coin()) out += ", customer: " + pick({"acme", "zeta"});
        if (coin()) out += ", policy: " + pick({"strict", "lax"});
        if (coin()) out += ", balance: " + pick({"maglev", "rendezvous"});
        const bool by_id = below(5) == 0;
        if (!by_id) out += ", protocol: " + pick({"tcp", "udp", "both"});
        if (!by_id && below(6) == 0) return out + ", forward: local";
        out += ", forward: " + pick({"ipip", "gre", "gue", "l2"});
        if (coin()) out += ", tracking: " + pick({"always", "never"});
        if (coin())
            out += ", lifetimes: {embryonic: " + std::to_string(1 + below(200)) +
                   "s, established: " + std::to_string(1 + below(86400)) +
                   "s, closing: " + std::to_string(1 + below(999)) +
                   "s, udp: " + std::to_string(1 + below(999)) + "s}";
        if (by_id) {
            const bool wide = coin();
            out += ", protocol: both, backends: [10.2.0.9, {address: 10.2.0.1, server_id: " +
                   std::string(wide ? "\"0xffeeddccbbaa\"" : pick({"0", "7", "255"})) + "}]";
            return out + ", route_by: " +
                   (wide ? "{quic-lb: {rotation: " + std::to_string(below(7)) +
                               ", server_id_length: " + std::to_string(6 + below(10)) + "}}"
                         : pick({"tcp-server-id", "katran", "{quic-lb: {server_id_length: 1}}"})) +
                   upkeep();
        }
        if (groups_.empty() || coin()) return out + ", backends: " + backends(true) + upkeep();
        return out + ", group: " + pick(groups_);
    }

    std::string protected_prefixes() {
        if (coin()) return "";
        return "protected:\n"
               "  - {prefix: 203.0.0.0/16, customer: acme}\n"
               "  - {prefix: 198.51.100.7, policy: strict}\n"
               "  - {prefix: 192.0.0.0/8, customer: other, policy: lax}\n"
               "  - {prefix: \"2001:db8::/32\", customer: zeta}\n";
    }

    std::string tests() {
        if (coin()) return "";
        return "tests:\n"
               "  - {name: one, packet: \"udp 198.51.100.9:1 > 192.0.2.200:5\", expect: {verdict: "
               "pass, reason: not_ours}}\n"
               "  - {name: more, sequence: [{pcap: a.pcap, frame: 3, expect: {verdict: forward, "
               "encapsulation: gue}}, {after: 1500ms, pcap: a.pcap, expect: {backend: same}}]}\n";
    }

    std::string two() { return std::to_string(10 + below(90)); }
    std::string pick(const std::vector<std::string>& words) {
        return words[below(static_cast<std::uint32_t>(words.size()))];
    }
    std::uint32_t below(std::uint32_t bound) {
        return static_cast<std::uint32_t>(random_() % bound);
    }
    bool coin() { return below(2) == 0; }

    std::mt19937 random_;
    std::vector<std::string> groups_;
};

}  // namespace sluice::plan
