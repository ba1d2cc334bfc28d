// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/fake_health.h"

namespace sluice::test {
namespace {

using namespace control;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

const system_clock::time_point kMoment = system_clock::from_time_t(1767225600);  // 2026-01-01

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

CheckStatus check(const char* type, const char* via, const char* target) {
    CheckStatus out;
    out.type = type;
    out.via = via;
    out.target = target;
    return out;
}

CheckStatus ended(CheckStatus check, const char* why, const char* text, microseconds duration) {
    check.why = why;
    check.text = text;
    check.duration = duration;
    check.age = milliseconds(640);
    return check;
}

BackendHealth coming_back() {
    BackendHealth out;
    out.group = "web";
    out.address = ip("10.0.0.5");
    out.state = "up";
    out.explanation = "2 passes in a row";
    out.age = seconds(12);
    out.part = 400;
    out.recent_failures = 1;
    out.checks = {
        ended(check("tcp", "vip", "192.0.2.10:80"), "passed", "", microseconds(412)),
        ended(check("http", "direct", "10.0.0.5:8080"), "passed", "200 OK", microseconds(12'700))};
    out.history = {{kMoment, "unknown", "up", "passed", "1 pass"},
                   {kMoment + milliseconds(3'500), "up", "down", "status",
                    "3 failures in a row: status: 503 Service Unavailable"},
                   {kMoment + seconds(60), "down", "up", "passed", "2 passes in a row"}};
    return out;
}

BackendHealth refusing() {
    BackendHealth out;
    out.group = "web";
    out.address = ip("10.0.0.6");
    out.state = "down";
    out.explanation = "3 failures in a row: refused";
    out.age = seconds(3725);
    out.is_out = true;
    out.recent_failures = 0;
    out.checks = {
        ended(check("tcp", "vip", "192.0.2.10:80"), "refused", "", microseconds(230)),
        ended(check("http", "direct", "10.0.0.6:8080"), "timeout", "", microseconds(1'000'000))};
    out.history = {
        {kMoment, "unknown", "down", "refused", "3 failures in a row: refused"},
    };
    return out;
}

BackendHealth flapping() {
    BackendHealth out;
    out.group = "web";
    out.address = ip("2001:db8:1::7");
    out.state = "held";
    out.explanation = "6 failures within 5m: held until there was none for 2m";
    out.age = seconds(75);
    out.is_out = true;
    out.recent_failures = 6;
    out.checks = {ended(check("tcp", "vip", "[2001:db8::10]:80"), "passed", "", microseconds(901)),
                  check("command", "direct", "/usr/lib/checks/deep")};
    out.history = {{kMoment, "down", "held", "passed",
                    "6 failures within 5m: held until there was none for 2m"}};
    return out;
}

GroupHealth group(const char* name, const char* condition, std::uint32_t healthy,
                  std::uint32_t counted) {
    GroupHealth out;
    out.group = name;
    out.condition = condition;
    out.healthy = healthy;
    out.counted = counted;
    out.when_none = "keep";
    return out;
}

}  // namespace

HealthStatus make_health(Scene scene) {
    HealthStatus out;
    if (scene != Scene::watched) return out;
    out.groups = {group("web", "degraded", 1, 3), group("spare", "panic", 1, 4),
                  group("cache", "none", 0, 2), group("static", "healthy", 2, 2)};
    out.groups[0].durations.note(microseconds(412));
    out.groups[0].durations.note(microseconds(12'700));
    out.groups[0].durations.note(microseconds(20'000'000));
    out.groups[0].outcomes = {{"passed", 2}, {"timeout", 1}};
    out.groups[1].min_healthy = 50;
    out.groups[2].when_none = "fallback";
    out.groups[2].fallback = "static";
    out.groups[3].trouble = "socket: Too many open files";
    out.backends = {coming_back(), refusing(), flapping()};
    out.checker = {.targets = 6,
                   .in_flight = 1,
                   .waiting = 0,
                   .begun = 4711,
                   .lost_outcomes = 0,
                   .cpu = milliseconds(1250),
                   .lateness = {}};
    out.checker.lateness.add(microseconds(60));
    out.checker.lateness.add(microseconds(840));
    return out;
}

}  // namespace sluice::test
