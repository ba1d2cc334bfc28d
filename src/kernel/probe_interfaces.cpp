// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <map>

#include "base/unique_fd.h"
#include "kernel/probe.h"
#include "sluice/limits.h"

namespace sluice::kernel {
namespace {

// Generic netlink "netdev": linux/netdev.h is newer than Debian 12.
constexpr std::uint8_t kDevGet = 1;
constexpr std::uint16_t kDevIfindex = 1;
constexpr std::uint16_t kDevXdpFeatures = 3;

/// The old ioctl interface of ethtool: every driver and kernel has it.
class Ethtool {
 public:
    explicit Ethtool(std::string interface)
        : interface_(std::move(interface)), fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

    /// `command` starts with its number, as all of ethtool's structures do.
    bool call(void* command) const {
        ifreq request{};
        if (interface_.size() >= sizeof request.ifr_name) return false;
        std::copy(interface_.begin(), interface_.end(), request.ifr_name);
        request.ifr_data = static_cast<char*>(command);
        return fd_.valid() && ::ioctl(fd_.get(), SIOCETHTOOL, &request) == 0;
    }

    [[nodiscard]] std::string driver() const {
        ethtool_drvinfo info{};
        info.cmd = ETHTOOL_GDRVINFO;
        if (!call(&info)) return {};
        info.driver[sizeof info.driver - 1] = '\0';
        return info.driver;
    }

    [[nodiscard]] std::map<std::string, OffloadState> features() const;

 private:
    [[nodiscard]] std::uint32_t feature_count() const;

    std::string interface_;
    UniqueFd fd_;
};

std::uint32_t Ethtool::feature_count() const {
    alignas(ethtool_sset_info)
        std::uint8_t bytes[sizeof(ethtool_sset_info) + sizeof(std::uint32_t)] = {};
    ethtool_sset_info info{};
    info.cmd = ETHTOOL_GSSET_INFO;
    info.sset_mask = 1ull << ETH_SS_FEATURES;
    std::memcpy(bytes, &info, sizeof info);
    if (!call(bytes)) return 0;
    std::memcpy(&info, bytes, sizeof info);
    std::uint32_t count = 0;
    if (info.sset_mask != 0) std::memcpy(&count, bytes + sizeof info, sizeof count);
    return std::min<std::uint32_t>(count, 1024);
}

std::map<std::string, OffloadState> Ethtool::features() const {
    std::map<std::string, OffloadState> out;
    const std::uint32_t count = feature_count();
    const std::uint32_t blocks = (count + 31) / 32;
    std::vector<std::uint8_t> names(sizeof(ethtool_gstrings) + count * ETH_GSTRING_LEN);
    ethtool_gstrings names_header{};
    names_header.cmd = ETHTOOL_GSTRINGS;
    names_header.string_set = ETH_SS_FEATURES;
    names_header.len = count;
    std::memcpy(names.data(), &names_header, sizeof names_header);
    std::vector<std::uint8_t> states(sizeof(ethtool_gfeatures) +
                                     blocks * sizeof(ethtool_get_features_block));
    ethtool_gfeatures states_header{};
    states_header.cmd = ETHTOOL_GFEATURES;
    states_header.size = blocks;
    std::memcpy(states.data(), &states_header, sizeof states_header);
    if (count == 0 || !call(names.data()) || !call(states.data())) return out;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto* text =
            reinterpret_cast<const char*>(names.data()) + sizeof names_header + i * ETH_GSTRING_LEN;
        ethtool_get_features_block block;
        std::memcpy(&block, states.data() + sizeof states_header + i / 32 * sizeof block,
                    sizeof block);
        const std::uint32_t bit = 1u << (i % 32);
        const bool changeable = (block.available & bit) != 0 && (block.never_changed & bit) == 0;
        out[std::string(text, ::strnlen(text, ETH_GSTRING_LEN))] = {(block.active & bit) != 0,
                                                                    !changeable};
    }
    return out;
}

/// Number of generic netlink family "netdev"; 0 on kernels before 6.3.
std::uint16_t netdev_family(NetlinkSocket& socket) {
    std::uint16_t family = 0;
    NetlinkRequest request(GENL_ID_CTRL, 0);
    request.header(genlmsghdr{CTRL_CMD_GETFAMILY, 1, 0}).put_text(CTRL_ATTR_FAMILY_NAME, "netdev");
    const auto reply = socket.exchange(std::move(request), [&](const NetlinkMessage& message) {
        for_each_attribute(message.attributes<genlmsghdr>(), [&](const Attribute& attribute) {
            if (attribute.type == CTRL_ATTR_FAMILY_ID) family = attribute.u16();
        });
    });
    return reply && reply->error == 0 ? family : std::uint16_t{0};
}

std::optional<std::uint64_t> xdp_features(NetlinkSocket& socket, std::uint16_t family,
                                          std::uint32_t ifindex) {
    std::optional<std::uint64_t> features;
    if (family == 0) return features;
    NetlinkRequest request(family, 0);
    request.header(genlmsghdr{kDevGet, 1, 0}).put_u32(kDevIfindex, ifindex);
    const auto reply = socket.exchange(std::move(request), [&](const NetlinkMessage& message) {
        for_each_attribute(message.attributes<genlmsghdr>(), [&](const Attribute& attribute) {
            if (attribute.type == kDevXdpFeatures) features = attribute.as<std::uint64_t>();
        });
    });
    return reply && reply->error == 0 ? features : std::nullopt;
}

/// Looking programs up by id takes CAP_SYS_ADMIN.
std::string program_name(std::uint32_t id) {
    if (id == 0) return {};
    const UniqueFd program(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    std::uint32_t len = sizeof info;
    if (!program.valid() || bpf_obj_get_info_by_fd(program.get(), &info, &len) != 0) return {};
    return {info.name, ::strnlen(info.name, sizeof info.name)};
}

void probe_ethtool(InterfaceFacts& facts) {
    const Ethtool ethtool(facts.name);
    facts.driver = ethtool.driver();
    const auto features = ethtool.features();
    const auto feature = [&](const char* name) -> std::optional<OffloadState> {
        const auto found = features.find(name);
        if (found == features.end()) return std::nullopt;
        return found->second;
    };
    facts.rx_vlan = feature("rx-vlan-hw-parse");
    facts.lro = feature("rx-lro");
    facts.gro_hw = feature("rx-gro-hw");
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    if (!ethtool.call(&channels)) return;
    facts.rx_queues = channels.combined_count + channels.rx_count;
    facts.rx_queues_max = std::max(channels.max_combined, channels.max_rx);
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
    auto generic = NetlinkSocket::open(NETLINK_GENERIC);
    const std::uint16_t family = generic ? netdev_family(*generic) : std::uint16_t{0};
    std::vector<InterfaceFacts> out;
    for (const std::string& name : wanted) {
        InterfaceFacts facts;
        facts.name = name;
        const auto found = links.find(name);
        if (found != links.end()) {
            facts.link = found->second;
            facts.xdp_program = program_name(found->second.xdp_prog_id);
            if (generic) facts.xdp_features = xdp_features(*generic, family, found->second.ifindex);
            probe_ethtool(facts);
        }
        out.push_back(std::move(facts));
    }
    return out;
}

}  // namespace sluice::kernel
