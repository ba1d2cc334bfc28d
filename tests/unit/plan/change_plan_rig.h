// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the tests of change_plan.h share: a configuration, what follows it, and plans as text.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/parse.h"
#include "plan/change_plan.h"

namespace sluice::plan {

inline config::Config parsed(const std::string& text) {
    auto outcome = config::parse(text, "test.yaml");
    for (const auto& error : outcome.errors) ADD_FAILURE() << error.text();
    return outcome.config;
}

struct Compiled {
    config::Config config;
    IdStore ids;
    Image image;
};

inline Compiled compiled(config::Config config, IdStore ids = {},
                         const CompileOptions& options = {}) {
    Compiled out{std::move(config), std::move(ids), {}};
    auto image = compile(out.config, out.ids, options);
    if (!image)
        ADD_FAILURE() << image.error().what;
    else
        out.image = std::move(*image);
    return out;
}

/// Tables with room for all that a test adds, unless it says otherwise.
inline Running running(const Compiled& before, Overrides overrides = {}) {
    Running out;
    out.config = &before.config;
    out.image = &before.image;
    out.ids = &before.ids;
    out.overrides = std::move(overrides);
    out.free_members = 1000;
    out.free_cells = 1000;
    out.free_slots = 1u << 20;
    out.free_server_ids = 1000;
    return out;
}

/// As a daemon compiles what follows: ids go on, rings do not shrink.
inline Compiled following(const Compiled& before, config::Config next,
                          const Overrides& overrides = {}) {
    CompileOptions options;
    options.overrides = overrides;
    for (const auto& ring : before.image.ring_list)
        if (!ring.empty)
            options.least_log2[{before.config.groups[ring.group].name, ring.balance}] = ring.log2;
    return compiled(std::move(next), before.ids, options);
}

inline ChangePlan plan_of(const Running& now, const Compiled& next) {
    return make_plan(now, next.config, next.image, next.ids);
}

inline ChangePlan plan_of(const Compiled& before, const config::Config& next) {
    return plan_of(running(before), following(before, next));
}

/// "entry backend shop/10.0.0.5 weight: 1 -> 3".
inline std::string text_of(const Change& change) {
    std::string out = std::string(name_of(change.road)) + " ";
    if (change.kind != ChangeKind::changed) out += std::string(name_of(change.kind)) + " ";
    out += change.what;
    if (!change.field.empty()) out += " " + change.field;
    if (change.kind == ChangeKind::changed)
        return out + ": " + change.before + " -> " + change.after;
    const std::string& text = change.kind == ChangeKind::added ? change.after : change.before;
    return text.empty() ? out : out + ": " + text;
}

inline std::vector<std::string> texts_of(const std::vector<Change>& changes) {
    std::vector<std::string> out;
    for (const Change& change : changes) {
        EXPECT_FALSE(change.why.empty()) << text_of(change);
        out.push_back(text_of(change));
    }
    return out;
}

inline constexpr const char* kBefore = R"(
version: 2
node: {interfaces: [eth0], flows: {entries: 4096}}
groups:
  shop:
    deadline: 1h
    backends: [10.0.0.5, 10.0.0.6, 10.0.0.7]
services:
  - {name: web, vip: 192.0.2.10, port: 80, group: shop, tracking: transitions}
  - {name: dns, vip: 192.0.2.53, port: 53, protocol: udp, backends: [10.0.1.5, 10.0.1.6]}
protected:
  - {prefix: 198.51.100.0/24, customer: acme}
tests:
  - {name: one, packet: "udp 198.51.100.9:1 > 198.51.100.200:5", expect: {verdict: pass}}
)";

inline config::Backend backend(const char* address) {
    config::Backend out;
    out.address = *IpAddress::parse(address);
    return out;
}

using Edit = std::function<void(config::Config&)>;

}  // namespace sluice::plan
