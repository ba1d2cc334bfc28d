// SPDX-License-Identifier: Apache-2.0
#include "kernel/doctor_probes.h"

#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>

#include "kernel/doctor_of.h"
#include "kernel/netlink.h"

namespace sluice::kernel {
namespace {

constexpr int kStrict = 1;

// ---- facts ----

int read_setting(const std::string& interface, const char* name) {
    std::ifstream file("/proc/sys/net/ipv4/conf/" + interface + "/" + name);
    int value = 0;
    file >> value;
    return value;
}

void add_rule(const NetlinkMessage& message, std::vector<MarkRule>& out) {
    const auto header = message.header<fib_rule_hdr>();
    if (message.type != RTM_NEWRULE || (header.flags & FIB_RULE_INVERT) != 0) return;
    MarkRule rule;
    rule.is_ip6 = header.family == AF_INET6;
    for_each_attribute(message.attributes<fib_rule_hdr>(), [&](const Attribute& each) {
        if (each.type == FRA_PRIORITY) rule.priority = each.u32();
        if (each.type == FRA_FWMARK) rule.value = each.u32();
        if (each.type == FRA_FWMASK) rule.mask = each.u32();
    });
    if (rule.mask != 0) out.push_back(rule);
}

Result<std::vector<MarkRule>> read_rules(NetlinkSocket& socket, std::uint8_t family) {
    fib_rule_hdr header{};
    header.family = family;
    NetlinkRequest request(RTM_GETRULE, NLM_F_DUMP);
    request.header(header);
    std::vector<MarkRule> out;
    SLC_CHECK(socket.dump(
                  request, "list rules", [&] { out.clear(); },
                  [&](const NetlinkMessage& message) { add_rule(message, out); }),
              "rules");
    return out;
}

// ---- judging ----

void take(std::vector<DoctorCheck>& checks, Findings& out) {
    auto found = out.take();
    checks.insert(checks.end(), found.begin(), found.end());
}

void judge_source(Findings& out, const ProbeRoute& route) {
    if (!route.source.is_unspecified())
        return out.ok("probes.source", "probes come from " + route.source.text());
    const char* family = route.vip.is_ip6 ? "IPv6" : "IPv4";
    out.add("probes.source", CheckStatus::fail,
            fmt::format("this node has no {} address that backends could answer to", family),
            fmt::format("give the interface towards the backends an {} address, or check them with "
                        "via: direct",
                        family));
}

void judge_route(std::vector<DoctorCheck>& checks, const ProbeRoute& route) {
    Findings out(route.vip.text());
    if (!route.refused.empty()) {
        out.add("probes.route", CheckStatus::fail, route.refused + ": probes to it cannot leave",
                "ip route add default via GATEWAY, or any other route to it: packets are taken "
                "from it before they leave");
    } else if (route.interfaces.empty()) {
        out.add("probes.route", CheckStatus::unknown, "the route to it does not say its interface",
                "ip route get " + route.vip.text());
    } else {
        out.ok("probes.route",
               fmt::format("probes to it start at {}", fmt::join(route.interfaces, ", ")));
        judge_source(out, route);
    }
    take(checks, out);
}

/// An interface's name as sysctl takes it between dots.
std::string setting_of(std::string interface, const char* name) {
    std::ranges::replace(interface, '.', '/');
    return fmt::format("sysctl -w net.ipv4.conf.{}.{}", interface, name);
}

/// Only IPv4 has these filters.
void judge_answers(std::vector<DoctorCheck>& checks, const AnswerFacts& answers,
                   const ProbePathFacts& facts) {
    Findings out(answers.interface);
    const ProbeRoute* elsewhere = nullptr;  // Strict filters drop its answers here.
    const ProbeRoute* local = nullptr;
    for (const ProbeRoute& each : facts.routes) {
        if (each.vip.is_ip6 || !each.refused.empty()) continue;
        if (each.is_local) local = &each;
        if (each.is_local || !each.interfaces.contains(answers.interface)) elsewhere = &each;
    }
    if (answers.rp_filter == kStrict && elsewhere != nullptr)
        out.add("probes.rp_filter", CheckStatus::warn,
                fmt::format("rp_filter is strict: answers from {} that come by it are dropped, "
                            "because the route to that VIP is not by it",
                            elsewhere->vip.text()),
                setting_of(answers.interface, "rp_filter=2"));
    else
        out.ok("probes.rp_filter", answers.rp_filter == kStrict
                                       ? "rp_filter is strict, and routes to VIPs are by it"
                                       : "rp_filter lets answers of VIPs in");
    if (local != nullptr && !answers.accept_local)
        out.add("probes.accept_local", CheckStatus::warn,
                fmt::format("answers from {} that come by it are dropped: the VIP is an address "
                            "of this node, too",
                            local->vip.text()),
                setting_of(answers.interface, "accept_local=1"));
    else if (local != nullptr)
        out.ok("probes.accept_local", "accept_local lets answers of this node's own VIPs in");
    take(checks, out);
}

bool is_for_probes_alone(const MarkRule& rule) {
    return rule.value == SLC_PROBE_MARK && rule.mask == SLC_PROBE_MARK_MASK;
}

/// Whether some mark of ours is one of the rule's.
bool meets_ours(const MarkRule& rule) {
    return ((rule.value ^ SLC_PROBE_MARK) & rule.mask & SLC_PROBE_MARK_MASK) == 0;
}

void judge_rules(std::vector<DoctorCheck>& checks, const ProbePathFacts& facts) {
    Findings out("rules");
    const auto found = std::ranges::find_if(facts.rules, [](const MarkRule& each) {
        return meets_ours(each) && !is_for_probes_alone(each);
    });
    if (found == facts.rules.end())
        out.ok("probes.mark", "no rule of somebody else is about marks of probes");
    else
        out.add("probes.mark", CheckStatus::warn,
                fmt::format("rule {} of {} is about mark {:#x}/{:#x}, which some probes bear, too "
                            "({:#x}/{:#x})",
                            found->priority, found->is_ip6 ? "IPv6" : "IPv4", found->value,
                            found->mask, SLC_PROBE_MARK, SLC_PROBE_MARK_MASK),
                fmt::format("give that rule a mask that covers {:#x}, or another mark",
                            SLC_PROBE_MARK_MASK));
    take(checks, out);
}

}  // namespace

Result<ProbePathFacts> read_probe_path(const ProbedVips& probed) {
    ProbePathFacts out;
    out.routes = SLC_TRY(probe_routes(probed.vips), "probes");
    for (ProbeRoute& route : out.routes)
        if (probed.become_local) {
            route.refused.clear();
            route.is_local = true;
            route.interfaces = {"lo"};
        }
    for (const std::string& interface : probed.interfaces)
        out.interfaces.push_back(read_answers(interface));
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "probes");
    for (const std::uint8_t family : {AF_INET, AF_INET6}) {
        const auto rules = SLC_TRY(read_rules(socket, family), "probes");
        out.rules.insert(out.rules.end(), rules.begin(), rules.end());
    }
    return out;
}

std::vector<DoctorCheck> judge_probe_path(const ProbePathFacts& facts) {
    std::vector<DoctorCheck> out;
    for (const ProbeRoute& route : facts.routes) judge_route(out, route);
    for (const AnswerFacts& answers : facts.interfaces) judge_answers(out, answers, facts);
    judge_rules(out, facts);
    return out;
}

AnswerFacts read_answers(const std::string& interface) {
    const auto greater = [&](const char* name) {
        return std::max(read_setting("all", name), read_setting(interface, name));
    };
    return {interface, greater("rp_filter"), greater("accept_local") != 0};
}

}  // namespace sluice::kernel
