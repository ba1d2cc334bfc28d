// SPDX-License-Identifier: Apache-2.0
#include "kernel/backend_setup.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/unique_fd.h"
#include "kernel/probe.h"
#include "kernel/rtnetlink.h"

namespace sluice::kernel {
namespace {

/// What an inner packet of a full-sized outer one has left on a network of MTU 1500, less its own
/// headers: 1500 - 40 (outer IPv6) - 12 (UDP and GUE) - 40 or 60 (inner IP and TCP), rounded down.
constexpr int kAdvMss4 = 1400;
constexpr int kAdvMss6 = 1380;

std::uint8_t family_of(const IpAddress& address) {
    return address.is_ip6 ? AF_INET6 : AF_INET;
}

// ---- sysctls ----

/// "ipv4", "all", "arp_ignore". Names of interfaces may have dots, so names come in parts.
struct Sysctl {
    std::string family;
    std::string interface;
    std::string name;

    [[nodiscard]] std::string path() const {
        return "/proc/sys/net/" + family + "/conf/" + interface + "/" + name;
    }
    /// As sysctl(8) writes it: a dot inside of a part becomes a slash.
    [[nodiscard]] std::string text() const {
        std::string part = interface;
        std::replace(part.begin(), part.end(), '.', '/');
        return "net." + family + ".conf." + part + "." + name;
    }
};

Result<int> read_sysctl(const Sysctl& sysctl) {
    const UniqueFd fd(::open(sysctl.path().c_str(), O_RDONLY | O_CLOEXEC));
    const int open_errno = errno;
    if (!fd.valid()) return fail(sys_error(open_errno, "read " + sysctl.text()));
    char text[32];
    const ssize_t len = ::read(fd.get(), text, sizeof text);
    const int read_errno = errno;
    if (len < 0) return fail(sys_error(read_errno, "read " + sysctl.text()));
    int value = 0;
    if (std::from_chars(text, text + len, value).ec != std::errc())
        return fail(Errc::system, "read " + sysctl.text() + ": not a number");
    return value;
}

Result<void> write_sysctl(const Sysctl& sysctl, int value) {
    const UniqueFd fd(::open(sysctl.path().c_str(), O_WRONLY | O_CLOEXEC));
    const int open_errno = errno;
    if (!fd.valid()) return fail(sys_error(open_errno, "write " + sysctl.text()));
    const std::string text = std::to_string(value);
    const ssize_t len = ::write(fd.get(), text.data(), text.size());
    const int write_errno = errno;
    if (len != static_cast<ssize_t>(text.size()))
        return fail(sys_error(write_errno, "write " + sysctl.text()));
    return {};
}

BackendStep sysctl_step(const Sysctl& sysctl, int value, std::string why,
                        std::function<Result<bool>()> check) {
    BackendStep step;
    step.command = "sysctl -w " + sysctl.text() + "=" + std::to_string(value);
    step.why = std::move(why);
    step.check = std::move(check);
    step.apply = [sysctl, value] { return write_sysctl(sysctl, value); };
    return step;
}

/// What the kernel uses of a setting that it takes the greater of, of "all" and the interface.
Result<int> effective(const std::string& interface, const std::string& name) {
    const int all = SLC_TRY(read_sysctl({"ipv4", "all", name}), "setting of all interfaces");
    const int own = SLC_TRY(read_sysctl({"ipv4", interface, name}), "setting of " + interface);
    return std::max(all, own);
}

void add_arp_steps(std::vector<BackendStep>& steps) {
    const auto at_least = [](const Sysctl& sysctl, int value) {
        return [sysctl, value]() -> Result<bool> {
            return SLC_TRY(read_sysctl(sysctl), "check") >= value;
        };
    };
    const Sysctl ignore{"ipv4", "all", "arp_ignore"};
    steps.push_back(sysctl_step(
        ignore, 1,
        "hosts on the same network ask who has the VIP: only the balancer's router may answer",
        at_least(ignore, 1)));
    const Sysctl announce{"ipv4", "all", "arp_announce"};
    steps.push_back(sysctl_step(announce, 2,
                                "own ARP requests must not carry the VIP as sender: neighbours "
                                "would learn this host for it",
                                at_least(announce, 2)));
}

void add_reverse_path_step(std::vector<BackendStep>& steps, const std::string& interface) {
    steps.push_back(sysctl_step(
        {"ipv4", interface, "rp_filter"}, 2,
        "a stripped packet has the client's source and may have come by another way than answers "
        "go: strict reverse path filtering drops it",
        [interface]() -> Result<bool> {
            return SLC_TRY(effective(interface, "rp_filter"), "check") != 1;
        }));
}

// ---- addresses ----

Result<std::uint32_t> loopback(NetlinkSocket& socket, bool& up) {
    NetlinkRequest request(RTM_GETLINK, 0);
    request.header(ifinfomsg{}).put_text(IFLA_IFNAME, "lo");
    std::uint32_t ifindex = 0;
    SLC_CHECK(socket.request(std::move(request), "find lo",
                             [&](const NetlinkMessage& message) {
                                 const auto link = parse_link(message);
                                 if (!link) return;
                                 ifindex = link->ifindex;
                                 up = link->up;
                             }),
              "loopback interface");
    return ifindex;
}

Result<bool> loopback_is_up() {
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "check lo");
    bool up = false;
    SLC_TRY(loopback(socket, up), "check lo");
    return up;
}

Result<void> raise_loopback() {
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "raise lo");
    bool up = false;
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(SLC_TRY(loopback(socket, up), "raise lo"));
    header.ifi_flags = header.ifi_change = IFF_UP;
    NetlinkRequest request(RTM_NEWLINK, 0);
    request.header(header);
    return socket.request(std::move(request), "raise lo");
}

