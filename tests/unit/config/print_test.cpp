// SPDX-License-Identifier: Apache-2.0
#include "config/print.h"

#include <random>

#include "config/agent.h"
#include "tests/unit/config/findings.h"

namespace sluice::config {
namespace {

constexpr const char* kWritten =
    "version: 2\n"
    "node: {interfaces: [eth0], decap: {from: [10.0.0.0/8]}, next: /p,\n"
    "       sampling: 64, keep_generations: 0,\n"
    "       ring_secret: 000102030405060708090a0b0c0d0e0f, tunnel_source: {ipv4: "
    "10.1.0.0/16}}\n"
    "groups: {g: {backends: [10.0.0.5]}}\n"
    "services:\n"
    "  - {name: a, vip: 192.0.2.0/28, port: 80-90, group: g, dscp: copy, customer: c}\n"
    "  - {name: b, vip: \"2001:DB8::1\", port: any, protocol: both, forward: l2, backends: "
    "[]}\n"
    "  - {name: c, vip: 192.0.2.1, port: 1, forward: local}\n"
    "  - {name: d, vip: 192.0.2.1, port: 2, protocol: udp, deadline: 90m, on_down: keep,\n"
    "     flows: {share: 7}, tracking: always, lifetimes: {udp: 61s},\n"
    "     route_by: {quic-lb: {server_id_length: 5}},\n"
    "     backends: [{address: 10.0.0.6, server_id: 0x0a}, {address: 10.0.0.7,\n"
    "                server_id: 0x010203040A}]}\n"
    "protected: [{prefix: 198.51.100.1, policy: p}]\n"
    "proof: {max_moved: 0.25}\n"
    "tests:\n"
    "  - {name: \"a: #1\", packet: tcp 1.2.3.4:5 > 192.0.2.1:80 syn,\n"
    "     expect: {verdict: tx, reason: forwarded, service: a, backend: 10.0.0.5,\n"
    "              encapsulation: ipip}}\n"
    "  - {name: one of a sequence, sequence: [{pcap: a b.pcap, expect: {verdict: drop}}]}\n"
    "  - name: two\n"
    "    sequence:\n"
    "      - {pcap: a.pcap, frame: 7}\n"
    "      - {after: 1500ms, packet: tcp 1.2.3.4:5 > 192.0.2.1:80 ack, expect: {backend: same}}\n"
    "      - {after: 90s, pcap: /b.pcap}\n";

constexpr const char* kPrinted = R"(version: 2
node:
  name: "default"
  interfaces: ["eth0"]
  xdp_mode: "auto"
  tunnel_source:
    ipv4: "10.1.0.0/16"
  ring_secret: "000102030405060708090a0b0c0d0e0f"
  icmp_rate: 1000
  gue_port: 6080
  flows: {entries: 1048576}
  sampling: 64
  keep_generations: 0
  next: "/p"
  decap:
    from: ["10.0.0.0/8"]
groups:
  "g":
    balance: "maglev"
    on_down: "replace"
    flows: {share: "0%", ceiling: "50%"}
    backends:
      - {address: "10.0.0.5", weight: 1, state: ready}
services:
  - name: "a"
    vip: "192.0.2.0/28"
    protocol: "tcp"
    port: "80-90"
    forward: "ipip"
    group: "g"
    tracking: "transitions"
    lifetimes: {embryonic: "75s", established: "15m", closing: "2m", udp: "1m"}
    route_by: "ring"
    balance: "maglev"
    affinity: "5-tuple"
    dscp: copy
    unmatched: "drop"
    customer: "c"
  - name: "b"
    vip: "2001:db8::1"
    protocol: "both"
    port: "any"
    forward: "l2"
    backends: []
    on_down: "replace"
    flows: {share: "0%", ceiling: "50%"}
    tracking: "transitions"
    lifetimes: {embryonic: "75s", established: "15m", closing: "2m", udp: "1m"}
    route_by: "ring"
    balance: "maglev"
    affinity: "5-tuple"
    dscp: 0
    unmatched: "drop"
  - name: "c"
    vip: "192.0.2.1"
    protocol: "tcp"
    port: "1"
    forward: "local"
    balance: "maglev"
    affinity: "5-tuple"
    dscp: 0
    unmatched: "drop"
  - name: "d"
    vip: "192.0.2.1"
    protocol: "udp"
    port: "2"
    forward: "ipip"
    backends:
      - {address: "10.0.0.6", weight: 1, state: ready, server_id: 10}
      - {address: "10.0.0.7", weight: 1, state: ready, server_id: "0x010203040a"}
    on_down: "keep"
    deadline: "90m"
    flows: {share: "7%", ceiling: "50%"}
    tracking: "always"
    lifetimes: {embryonic: "75s", established: "15m", closing: "2m", udp: "61s"}
    route_by: {quic-lb: {rotation: 0, server_id_length: 5}}
    balance: "maglev"
    affinity: "5-tuple"
    dscp: 0
    unmatched: "drop"
protected:
  - prefix: "198.51.100.1"
    policy: "p"
proof:
  max_moved: "0.25%"
tests:
  - name: "a: #1"
    packet: "tcp 1.2.3.4:5 > 192.0.2.1:80 syn"
    expect: {verdict: "tx", reason: "forwarded", service: "a", backend: "10.0.0.5", encapsulation: "ipip"}
  - name: "one of a sequence"
    pcap: "a b.pcap"
    expect: {verdict: "drop"}
  - name: "two"
    sequence:
      -
        pcap: "a.pcap"
        frame: 7
      -
        after: "1500ms"
        packet: "tcp 1.2.3.4:5 > 192.0.2.1:80 ack"
        expect: {backend: "same"}
      -
        after: "90s"
        pcap: "/b.pcap"
)";

TEST(Print, writes_every_key) {
    const auto outcome = parse(kWritten, "t.yaml");
    ASSERT_EQ(text_of(outcome.errors), "");
    EXPECT_EQ(to_yaml(outcome.config), kPrinted);
}

/// Random documents that are valid by construction, with names that YAML could take for numbers,
/// nulls and truth values.
class Documents {
 public:
    explicit Documents(std::uint32_t seed) : random_(seed) {}

