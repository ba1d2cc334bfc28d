// SPDX-License-Identifier: Apache-2.0
#include "node/tuning.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>

namespace sluice::node {
namespace {

using kernel::Channels;
using kernel::CpuList;
using kernel::HashedFlow;
using kernel::RingSizes;

/// Descriptors of a ring: enough for a burst, and small enough to stay in the CPU's cache.
constexpr std::uint32_t kUsualRing = 1024;
/// Of one that has been full.
constexpr std::uint32_t kLargeRing = 4096;
constexpr const char* kEqual = "equal";
constexpr const char* kAllFields = "sdfn";

/// What a driver refuses of its queues while an XDP program is attached.
enum class Refuses { nothing, fewer, any };

/// What a driver does for a change. Others are taken to reset the link for all of it.
struct DriverHabits {
    std::string_view name;
    bool channels_reset = true;
    bool rings_reset = true;
    bool features_reset = true;
    Refuses with_xdp = Refuses::nothing;
    std::uint32_t xdp_takes = 1;  ///< XDP needs so many queues for each that receives.
};

// drivers/net/virtio_net.c: the host is told how many queues to use; rings are reset one by one.
// drivers/net/veth.c: the carrier goes down for a change of queues; with XDP there may be no fewer
// than the peer sends by. drivers/net/ethernet/amazon/ena: half of the queues send for XDP.
// The Intel and Mellanox drivers turn merging off by making the queues anew, but VLAN tags on the
// wire (not ixgbe's) and merging in virtio_net without that.
constexpr DriverHabits kDrivers[] = {
    {.name = "virtio_net",
     .channels_reset = false,
     .rings_reset = true,
     .features_reset = false,
     .with_xdp = Refuses::any},
    {.name = "veth", .features_reset = false, .with_xdp = Refuses::fewer},
    {.name = "ena", .xdp_takes = 2},
    {.name = "ice", .features_reset = false},
    {.name = "i40e", .features_reset = false},
};

DriverHabits habits_of(std::string_view driver) {
    for (const DriverHabits& habits : kDrivers)
        if (habits.name == driver) return habits;
    return {};
}

const char* name_of(HashedFlow flow) {
    switch (flow) {
        case HashedFlow::tcp4:
            return "tcp4";
        case HashedFlow::udp4:
            return "udp4";
        case HashedFlow::tcp6:
            return "tcp6";
        case HashedFlow::udp6:
            return "udp6";
    }
    return "udp4";
}

/// A plan under construction: each part adds its steps.
class Planner {
 public:
    Planner(const TunedNic& nic, const kernel::MachineLayout& machine, const TuningWish& wish)
        : nic_(nic), machine_(machine), wish_(wish), habits_(habits_of(nic.driver)) {
        plan_.interface = nic.name;
        plan_.ifindex = nic.ifindex;
        plan_.allow_reset = wish.allow_reset;
        cpus_ = wish.cpus.empty() ? machine.near(nic.layout.numa_node) : wish.cpus;
        if (nic.layout.channels) queues_ = nic.layout.channels->receiving();
    }

    TuningPlan take() {
        plan_features();
        plan_spread();
        plan_channels();
        plan_rings();
        plan_hash();
        plan_affinity();
        add_notes();
        return std::move(plan_);
    }

 private:
    [[nodiscard]] bool refuses(const std::string& wanted) const {
        const auto channels = parse_channels(wanted);
        const bool is_fewer = channels && channels->receiving() < queues_;
        return habits_.with_xdp == Refuses::any || (habits_.with_xdp == Refuses::fewer && is_fewer);
    }

    /// False: it is refused as things are.
    bool add(TuningStep step) {
        if (step.present == step.wanted) return true;
        step.resets_link = resets_link(nic_.driver, step.setting);
        std::string because;
        if (nic_.has_xdp && step.setting == "channels" && refuses(step.wanted))
            because = nic_.driver +
                      " refuses it while XDP is attached: tune before sluiced "
                      "attaches, or after sluice detach";
        else if (nic_.has_xdp && step.resets_link && !wish_.allow_reset)
            because = "it resets the link while XDP handles packets: --allow-reset";
        if (because.empty())
            plan_.steps.push_back(std::move(step));
        else
            plan_.refused.push_back({std::move(step), because});
        return because.empty();
    }

