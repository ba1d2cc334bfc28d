// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <map>

#include "base/unique_fd.h"
#include "kernel/nic_netlink.h"
#include "kernel/probe.h"
#include "sluice/limits.h"

namespace sluice::kernel {
namespace {

/// Looking programs up by id takes CAP_SYS_ADMIN.
std::string program_name(std::uint32_t id) {
    if (id == 0) return {};
    const UniqueFd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    std::uint32_t len = sizeof info;
    if (!program.valid() || bpf_obj_get_info_by_fd(program.get(), &info, &len) != 0) return {};
    return {info.name, ::strnlen(info.name, sizeof info.name)};
}

void probe_layout(InterfaceFacts& facts) {
    facts.driver = driver_of(facts.name);
    facts.layout = read_nic_layout(facts.name, facts.link->ifindex);
    const auto feature = [&](const char* name) -> std::optional<OffloadState> {
        const auto found = facts.layout.features.find(name);
        if (found == facts.layout.features.end()) return std::nullopt;
        return found->second;
    };
    facts.rx_vlan = feature("rx-vlan-hw-parse");
    facts.lro = feature("rx-lro");
    facts.gro_hw = feature("rx-gro-hw");
    if (const auto& channels = facts.layout.channels) {
        facts.rx_queues = channels->receiving();
        facts.rx_queues_max = std::max(channels->max_combined, channels->max_rx);
    }
}

Result<std::map<std::string, Link>> list_links() {
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "list interfaces");
    std::map<std::string, Link> links;
    NetlinkRequest request(RTM_GETLINK, NLM_F_DUMP);
    request.header(ifinfomsg{}).put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    SLC_CHECK(socket.dump(
                  request, "list links", [&] { links.clear(); },
                  [&](const NetlinkMessage& message) {
                      if (auto link = parse_link(message)) links[link->name] = *std::move(link);
                  }),
              "list interfaces");
    return links;
}

}  // namespace

std::string driver_of(const std::string& interface) {
    return Ethtool(interface).driver();
}

Result<std::vector<InterfaceFacts>> probe_interfaces(const std::vector<std::string>& names) {
    const auto links = SLC_TRY(list_links(), "examine interfaces");
    std::vector<std::string> wanted = names;
    if (wanted.empty())
        for (const auto& [name, link] : links)
            if (link.ethernet && wanted.size() < SLC_MAX_INTERFACES) wanted.push_back(name);
    NicNetlink netlink = SLC_TRY(NicNetlink::open(), "examine interfaces");
    std::vector<InterfaceFacts> out;
    for (const std::string& name : wanted) {
        InterfaceFacts facts;
        facts.name = name;
        const auto found = links.find(name);
        if (found != links.end()) {
            facts.link = found->second;
            facts.xdp_program = program_name(found->second.xdp_prog_id);
            facts.xdp_features = netlink.xdp_features(found->second.ifindex);
            probe_layout(facts);
        }
        out.push_back(std::move(facts));
    }
    return out;
}

}  // namespace sluice::kernel