/// On any interface: an address that the host has elsewhere answers as well.
Result<bool> has_address(const IpAddress& address) {
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "look for address");
    NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
    request.header(ifaddrmsg{});
    bool found = false;
    SLC_CHECK(socket.dump(
                  request, "list addresses", [&] { found = false; },
                  [&](const NetlinkMessage& message) {
                      const auto change = parse_address(message);
                      if (change && change->usable && change->entry.address == address)
                          found = true;
                  }),
              "look for address");
    return found;
}

Result<void> add_address(const IpAddress& address) {
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "add address");
    bool up = false;
    ifaddrmsg header{};
    header.ifa_family = family_of(address);
    header.ifa_prefixlen = address.bits();
    header.ifa_flags = address.is_ip6 ? IFA_F_NODAD : 0;
    header.ifa_index = SLC_TRY(loopback(socket, up), "add address");
    NetlinkRequest request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    request.header(header).put_address(IFA_LOCAL, address).put_address(IFA_ADDRESS, address);
    return socket.request(std::move(request), "add address");
}

/// A local route makes the host answer for every address of a prefix.
NetlinkRequest local_route(std::uint16_t type, std::uint16_t flags, const IpPrefix& prefix,
                           std::uint32_t lo) {
    rtmsg header{};
    header.rtm_family = family_of(prefix.address);
    header.rtm_dst_len = prefix.len;
    header.rtm_table = RT_TABLE_LOCAL;
    header.rtm_protocol = RTPROT_STATIC;
    header.rtm_scope = RT_SCOPE_HOST;
    header.rtm_type = RTN_LOCAL;
    NetlinkRequest request(type, flags);
    request.header(header).put_address(RTA_DST, prefix.address).put_u32(RTA_OIF, lo);
    return request;
}

Result<bool> has_local_route(const IpPrefix& prefix) {
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "look for route");
    rtmsg header{};
    header.rtm_family = family_of(prefix.address);
    NetlinkRequest request(RTM_GETROUTE, NLM_F_DUMP);
    request.header(header);
    bool found = false;
    SLC_CHECK(socket.dump(
                  request, "list routes", [&] { found = false; },
                  [&](const NetlinkMessage& message) {
                      const auto route = parse_route(message);
                      if (route && route->type == RTN_LOCAL && route->destination == prefix)
                          found = true;
                  }),
              "look for route");
    return found;
}

Result<void> add_local_route(const IpPrefix& prefix) {
    NetlinkSocket socket = SLC_TRY(NetlinkSocket::open(NETLINK_ROUTE), "add route");
    bool up = false;
    const std::uint32_t lo = SLC_TRY(loopback(socket, up), "add route");
    return socket.request(local_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, prefix, lo),
                          "add local route");
}