    void plan_features() {
        struct Unwanted {
            const char* name;
            const char* why;
        };
        constexpr Unwanted kUnwanted[] = {
            {"rx-lro", "merged packets are too big to forward, and refused by XDP"},
            {"rx-gro-hw", "merged packets are too big to forward, and refused by XDP"},
            {"rx-vlan-hw-parse", "XDP must see VLAN tags"},
        };
        for (const Unwanted& feature : kUnwanted) {
            const auto found = nic_.layout.features.find(feature.name);
            if (found == nic_.layout.features.end() || !found->second.active) continue;
            if (found->second.fixed) {
                plan_.notes.push_back(fmt::format("{} is on and cannot be turned off here: {}",
                                                  feature.name, feature.why));
                continue;
            }
            add({.setting = fmt::format("feature {}", feature.name),
                 .present = "on",
                 .wanted = "off",
                 .why = feature.why,
                 .is_needed = true});
        }
    }

    /// Before the queues change: drivers refuse fewer queues than a table of somebody's own names.
    void plan_spread() {
        const auto& spread = nic_.layout.spread;
        if (!spread || spread->table.empty() || queues_ < 2) return;
        add({.setting = "spread",
             .present = text_of(spread->table, queues_),
             .wanted = kEqual,
             .why = "every queue gets its part of the packets"});
    }

    [[nodiscard]] std::uint32_t wanted_queues(std::uint32_t possible) const {
        if (wish_.queues > 0) return std::min(wish_.queues, possible);
        const auto all = static_cast<std::uint32_t>(machine_.cpus.size());
        const auto own = static_cast<std::uint32_t>(cpus_.size());
        // More than there are near the NIC, but not more than CPUs: somebody's choice, or enough.
        if (wish_.cpus.empty() && queues_ > own && queues_ <= all) return queues_;
        return std::max(1u, std::min(own, possible));
    }

    void plan_channels() {
        const auto& channels = nic_.layout.channels;
        if (!channels) return;
        Channels wanted = *channels;
        const bool is_combined = channels->max_combined > 0;
        const std::uint32_t possible = std::max(
            1u, (is_combined ? channels->max_combined : channels->max_rx) / habits_.xdp_takes);
        const std::uint32_t count = wanted_queues(possible);
        if (is_combined) {
            wanted.combined = count;
            wanted.rx = wanted.tx = 0;
        } else {
            // XDP has transmit rings of its own; veth refuses more than its peer receives by.
            wanted.rx = count;
        }
        if (wish_.queues == 0 && count < cpus_.size())
            plan_.notes.push_back(fmt::format(
                "{} for {} CPUs: it has no more",
                count == 1 ? "one queue" : fmt::format("{} queues", count), cpus_.size()));
        const bool may = add(
            {.setting = "channels",
             .present = text_of(*channels),
             .wanted = text_of(wanted),
             .why = fmt::format("a queue for each of {} CPUs ({})",
                                std::min<std::size_t>(count, cpus_.size()), kernel::text_of(cpus_)),
             .is_needed = true});
        if (may) queues_ = count;
    }

    static std::uint32_t wanted_ring(std::uint32_t present, std::uint32_t most, bool was_full) {
        return std::max(present, std::min(most, was_full ? kLargeRing : kUsualRing));
    }

    void plan_rings() {
        const auto& rings = nic_.layout.rings;
        if (!rings || rings->rx == 0) return;
        RingSizes wanted = *rings;
        wanted.rx = wanted_ring(rings->rx, rings->max_rx, nic_.rx_lost > 0);
        wanted.tx = wanted_ring(rings->tx, rings->max_tx, nic_.tx_lost > 0);
        std::string why = "room for a burst";
        if (nic_.rx_lost > 0 || nic_.tx_lost > 0)
            why = fmt::format("{} packets were lost to full rings", nic_.rx_lost + nic_.tx_lost);
        add({.setting = "rings",
             .present = text_of(*rings),
             .wanted = text_of(wanted),
             .why = why});
    }

    void plan_hash() {
        if (queues_ < 2) return;
        for (const auto& [flow, fields] : nic_.layout.hashed)
            if (fields.find('f') == std::string::npos)
                add({.setting = fmt::format("hash {}", name_of(flow)),
                     .present = fields,
                     .wanted = kAllFields,
                     .why = "flows between the same two hosts get queues of their own"});
    }

    void plan_affinity() {
        const auto& interrupts = nic_.layout.interrupts;
        // A device without interrupts of its own has none after the queues change either.
        if (interrupts.empty() || cpus_.empty()) return;
        const bool is_new = !plan_.steps.empty() &&
                            std::any_of(plan_.steps.begin(), plan_.steps.end(),
                                        [](const auto& s) { return s.setting == "channels"; });
        for (std::uint32_t queue = 0; queue < queues_; ++queue) {
            const auto found = interrupts.find(queue);
            if (found == interrupts.end() && !is_new) continue;
            std::string present;
            if (found != interrupts.end() && !is_new)
                present = kernel::text_of(found->second.allowed);
            const std::uint32_t cpu = cpus_[queue % cpus_.size()];
            add({.setting = fmt::format("affinity {}", queue),
                 .present = present,
                 .wanted = std::to_string(cpu),
                 .why = "a CPU of its own, the same one always"});
        }
    }

