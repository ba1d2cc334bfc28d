// SPDX-License-Identifier: Apache-2.0
#include "kernel/tc_filter.h"

#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "kernel/netlink.h"
#include "kernel/xdp_link.h"

namespace sluice::kernel {
namespace {

constexpr std::uint32_t kPriority = 1;
constexpr std::uint32_t kIngress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
constexpr std::uint32_t kEgress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);

bpf_tc_hook hook_of(std::uint32_t ifindex, int point) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex),
                .attach_point = static_cast<bpf_tc_attach_point>(point));
    return hook;
}

bpf_tc_opts place() {
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = TcFilter::kHandle, .priority = kPriority);
    return options;
}

struct Filter {
    std::uint32_t priority = 0;
    std::uint32_t handle = 0;
    std::string kind;
    std::string name;  ///< Of a BPF filter, as who attached it has called it.
};

Filter filter_of(const NetlinkMessage& message) {
    const auto about = message.header<tcmsg>();
    Filter out{TC_H_MAJ(about.tcm_info) >> 16, about.tcm_handle, {}, {}};
    for_each_attribute(message.attributes<tcmsg>(), [&](const Attribute& each) {
        if (each.type == TCA_KIND) out.kind = each.text();
        if (each.type != TCA_OPTIONS) return;
        for_each_attribute(each.data, [&](const Attribute& option) {
            if (option.type == TCA_BPF_NAME) out.name = option.text();
        });
    });
    return out;
}

Result<std::vector<Filter>> list_filters(std::uint32_t ifindex, std::uint32_t parent) {
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "list filters");
    tcmsg header{};
    header.tcm_ifindex = static_cast<int>(ifindex);
    header.tcm_parent = parent;
    NetlinkRequest request(RTM_GETTFILTER, NLM_F_DUMP);
    request.header(header);
    std::vector<Filter> out;
    SLC_CHECK(socket.dump(
                  request, "list filters", [&] { out.clear(); },
                  [&](const NetlinkMessage& message) {
                      if (message.type == RTM_NEWTFILTER) out.push_back(filter_of(message));
                  }),
              "filters");
    return out;
}

Result<void> check_link_type(const std::string& interface) {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
    if (!socket.valid() || ::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "ask for its type"));
    }
    const auto type = request.ifr_hwaddr.sa_family;
    if (type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK) return {};
    return fail(Errc::unsupported, "its packets have no Ethernet header",
                "have the VIPs routed by an Ethernet interface");
}

/// Whether our place is free, or was left by a program of this name.
Result<bool> is_left_over(std::uint32_t ifindex, const std::string& program) {
    for (const Filter& each : SLC_TRY(list_filters(ifindex, kEgress), "attach")) {
        if (each.priority != kPriority || each.handle != TcFilter::kHandle) continue;
        // libbpf names a filter "PROGRAM:[ID]".
        if (each.kind == "bpf" && each.name.starts_with(program + ":")) return true;
        return fail(Errc::conflict,
                    "filter " + (each.name.empty() ? each.kind : each.name) +
                        " is in the place of Sluice's (priority 1, handle 0x51)",
                    "give it another handle");
    }
    return false;
}

}  // namespace

Result<std::unique_ptr<TcFilter>> TcFilter::attach(int program_fd, const std::string& program,
                                                   const std::string& interface) {
    const std::uint32_t ifindex = SLC_TRY(ifindex_of(interface), "attach");
    SLC_CHECK(check_link_type(interface), interface);
    std::unique_ptr<TcFilter> out(new TcFilter(interface, ifindex));
    bpf_tc_hook hook = hook_of(ifindex, BPF_TC_EGRESS);
    const int made = ::bpf_tc_hook_create(&hook);
    if (made != 0 && made != -EEXIST) return fail(sys_error(-made, interface + ": make clsact"));
    out->has_made_qdisc_ = made == 0;
    bpf_tc_opts options = place();
    options.prog_fd = program_fd;
    if (SLC_TRY(is_left_over(ifindex, program), interface)) options.flags = BPF_TC_F_REPLACE;
    const int error = ::bpf_tc_attach(&hook, &options);
    if (error != 0)
        return fail(sys_error(-error, interface + ": attach to egress")
                        .advise("tc qdisc show dev " + interface +
                                " must say clsact, and tc filter show dev " + interface +
                                " egress nothing but BPF of priority 1"));
    out->program_id_ = options.prog_id;
    return out;
}

TcFilter::State TcFilter::state() const {
    const auto now = ifindex_of(interface_);
    if (!now || *now != ifindex_) return State::gone;
    const bpf_tc_hook hook = hook_of(ifindex_, BPF_TC_EGRESS);
    bpf_tc_opts found = place();
    if (::bpf_tc_query(&hook, &found) != 0) return State::gone;
    return found.prog_id == program_id_ ? State::in_place : State::taken;
}

TcFilter::~TcFilter() {
    const bpf_tc_hook hook = hook_of(ifindex_, BPF_TC_EGRESS);
    if (program_id_ != 0 && state() == State::in_place) {
        const bpf_tc_opts options = place();
        (void)::bpf_tc_detach(&hook, &options);
    }
    if (!has_made_qdisc_) return;
    for (const std::uint32_t parent : {kIngress, kEgress}) {
        const auto others = list_filters(ifindex_, parent);
        if (!others || !others->empty()) return;
    }
    bpf_tc_hook both = hook_of(ifindex_, BPF_TC_INGRESS | BPF_TC_EGRESS);
    (void)::bpf_tc_hook_destroy(&both);
}

}  // namespace sluice::kernel