BackendStep vip_step(const IpPrefix& vip) {
    BackendStep step;
    if (vip.is_host()) {
        const IpAddress address = vip.address;
        step.command = "ip addr add " + vip.text() + " dev lo" + (address.is_ip6 ? " nodad" : "");
        step.why = "the host answers for the VIP, and no interface announces it";
        step.check = [address] { return has_address(address); };
        step.apply = [address] { return add_address(address); };
    } else {
        step.command = std::string("ip ") + (vip.address.is_ip6 ? "-6 " : "") + "route add local " +
                       vip.text() + " dev lo";
        step.why = "the host answers for every address of the prefix";
        step.check = [vip] { return has_local_route(vip); };
        step.apply = [vip] { return add_local_route(vip); };
    }
    return step;
}

// ---- advice ----

BackendStep advice(std::string command, std::string why) {
    BackendStep step;
    step.command = std::move(command);
    step.why = std::move(why);
    step.by_hand = true;
    return step;
}

void add_offload_advice(std::vector<BackendStep>& steps, const std::string& interface) {
    BackendStep lro =
        advice("ethtool -K " + interface + " lro off rx-gro-hw off",
               "a NIC that merges packets makes many drivers refuse XDP, and hides tunnels");
    lro.check = [interface]() -> Result<bool> {
        const auto facts = SLC_TRY(probe_interfaces({interface}), "check offloads");
        const auto merges = [](const std::optional<OffloadState>& one) {
            return one && one->active;
        };
        return !merges(facts.front().lro) && !merges(facts.front().gro_hw);
    };
    steps.push_back(std::move(lro));
    steps.push_back(advice("ethtool -K PEER tx off",
                           "only where " + interface +
                               " is a veth, at its other end: packets without checksums would be "
                               "stripped and refused"));
}

void add_mss_advice(std::vector<BackendStep>& steps, bool is_ip6) {
    const std::string ip = is_ip6 ? "ip -6 " : "ip ";
    steps.push_back(advice(
        ip + "route replace $(" + ip + "route show default | head -n 1) advmss " +
            std::to_string(is_ip6 ? kAdvMss6 : kAdvMss4),
        "clients then send segments that fit the tunnel; not needed where the network between "
        "balancer and backend carries 1600 bytes, nor with l2"));
}

}  // namespace

std::vector<BackendStep> backend_setup(const config::AgentConfig& config) {
    const auto has_family = [&](bool is_ip6) {
        return std::any_of(config.vips.begin(), config.vips.end(),
                           [&](const IpPrefix& vip) { return vip.address.is_ip6 == is_ip6; });
    };
    const bool ip4 = has_family(false);
    const bool ip6 = has_family(true);
    std::vector<BackendStep> steps;
    if (ip4) {
        add_arp_steps(steps);
        for (const auto& interface : config.interfaces) add_reverse_path_step(steps, interface);
    }
    if (ip6) {
        const Sysctl disabled{"ipv6", "lo", "disable_ipv6"};
        steps.push_back(sysctl_step(
            disabled, 0, "an IPv6 VIP lives on lo",
            [disabled]() -> Result<bool> { return SLC_TRY(read_sysctl(disabled), "check") == 0; }));
    }
    steps.push_back({"ip link set lo up", "addresses on lo work only while it is up", false,
                     loopback_is_up, raise_loopback});
    for (const IpPrefix& vip : config.vips) steps.push_back(vip_step(vip));
    for (const auto& interface : config.interfaces) add_offload_advice(steps, interface);
    if (ip4) add_mss_advice(steps, false);
    if (ip6) add_mss_advice(steps, true);
    return steps;
}

Result<std::vector<AppliedStep>> apply_backend_setup(const config::AgentConfig& config) {
    std::vector<AppliedStep> applied;
    for (const BackendStep& step : backend_setup(config)) {
        if (step.by_hand) continue;
        const bool done = SLC_TRY(step.check(), step.command);
        if (!done) {
            auto result = step.apply();
            if (!result)
                return fail(
                    std::move(result)
                        .error()
                        .in(step.command)
                        .advise("CAP_NET_ADMIN is needed; 'sluice agent print' shows all steps"));
        }
        applied.push_back({step.command, !done});
    }
    return applied;
}

}  // namespace sluice::kernel
