// SPDX-License-Identifier: Apache-2.0
#include "node/nic_port.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/file.h"
#include "base/unique_fd.h"
#include "kernel/ethtool.h"
#include "kernel/nic_layout.h"
#include "kernel/probe.h"
#include "node/losses.h"
#include "node/tuning.h"

namespace sluice::node {
namespace {

using kernel::Ethtool;
using kernel::HashedFlow;

/// A setting's name in its two parts: "affinity", "3".
struct Setting {
    std::string kind;
    std::string item;
};

Setting split(const std::string& setting) {
    const std::size_t space = setting.find(' ');
    if (space == std::string::npos) return {setting, {}};
    return {setting.substr(0, space), setting.substr(space + 1)};
}

tl::unexpected<Error> absent(const std::string& interface, const std::string& setting) {
    return fail(Errc::unsupported, fmt::format("{} has no setting '{}'", interface, setting));
}

/// False too when the kernel does not say.
bool is_up(const std::string& interface) {
    ifreq request{};
    if (interface.size() >= sizeof request.ifr_name) return false;
    std::copy(interface.begin(), interface.end(), request.ifr_name);
    const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return fd.valid() && ::ioctl(fd.get(), SIOCGIFFLAGS, &request) == 0 &&
           (request.ifr_flags & IFF_UP) != 0;
}

std::optional<HashedFlow> flow_of(const std::string& name) {
    if (name == "tcp4") return HashedFlow::tcp4;
    if (name == "udp4") return HashedFlow::udp4;
    if (name == "tcp6") return HashedFlow::tcp6;
    if (name == "udp6") return HashedFlow::udp6;
    return std::nullopt;
}

std::optional<kernel::QueueInterrupt> interrupt_of(const std::string& interface,
                                                   const std::string& queue) {
    std::uint32_t number = 0;
    const char* end = queue.data() + queue.size();
    const auto [last, error] = std::from_chars(queue.data(), end, number);
    if (error != std::errc() || last != end) return std::nullopt;
    const auto all = kernel::read_interrupts(interface, ::if_nametoindex(interface.c_str()));
    const auto found = all.find(number);
    if (found == all.end()) return std::nullopt;
    return found->second;
}

Result<std::string> read_spread(const Ethtool& ethtool) {
    const auto spread = SLC_TRY(ethtool.spread(), "spread");
    const auto channels = ethtool.channels();
    if (!channels && channels.error().code != Errc::unsupported) return fail(channels.error());
    return text_of(spread.table, channels ? channels->receiving() : 0);
}

Result<std::string> read_affinity(const std::string& interface, const std::string& queue) {
    // Without it no interrupt would be found, which says nothing about the device.
    if (const auto text = read_whole_file("/proc/interrupts"); !text) return fail(text.error());
    const auto interrupt = interrupt_of(interface, queue);
    if (!interrupt) return absent(interface, "affinity " + queue);
    if (interrupt->allowed.empty())
        return fail(Errc::system,
                    "nothing can be read from " + kernel::affinity_path(interrupt->number));
    return kernel::text_of(interrupt->allowed);
}

/// Errc::unsupported also from a device that does not say because it is down.
Result<std::string> read_setting(const std::string& interface, const std::string& setting) {
    const Setting what = split(setting);
    const Ethtool ethtool(interface);
    if (what.kind == "channels") return text_of(SLC_TRY(ethtool.channels(), setting));
    if (what.kind == "rings") return text_of(SLC_TRY(ethtool.rings(), setting));
    if (what.kind == "spread") return read_spread(ethtool);
    if (what.kind == "affinity") return read_affinity(interface, what.item);
    if (what.kind == "feature") {
        const auto features = SLC_TRY(ethtool.features(), setting);
        const auto found = features.find(what.item);
        if (found != features.end()) return std::string(found->second.active ? "on" : "off");
    }
    const auto flow = flow_of(what.item);
    if (what.kind == "hash" && flow) return ethtool.hashed_fields(*flow);
    return absent(interface, setting);
}

/// What cannot be replaced whole by a rename: a file of the kernel.
Result<void> write_setting(const std::string& path, const std::string& value) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) {
        const int saved = errno;
        return fail(sys_error(saved, "open " + path));
    }
    const ssize_t written = ::write(fd.get(), value.data(), value.size());
    const int saved = errno;
    if (written < 0)
        return fail(sys_error(saved, "write " + path)
                        .advise("the kernel may manage this interrupt itself, which is as good"));
    return {};
}