    void add_notes() {
        if (!nic_.layout.interrupts.empty() && machine_.irqbalance)
            plan_.notes.emplace_back(
                "irqbalance runs and will move interrupts again: stop it, or ban these");
        if (!nic_.layout.channels && !nic_.layout.rings && nic_.layout.interrupts.empty())
            plan_.notes.emplace_back("its driver has neither queues nor rings that can be changed");
        const CpuList& near = machine_.near(nic_.layout.numa_node);
        if (machine_.numa.size() > 1 && nic_.layout.numa_node && queues_ > near.size())
            plan_.notes.push_back(
                fmt::format("{} queues, {} CPUs on its NUMA node {}: --cpus {} stays on the node",
                            queues_, near.size(), *nic_.layout.numa_node, kernel::text_of(near)));
    }

    const TunedNic& nic_;
    const kernel::MachineLayout& machine_;
    const TuningWish& wish_;
    DriverHabits habits_;
    CpuList cpus_;
    std::uint32_t queues_ = 0;  ///< After the steps that are planned so far.
    TuningPlan plan_;
};

std::vector<std::string_view> words_of(std::string_view text, char separator) {
    std::vector<std::string_view> out;
    while (!text.empty()) {
        const std::size_t len = std::min(text.find(separator), text.size());
        out.push_back(text.substr(0, len));
        text.remove_prefix(std::min(len + 1, text.size()));
    }
    return out;
}

Result<std::uint32_t> number(std::string_view text) {
    std::uint32_t value = 0;
    const char* end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || last != end)
        return fail(Errc::invalid, fmt::format("'{}' is not a number", text));
    return value;
}

/// "rx 4 tx 4": pairs of a name that is known and a number.
Result<void> parse_pairs(const std::string& text,
                         const std::map<std::string_view, std::uint32_t*>& names) {
    const auto words = words_of(text, ' ');
    for (std::size_t i = 0; i < words.size(); i += 2) {
        const auto found = names.find(words[i]);
        if (found == names.end() || i + 1 == words.size())
            return fail(Errc::invalid, fmt::format("'{}' is no such setting", text));
        *found->second = SLC_TRY(number(words[i + 1]), text);
    }
    return {};
}

}  // namespace

bool resets_link(const std::string& driver, const std::string& setting) {
    const DriverHabits habits = habits_of(driver);
    if (setting == "channels") return habits.channels_reset;
    if (setting == "rings") return habits.rings_reset;
    if (setting.starts_with("feature ")) return habits.features_reset;
    return false;
}

TuningPlan plan_tuning(const TunedNic& nic, const kernel::MachineLayout& machine,
                       const TuningWish& wish) {
    return Planner(nic, machine, wish).take();
}

std::string text_of(const Channels& channels) {
    std::string out;
    const auto add = [&out](const char* name, std::uint32_t count) {
        if (count > 0) out += fmt::format("{}{} {}", out.empty() ? "" : " ", name, count);
    };
    add("rx", channels.rx);
    add("tx", channels.tx);
    add("other", channels.other);
    add("combined", channels.combined);
    return out.empty() ? "none" : out;
}

std::string text_of(const RingSizes& rings) {
    return fmt::format("rx {} tx {}", rings.rx, rings.tx);
}

std::string text_of(const std::vector<std::uint32_t>& table, std::uint32_t queues) {
    bool is_equal = queues > 0;
    for (std::size_t i = 0; i < table.size() && is_equal; ++i) is_equal = table[i] == i % queues;
    return is_equal ? kEqual : fmt::format("{}", fmt::join(table, ","));
}

Result<Channels> parse_channels(const std::string& text) {
    Channels out;
    if (text == "none") return out;
    SLC_CHECK(
        parse_pairs(
            text,
            {{"rx", &out.rx}, {"tx", &out.tx}, {"other", &out.other}, {"combined", &out.combined}}),
        "channels");
    return out;
}

Result<RingSizes> parse_rings(const std::string& text) {
    RingSizes out;
    SLC_CHECK(parse_pairs(text, {{"rx", &out.rx}, {"tx", &out.tx}}), "rings");
    return out;
}

Result<std::vector<std::uint32_t>> parse_table(const std::string& text) {
    std::vector<std::uint32_t> out;
    if (text == kEqual) return out;
    for (const std::string_view word : words_of(text, ','))
        out.push_back(SLC_TRY(number(word), "spread"));
    return out;
}

}  // namespace sluice::node
