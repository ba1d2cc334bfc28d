// SPDX-License-Identifier: Apache-2.0
#include "kernel/nic_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/file.h"
#include "kernel/nic_netlink.h"

namespace sluice::kernel {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kMaxCpus = 8192;

/// Without the line's end; empty when it cannot be read.
std::string read_line(const std::string& path) {
    const auto text = read_whole_file(path);
    if (!text) return {};
    return text->substr(0, text->find('\n'));
}

std::optional<std::uint32_t> number_of(std::string_view text) {
    std::uint32_t value = 0;
    const char* end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || last != end) return std::nullopt;
    return value;
}

/// For whom it is all the same why not.
template <typename T>
std::optional<T> known(Result<T> read) {
    if (!read) return std::nullopt;
    return std::move(*read);
}

CpuList cpus_at(const std::string& path) {
    return parse_cpu_list(read_line(path)).value_or(CpuList{});
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> out;
    while (true) {
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        if (line.empty()) return out;
        const std::size_t len = std::min(line.find(' '), line.size());
        out.push_back(line.substr(0, len));
        line.remove_prefix(len);
    }
}

/// Interrupts that are none of a receive queue.
bool is_other_interrupt(std::string_view name) {
    constexpr std::string_view kOthers[] = {"output", "config", "async", "mgmnt", "misc",
                                            "fdir",   "ctrl",   "event", "-tx-",  "control"};
    return std::any_of(std::begin(kOthers), std::end(kOthers), [&](std::string_view other) {
        return name.find(other) != std::string_view::npos;
    });
}

/// "eth1-TxRx-0" names eth1, "eth10-TxRx-0" does not.
bool names(std::string_view name, const std::string& interface) {
    const std::size_t at = name.find(interface);
    if (at == std::string_view::npos) return false;
    const std::string_view rest = name.substr(at + interface.size());
    return rest.empty() || rest.front() < '0' || rest.front() > '9';
}

/// The number at the end of a name, before '@' if there is one.
std::optional<std::uint32_t> queue_of(std::string_view name) {
    name = name.substr(0, name.find('@'));
    const std::size_t last = name.find_last_not_of("0123456789");
    return number_of(name.substr(last == std::string_view::npos ? 0 : last + 1));
}

/// Below /sys/class/net/IFACE/device: virtio's own device sits in the PCI one.
fs::path device_with(const std::string& interface, const char* entry) {
    const fs::path device = fs::path("/sys/class/net") / interface / "device";
    std::error_code error;
    const fs::path real = fs::canonical(device, error);
    if (error) return {};
    for (const fs::path& place : {real, real.parent_path()})
        if (fs::exists(place / entry, error)) return place / entry;
    return {};
}

std::set<std::uint32_t> device_interrupts(const std::string& interface) {
    std::set<std::uint32_t> out;
    const fs::path directory = device_with(interface, "msi_irqs");
    std::error_code error;
    for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
        if (const auto number = number_of(it->path().filename().string())) out.insert(*number);
    return out;
}

bool runs(std::string_view program) {
    std::error_code error;
    for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
        if (!number_of(it->path().filename().string())) continue;
        if (read_line(it->path() / "comm") == program) return true;
    }
    return false;
}

}  // namespace

Result<CpuList> parse_cpu_list(std::string_view text) {
    CpuList out;
    const auto wrong = [&] { return fail(Errc::invalid, "is not a list of CPUs, as in 0-3,8"); };
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        const std::string_view item = rest.substr(0, comma);
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        const std::size_t dash = item.find('-');
        const auto first = number_of(item.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : number_of(item.substr(dash + 1));
        if (!first || !last || *last < *first || *last >= kMaxCpus) return wrong();
        for (std::uint32_t cpu = *first; cpu <= *last; ++cpu) out.push_back(cpu);
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

std::string text_of(const CpuList& cpus) {
    std::string out;
    for (std::size_t i = 0; i < cpus.size();) {
        std::size_t last = i;
        while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
        if (!out.empty()) out += ',';
        out += std::to_string(cpus[i]);
        if (last > i) out += '-' + std::to_string(cpus[last]);
        i = last + 1;
    }
    return out;
}

const CpuList& MachineLayout::near(std::optional<std::uint32_t> node) const {
    const auto found = node ? numa.find(*node) : numa.end();
    return found == numa.end() || found->second.empty() ? cpus : found->second;
}

std::map<std::uint32_t, std::uint32_t> parse_interrupts(std::string_view text,
                                                        const std::string& interface,
                                                        const std::set<std::uint32_t>& device) {
    std::map<std::uint32_t, std::uint32_t> out;
    std::optional<std::uint32_t> only;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const auto words = words_of(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (words.size() < 3 || !words.front().ends_with(':')) continue;
        const auto number = number_of(words.front().substr(0, words.front().size() - 1));
        const std::string_view name = words.back();
        if (!number || is_other_interrupt(name)) continue;
        if (device.empty() ? !names(name, interface) : !device.contains(*number)) continue;
        if (name == interface) {
            only = number;
            continue;
        }
        if (const auto queue = queue_of(name)) out.emplace(*queue, *number);
    }
    if (out.empty() && only) out[0] = *only;
    return out;
}

std::string affinity_path(std::uint32_t interrupt) {
    return fmt::format("/proc/irq/{}/smp_affinity_list", interrupt);
}

std::map<std::uint32_t, QueueInterrupt> read_interrupts(const std::string& interface,
                                                        std::uint32_t ifindex) {
    std::map<std::uint32_t, std::uint32_t> numbers;
    if (auto netlink = NicNetlink::open()) numbers = netlink->receive_interrupts(ifindex);
    if (numbers.empty())
        if (const auto text = read_whole_file("/proc/interrupts"))
            numbers = parse_interrupts(*text, interface, device_interrupts(interface));
    std::map<std::uint32_t, QueueInterrupt> out;
    for (const auto& [queue, number] : numbers)
        out[queue] = {number, cpus_at(affinity_path(number)),
                      cpus_at(fmt::format("/proc/irq/{}/effective_affinity_list", number))};
    return out;
}

NicLayout read_nic_layout(const std::string& interface, std::uint32_t ifindex) {
    NicLayout out;
    const Ethtool ethtool(interface);
    out.channels = known(ethtool.channels());
    out.rings = known(ethtool.rings());
    out.spread = known(ethtool.spread());
    for (const HashedFlow flow :
         {HashedFlow::tcp4, HashedFlow::udp4, HashedFlow::tcp6, HashedFlow::udp6})
        if (auto fields = ethtool.hashed_fields(flow)) out.hashed[flow] = *std::move(fields);
    if (auto features = ethtool.features()) out.features = *std::move(features);
    out.pause = ethtool.pause();
    out.coalescing = ethtool.coalescing();
    const fs::path node = device_with(interface, "numa_node");
    if (!node.empty()) out.numa_node = number_of(read_line(node));  // -1: there is none.
    out.interrupts = read_interrupts(interface, ifindex);
    return out;
}

MachineLayout read_machine_layout() {
    MachineLayout out;
    out.cpus = cpus_at("/sys/devices/system/cpu/online");
    for (const std::uint32_t node : cpus_at("/sys/devices/system/node/online"))
        out.numa[node] = cpus_at(fmt::format("/sys/devices/system/node/node{}/cpulist", node));
    out.irqbalance = runs("irqbalance");
    out.governor = read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    out.budget = number_of(read_line("/proc/sys/net/core/netdev_budget"));
    out.budget_usecs = number_of(read_line("/proc/sys/net/core/netdev_budget_usecs"));
    return out;
}

}  // namespace sluice::kernel