Result<void> write_affinity(const std::string& interface, const std::string& queue,
                            const std::string& value) {
    const auto interrupt = interrupt_of(interface, queue);
    if (!interrupt) return absent(interface, "affinity " + queue);
    return write_setting(kernel::affinity_path(interrupt->number), value);
}

}  // namespace

Result<std::string> KernelNicPort::read(const std::string& interface, const std::string& setting) {
    auto value = read_setting(interface, setting);
    if (value || value.error().code != Errc::unsupported || is_up(interface)) return value;
    // Drivers give interrupts, queues and more back while the interface is down.
    return fail(Errc::unreachable, interface + " does not say while it is down");
}

Result<void> KernelNicPort::write(const std::string& interface, const std::string& setting,
                                  const std::string& value) {
    const Setting what = split(setting);
    const Ethtool ethtool(interface);
    if (what.kind == "channels")
        return ethtool.set_channels(SLC_TRY(parse_channels(value), interface));
    if (what.kind == "rings") return ethtool.set_rings(SLC_TRY(parse_rings(value), interface));
    if (what.kind == "spread")
        return ethtool.set_spread_table(SLC_TRY(parse_table(value), interface));
    if (what.kind == "feature") return ethtool.set_feature(what.item, value == "on");
    if (what.kind == "affinity") return write_affinity(interface, what.item, value);
    const auto flow = flow_of(what.item);
    if (what.kind == "hash" && flow) return ethtool.set_hashed_fields(*flow, value);
    return absent(interface, setting);
}

std::optional<std::string> KernelNicPort::name_of(std::uint32_t ifindex) {
    char name[IF_NAMESIZE] = {};
    if (::if_indextoname(ifindex, name) == nullptr) return std::nullopt;
    return std::string(name);
}

std::string KernelNicPort::driver_of(const std::string& interface) {
    return kernel::driver_of(interface);
}

bool KernelNicPort::has_xdp(const std::string& interface) {
    const auto facts = kernel::probe_interfaces({interface});
    return facts && !facts->empty() && facts->front().link &&
           !facts->front().link->xdp_mode.empty();
}

Result<std::vector<TunedNic>> read_nics(const std::vector<std::string>& interfaces) {
    std::vector<TunedNic> out;
    for (auto& facts : SLC_TRY(kernel::probe_interfaces(interfaces), "read NICs")) {
        if (!facts.link)
            return fail(Errc::not_found, "there is no interface " + facts.name,
                        "'ip link' lists the interfaces of this node");
        TunedNic nic;
        nic.name = facts.name;
        nic.ifindex = facts.link->ifindex;
        nic.driver = facts.driver;
        nic.has_xdp = !facts.link->xdp_mode.empty();
        nic.layout = std::move(facts.layout);
        out.push_back(std::move(nic));
    }
    const LossCounts counts = SLC_TRY(read_losses(interfaces), "read NICs");
    for (const Loss& loss : losses(counts))
        for (TunedNic& nic : out) {
            if (loss.interface != nic.name) continue;
            if (loss.counter == "rx_missed") nic.rx_lost += loss.packets;
            if (loss.counter == "rx_xdp_tx_errors" || loss.counter == "tx_xdp_errors")
                nic.tx_lost += loss.packets;
        }
    return out;
}

}  // namespace sluice::node