    std::string next() {
        std::string out = "version: 2\n" + node() + proof() + announce();
        if (coin()) out += "health: {" + pace() + "}\n";
        out += "groups:\n";
        for (const char* name : kGroups)
            out += "  \"" + std::string(name) + "\": {balance: " + pick({"maglev", "rendezvous"}) +
                   ", backends: " + backends() + upkeep(", ", "") + "}\n";
        out += "  spare: {backends: [10.0.0.9]}\nservices:\n";
        for (int i = 0; i < 8; ++i) out += service(i);
        if (coin()) out += "protected: [{prefix: 198.51.100.0/24, customer: \"0\", policy: p}]\n";
        return out + tests();
    }

 private:
    static constexpr const char* kGroups[] = {"1.5", "null", "0x1f", "yes"};

    std::string node() {
        std::string out = "node:\n  name: n" + number(9) + "\n";
        if (coin()) out += "  interfaces: [eth" + number(9) + ", \"br~" + number(9) + "\"]\n";
        if (coin()) out += "  xdp_mode: " + pick({"auto", "native", "generic"}) + "\n";
        if (coin()) out += "  tunnel_source: {ipv4: 10.255.0.0/24, ipv6: \"fd00::/64\"}\n";
        if (coin())
            out += "  ring_secret: \"" + std::string(31, '0') + number(8) + "\"\n";
        else if (coin())
            out += "  ring_secret_file: \"a # b: \\\\c\"\n";
        if (coin()) out += "  icmp_rate: " + number(1'000'000) + "\n";
        if (coin()) out += "  gue_port: " + number(65535) + "\n";
        if (coin()) out += "  flows: {entries: " + std::to_string(512 + random_() % 99'999) + "}\n";
        if (coin()) out += "  sampling: " + pick({"0", "1", "64", "1048576"}) + "\n";
        if (coin()) out += "  keep_generations: " + std::to_string(random_() % 17) + "\n";
        if (coin()) out += "  next: \"/a \\\"b\\\\ \\t\\x1b \xc3\xbc\"\n";
        if (coin()) out += "  decap: {from: [10.0.0.0/8], addresses: [10.9.9.9]}\n";
        return out;
    }

    std::string proof() {
        if (coin()) return "";
        return "proof: {max_moved: " + std::to_string(random_() % 100) + "." + number(9999) +
               pick({"", "%"}) + "}\n";
    }

    std::string expectation() {
        return "{" + pick({"verdict: forward", "verdict: tx", "verdict: redirect"}) +
               pick({"", ", reason: forwarded"}) + pick({"", ", service: 7e1"}) +
               pick({"", ", encapsulation: gue"}) + "}";
    }

    std::string packet() {
        return pick({"packet: \"tcp 198.51.100.7:1 > 192.0.2.1:80 syn\"", "pcap: \"a: #.pcap\"",
                     "pcap: a, frame: " + number(9)});
    }

    std::string tests() {
        if (coin()) return coin() ? "tests: []\n" : "";
        std::string out = "tests:\n";
        out += "  - {name: \"1\", " + packet() + ", expect: " + expectation() + "}\n";
        out += "  - {name: \"a \\\"b\\\" Ã¼\", sequence: [{" + packet() +
               ", expect: " + expectation() + "}";
        const std::uint32_t more = random_() % 3;
        for (std::uint32_t i = 0; i < more; ++i)
            out += ", {after: " + pick({duration(), number(86'400'000) + "ms"}) + ", " + packet() +
                   pick({"", ", expect: {backend: same}"}) + "}";
        return out + "]}\n";
    }

    std::string backends() {
        std::string out = "[";
        const std::uint32_t count = random_() % 4;
        for (std::uint32_t i = 1; i <= count; ++i) {
            const std::string host = std::to_string(i);
            out += i > 1 ? ", " : "";
            out += coin() ? "10.0.0." + host
                          : "{address: \"2001:db8:1::" + host + "\", weight: " + number(1000) +
                                ", state: " + pick({"ready", "drain", "maint"}) +
                                pick({"", ", server_id: " + host, ", server_id: 0x0" + host}) + "}";
        }
        return out + "]";
    }

    /// What groups have. Twelve groups and services at most share the table.
    std::string upkeep(const std::string& before, const std::string& after) {
        std::string out;
        if (coin()) out += before + "on_down: " + pick({"replace", "keep"}) + after;
        if (coin()) out += before + "deadline: " + duration() + after;
        if (coin())
            out += before + "flows: {share: " + number(8) + pick({"%", ""}) + "}" + after;
        else if (coin())
            out += before + "flows: {ceiling: " + number(100) + "%}" + after;
        if (coin()) out += before + "health: {" + health() + "}" + after;
        return out;
    }

    /// Never with a timeout longer than the interval.
    std::string pace() {
        return "interval: " + pick({"1s", "1500ms", "1h"}) +
               ", timeout: " + pick({"10ms", "1s", "999ms"}) + ", jitter: " + number(50) +
               ", rise: " + number(100) + ", fall: " + number(100) + pick({"", ", via: direct"});
    }

    std::string check() {
        const std::string text = pick({"\"a \\\" #\\xc3\\t\"", "\"hex:00ff\"", "\"0x7f\"", "ok"});
        return pick({"{type: tcp, port: 1", "{type: icmp",
                     "{type: http, port: 2, status: [" + pick({"200", "100-599, 404"}) +
                         "], body: " + text + ", path: \"/a?b=\\\"c#\"",
                     "{type: http, port: 2, method: HEAD, load: {header: X-Load, least: " +
                         number(100) + "%, most: " + std::to_string(100 + random_() % 901) + "%}",
                     "{type: https, port: 443, host: \"[2001:db8::1]:443\", tls: {verify: " +
                         pick({"true", "false, certificate_file: /a, key_file: \"/b c\""}) + "}",
                     "{type: udp, port: 1, payload: " + text + pick({"", ", reply: " + text}),
                     "{type: dns, port: 53, dns: {name: a.b, type: CAA, rcode: REFUSED}",
                     "{type: grpc, port: 1, grpc_service: a.B" + pick({"", ", tls: {}"}),
                     "{type: command, command: [/a, \"\", " + text + "]"}) +
               pick({"", ", rise: 7", ", interval: 100ms"}) + "}";
    }

    /// Through services of any protocol and ports, so all directly.
    std::string health() {
        std::string out = "checks: [";
        const std::uint32_t count = random_() % 4;
        for (std::uint32_t i = 0; i < count; ++i) {
            std::string one = check();
            one.pop_back();
            out += (i > 0 ? ", " : "") + one + ", via: direct}";
        }
        out += "], min_healthy: " + number(100);
        if (coin()) out += ", slow_start: " + number(3600) + "s";
        if (coin()) out += ", flapping: {limit: " + number(1000) + ", hold: " + number(24) + "h}";
        return out + pick({"", ", when_none: reject", ", when_none: withdraw",
                           ", when_none: fallback, fallback: spare"});
    }

    std::string announce() {
        if (coin()) return "";
        std::string out =
            "announce:\n  while_healthy: " + pick({"any", "all"}) +
            "\n  on_daemon_exit: " + pick({"withdraw", "keep"}) + "\n  drain: " + number(3600) +
            "s\n  kernel: " + pick({"{}", "{interface: \"br~1\"}", "{table: " + number(254) + "}"});
        if (coin()) out += "\n  bird: {include: \"/a b\"}";
        if (coin()) return out + "\n";
        out += "\n  bgp:\n    as: " + number(23455) +
               "\n    peers:\n      - {address: \"::1\", as: " + number(23455) +
               ", hold_time: " + std::to_string(3 + random_() % 65533) + "s}\n";
        if (coin())
            out += "      - {address: 10.0.0.1, as: 4294967294, port: " + number(65535) +
                   ", source: 10.0.0.2, ttl_security: true, next_hop: {ipv6: \"2001:db8::1\"}}\n";
        if (coin()) out += "    router_id: 255." + number(255) + ".0.1\n";
        if (coin()) out += "    communities: [\"0:0\", no-peer, \"4294967295:0:1\"]\n";
        if (coin()) out += "    med: 0\n    local_preference: 4294967295\n";
        return out + (coin() ? "    prepend: 16\n" : "");
    }

    std::string memory() {
        std::string out;
        if (coin()) out += "    tracking: " + pick({"transitions", "always", "never"}) + "\n";
        if (coin())
            out += "    lifetimes: {" + pick({"embryonic", "established", "closing", "udp"}) +
                   ": " + duration() + "}\n";
        return out;
    }

    /// With the protocol and backends that it needs.
    std::string routing() {
        const bool wide = coin();
        std::string out = "    backends: [10.0.9.1, {address: 10.0.9.2, server_id: ";
        out += wide ? "0xffeeddccbbaa" : number(255);
        out += "}]\n    protocol: both\n    route_by: ";
        if (wide)
            return out + "{quic-lb: {rotation: " + std::to_string(random_() % 7) +
                   ", server_id_length: " + std::to_string(6 + random_() % 10) + "}}\n";
        return out + pick({"ring", "tcp-server-id", "katran", "{quic-lb: {server_id_length: 1}}"}) +
               "\n";
    }

    std::string duration() {
        return pick(
            {number(86'400) + "s", number(1439) + "m" + number(60) + "s", number(24) + "h", "1d"});
    }

    std::string service(int index) {
        const std::string number_of = std::to_string(index);
        std::string out = "  - name: \"" + number_of + "e1\"\n    vip: ";
        out += pick({"192.0.2." + number_of, "\"2001:db8::" + number_of + "\"",
                     "203.0.113." + std::to_string(index * 16) + "/28"});
        out += "\n    port: " + pick({"any", number(65535), number(99) + "-" + number(99) + "00"});
        out += "\n";
        const bool by_id = random_() % 4 == 0;
        if (!by_id && coin()) out += "    protocol: " + pick({"tcp", "udp", "both"}) + "\n";
        if (coin()) out += "    affinity: " + pick({"5-tuple", "source", "source-port"}) + "\n";
        if (coin()) out += "    dscp: " + pick({"copy", "0", number(63)}) + "\n";
        if (coin()) out += "    unmatched: " + pick({"drop", "pass"}) + "\n";
        if (coin()) out += "    customer: \"true\"\n";
        if (coin()) out += "    announce: " + pick({"true", "false"}) + "\n";
        if (coin()) out += "    balance: " + pick({"maglev", "rendezvous"}) + "\n";
        if (!by_id && random_() % 5 == 0) return out + "    forward: local\n";
        out += memory();
        out += "    forward: " + pick({"ipip", "gre", "gue", "l2"}) + "\n";
        if (by_id) return out + routing() + upkeep("    ", "\n");
        if (coin()) return out + "    backends: " + backends() + "\n" + upkeep("    ", "\n");
        return out + "    group: \"" + kGroups[random_() % std::size(kGroups)] + "\"\n";
    }

    std::string number(std::uint32_t most) { return std::to_string(random_() % most + 1); }
    std::string pick(const std::vector<std::string>& words) {
        return words[random_() % words.size()];
    }
    bool coin() { return random_() % 2 == 0; }

    std::mt19937 random_;
};

TEST(Print, what_was_printed_reads_back_as_an_equal_configuration) {
    Documents documents(20260701);
    for (int i = 0; i < 500; ++i) {
        const std::string text = documents.next();
        const auto first = parse(text, "t.yaml");
        ASSERT_EQ(text_of(first.errors), "") << text;
        const std::string printed = to_yaml(first.config);
        const auto second = parse(printed, "printed.yaml");
        ASSERT_EQ(text_of(second.errors), "") << printed;
        ASSERT_TRUE(first.config == second.config) << text << "\nprinted:\n" << printed;
        ASSERT_EQ(to_yaml(second.config), printed);
    }
}

TEST(Print, examples_read_back) {
    for (const char* name : {"sluice", "minimal", "dual-stack", "shared-groups", "colocated",
                             "planned-changes", "server-ids", "tested", "watched"}) {
        const auto first = parse(content_of(std::string("examples/") + name + ".yaml"), name);
        const auto second = parse(to_yaml(first.config), "printed.yaml");
        EXPECT_EQ(text_of(second.errors), "");
        EXPECT_TRUE(first.config == second.config) << name;
    }
}

TEST(Print, an_agents_configuration_reads_back) {
    const auto first = parse_agent(content_of("examples/agent.yaml"), "agent.yaml");
    const auto second = parse_agent(to_yaml(first.config), "printed.yaml");
    EXPECT_EQ(text_of(second.errors), "");
    EXPECT_EQ(first.config, second.config);
}

}  // namespace
}  // namespace sluice::config
