// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How backends are watched, as values: part of config/model.h. What a backend's health means is
/// decided in control/health.h; the checks themselves are made by health/checker.h.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::config {

enum class CheckType { tcp, http, https, udp, icmp, dns, grpc, command };
/// vip: to the VIP, through the same tunnel to that very backend, as clients arrive. direct: to the
/// backend's own address.
enum class CheckVia { vip, direct };
/// What a service does whose group has no healthy backend left.
enum class WhenNone {
    keep,      ///< Goes on with those that failed last.
    reject,    ///< TCP reset, else ICMP unreachable (port, RFC 1122 3.2.2.1; RFC 4443 3.1).
    withdraw,  ///< Packets are dropped, and the VIP is not announced.
    fallback,  ///< Another group takes over.
};

struct StatusRange {
    std::uint16_t first = 200;  ///< 100..599, inclusive.
    std::uint16_t last = 399;
    bool operator==(const StatusRange&) const = default;
};

struct CheckHttp {
    std::string method = "GET";  ///< GET or HEAD.
    std::string path = "/";
    std::string host;  ///< Of the Host header; empty: the address.
    std::vector<StatusRange> status{{}};
    std::string body;  ///< Must be contained in the first 64 KiB; empty: not looked at.
    bool operator==(const CheckHttp&) const = default;
};

/// For https, always `enabled`, and for grpc where it is.
struct CheckTls {
    bool enabled = false;
    bool verify = true;
    std::string server_name;       ///< SNI and the name in the certificate; empty: `host`.
    std::string ca_file;           ///< PEM; empty: those of the system.
    std::string certificate_file;  ///< PEM, for servers that want one.
    std::string key_file;
    bool operator==(const CheckTls&) const = default;
};

struct CheckUdp {
    std::string payload;  ///< Bytes.
    std::string reply;    ///< The answer must contain these bytes; empty: any answer will do.
    bool operator==(const CheckUdp&) const = default;
};

struct CheckDns {
    std::string name;         ///< "example.com"
    std::uint16_t type = 1;   ///< A.
    std::uint16_t rcode = 0;  ///< What the answer must say: NOERROR.
    bool over_tcp = false;
    bool operator==(const CheckDns&) const = default;
};

/// What a backend says of its own load; weights follow within bounds.
struct CheckLoad {
    std::string header;  ///< Name of a header with 0..100 in it; or
    std::string field;   ///< name of a member of a JSON body.
    double least = 0.5;  ///< Of the configured weight.
    double most = 1.5;
    bool operator==(const CheckLoad&) const = default;
};

struct Check {
    CheckType type = CheckType::tcp;
    CheckVia via = CheckVia::vip;  ///< Of a command always direct: what it sends has no mark.
    std::string service;           ///< Whose VIP and port; empty: the group's first that fits.
    std::uint16_t port = 0;        ///< 0: the service's.
    std::chrono::milliseconds interval{2000};  ///< 100 ms..1 h.
    std::chrono::milliseconds timeout{1000};   ///< 10 ms..interval.
    std::uint32_t jitter = 10;                 ///< Hundredths of the interval, 0..50.
    std::uint32_t rise = 2;                    ///< Successes that bring a backend back, 1..100.
    std::uint32_t fall = 3;                    ///< Failures that take it out, 1..100.
    CheckHttp http;
    CheckTls tls;
    CheckUdp udp;
    CheckDns dns;
    std::string grpc_service;          ///< Name in grpc.health.v1.HealthCheckRequest.
    std::vector<std::string> command;  ///< Absolute path and arguments.
    std::optional<CheckLoad> load;
    bool operator==(const Check&) const = default;
};

/// Of one group.
struct Health {
    std::vector<Check> checks;  ///< All must pass. Empty: backends are never watched.
    /// Below this part of healthy backends the failed ones stay in: hundredths, 0..100; 0: never.
    std::uint32_t min_healthy = 0;
    WhenNone when_none = WhenNone::keep;
    std::string fallback;  ///< Group, for WhenNone::fallback.
    std::chrono::seconds slow_start{
        0};  ///< From nothing to its weight, after it came back; 0..1 h.
    /// More than so many failures within `flap_window` hold a backend out for `flap_hold`.
    std::uint32_t flap_limit = 5;  ///< 0: never.
    std::chrono::seconds flap_window{300};
    std::chrono::seconds flap_hold{120};
    bool operator==(const Health&) const = default;
};

/// The words of the configuration, the CLI, the API and the metrics.
const char* name_of(CheckType value);
const char* name_of(CheckVia value);
const char* name_of(WhenNone value);

}  // namespace sluice::config
