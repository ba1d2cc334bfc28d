// SPDX-License-Identifier: Apache-2.0
#include "node/losses.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "kernel/probe.h"

namespace sluice::node {
namespace {

using Kind = NicCounterKind;

/// A counter that tells of losses, and what is to be done about them.
struct LossKind {
    Kind kind;
    LossLayer layer;
    const char* remedy;
};

constexpr LossKind kLossKinds[] = {
    {Kind::rx_missed, LossLayer::hardware,
     "the NIC's ring was full: more queues, larger rings or more CPUs (sluice node tune)"},
    {Kind::rx_crc_errors, LossLayer::hardware, "look at cable, optics and the peer's port"},
    {Kind::rx_length_errors, LossLayer::hardware,
     "frames longer than this interface takes: make the peer's MTU and this one equal"},
    {Kind::allowance_exceeded, LossLayer::hardware,
     "the cloud's limits for this machine are reached: a larger type, or more machines"},
    {Kind::rx_no_buffer, LossLayer::driver,
     "memory was not had in time: raise vm.min_free_kbytes, and look at the NIC's NUMA node"},
    {Kind::tx_dropped, LossLayer::driver,
     "Linux could not send: larger transmit rings (sluice node tune); is the link up?"},
    {Kind::tx_errors, LossLayer::driver, "ethtool -S names the fault; look at link and peer"},
    {Kind::rx_xdp_errors, LossLayer::xdp,
     "a program or its redirect failed: sluice reasons --all; report what names no reason"},
    {Kind::rx_xdp_tx_errors, LossLayer::xdp,
     "no room to send: larger transmit rings, a transmit queue for each CPU (sluice node tune)"},
    {Kind::tx_xdp_errors, LossLayer::xdp,
     "no room to send: larger transmit rings, a transmit queue for each CPU (sluice node tune)"},
};

constexpr const char* kOtherErrors = "ethtool -S names the fault";
constexpr const char* kDropped =
    "Linux dropped what Sluice passed on, or the driver did: look for packets that are for "
    "nobody, and at nstat";
constexpr const char* kBacklog =
    "no CPU left: spread over more queues and CPUs (sluice node tune), or raise "
    "net.core.netdev_max_backlog";
constexpr const char* kSqueezed =
    "work was left when the CPU's time was over: spread over more CPUs, or raise "
    "net.core.netdev_budget_usecs";

/// Drivers whose rx_dropped counts what other counters count as well.
struct Overlap {
    std::string_view driver;
    bool xdp_drops = false;
    bool missed = false;
};

// drivers/net/virtio_net.c: a frame that XDP drops leaves by the same way as one that fails.
// ice_main.c, i40e_main.c: rx_dropped is what the hardware discarded.
constexpr Overlap kOverlaps[] = {
    {.driver = "virtio_net", .xdp_drops = true},
    {.driver = "ice", .missed = true},
    {.driver = "i40e", .missed = true},
};

Overlap overlap_of(std::string_view driver) {
    for (const Overlap& overlap : kOverlaps)
        if (overlap.driver == driver) return overlap;
    return {};
}

/// One kind as one source counts it.
struct Count {
    std::map<std::uint32_t, std::uint64_t> queues;
    std::uint64_t whole = 0;

    [[nodiscard]] std::uint64_t of_queues() const {
        std::uint64_t sum = 0;
        for (const auto& [queue, value] : queues) sum += value;
        return sum;
    }
    [[nodiscard]] std::uint64_t total() const { return std::max(whole, of_queues()); }
};

std::uint64_t less(std::uint64_t from, std::uint64_t what) {
    return from - std::min(from, what);
}

/// The counters of one interface by kind and source.
class InterfaceLosses {
 public:
    InterfaceLosses(const LossCounts::Interface& interface, const std::vector<NicCounter>& nic)
        : name_(interface.name), overlap_(overlap_of(interface.driver)) {
        for (const NicCounter& counter : nic) {
            if (counter.interface != name_) continue;
            Count& count = counts_[{counter.kind, counter.source}];
            if (counter.queue)
                count.queues[*counter.queue] = counter.value;
            else
                count.whole = counter.value;
        }
    }

    void add_to(std::vector<Loss>& out) const {
        for (const LossKind& kind : kLossKinds) {
            const auto source = best_source(kind.kind);
            if (source) add(out, kind, *source, counts_.at({kind.kind, *source}));
        }
        add_other_errors(out);
        add_dropped(out);
    }

 private:
    /// The source that knows most; of equals the one that is closest to the hardware.
    [[nodiscard]] std::optional<NicSource> best_source(Kind kind) const {
        std::optional<NicSource> best;
        std::uint64_t most = 0;
        for (const NicSource source : {NicSource::driver, NicSource::netdev,
                                       NicSource::ethtool_standard, NicSource::rtnetlink}) {
            const auto found = counts_.find({kind, source});
            if (found == counts_.end() || (best && found->second.total() <= most)) continue;
            best = source;
            most = found->second.total();
        }
        return best;
    }

    [[nodiscard]] Count count(Kind kind, NicSource source) const {
        const auto found = counts_.find({kind, source});
        return found == counts_.end() ? Count{} : found->second;
    }

    [[nodiscard]] std::uint64_t most(Kind kind) const {
        const auto source = best_source(kind);
        return source ? count(kind, *source).total() : 0;
    }

    void add(std::vector<Loss>& out, const LossKind& kind, NicSource source,
             const Count& count) const {
        const auto row = [&](std::optional<std::uint32_t> queue, std::uint64_t packets) {
            if (packets == 0) return;
            Loss loss;
            loss.layer = kind.layer;
            loss.interface = name_;
            loss.queue = queue;
            loss.counter = name_of(kind.kind);
            loss.source = name_of(source);
            loss.packets = packets;
            loss.remedy = kind.remedy;
            out.push_back(std::move(loss));
        };
        for (const auto& [queue, packets] : count.queues) row(queue, packets);
        row(std::nullopt, less(count.whole, count.of_queues()));
    }

    /// rx_errors is the sum of all faults, of which some have counters of their own.
    void add_other_errors(std::vector<Loss>& out) const {
        const auto source = best_source(Kind::rx_errors);
        if (!source) return;
        Count other;
        other.whole = less(count(Kind::rx_errors, *source).total(),
                           most(Kind::rx_crc_errors) + most(Kind::rx_length_errors) +
                               count(Kind::rx_missed, NicSource::rtnetlink).total());
        add(out, {Kind::rx_errors, LossLayer::hardware, kOtherErrors}, *source, other);
    }

    void add_dropped(std::vector<Loss>& out) const {
        const LossKind kind{Kind::rx_dropped, LossLayer::driver, kDropped};
        const bool has_own = counts_.contains({Kind::rx_dropped, NicSource::driver});
        const NicSource source = has_own ? NicSource::driver : NicSource::rtnetlink;
        Count dropped = count(Kind::rx_dropped, source);
        const Count by_xdp =
            overlap_.xdp_drops ? count(Kind::rx_xdp_drop, NicSource::driver) : Count{};
        for (auto& [queue, packets] : dropped.queues) {
            const auto found = by_xdp.queues.find(queue);
            if (found != by_xdp.queues.end()) packets = less(packets, found->second);
        }
        dropped.whole = less(dropped.whole, by_xdp.total());
        if (overlap_.missed) dropped.whole = less(dropped.whole, most(Kind::rx_missed));
        add(out, kind, source, dropped);
    }

    std::string name_;
    Overlap overlap_;
    std::map<std::pair<Kind, NicSource>, Count> counts_;
};

void add_backlog(std::vector<Loss>& out, const CpuBacklog& backlog) {
    Loss loss;
    loss.layer = LossLayer::cpu;
    loss.cpu = backlog.cpu;
    loss.source = "softnet";
    loss.counter = "backlog_full";
    loss.packets = backlog.dropped;
    loss.remedy = kBacklog;
    if (loss.packets > 0) out.push_back(loss);
    loss.counter = "time_squeezed";
    loss.packets = backlog.time_squeezed;
    loss.remedy = kSqueezed;
    loss.is_loss = false;
    if (loss.packets > 0) out.push_back(loss);
}

}  // namespace

const char* name_of(LossLayer layer) {
    switch (layer) {
        case LossLayer::hardware:
            return "hardware";
        case LossLayer::driver:
            return "driver";
        case LossLayer::xdp:
            return "xdp";
        case LossLayer::cpu:
            return "cpu";
        case LossLayer::decision:
            return "decision";
    }
    return "decision";
}

const char* text_of(LossLayer layer) {
    switch (layer) {
        case LossLayer::hardware:
            return "the NIC had no room, or refused the frame";
        case LossLayer::driver:
            return "the driver or Linux had no memory or no taker";
        case LossLayer::xdp:
            return "decided, and then not sent: no room, or it failed";
        case LossLayer::cpu:
            return "no CPU left: a backlog was full";
        case LossLayer::decision:
            return "Sluice dropped it, for a reason";
    }
    return "";
}

std::vector<Loss> losses(const LossCounts& counts) {
    std::vector<Loss> out;
    for (const LossCounts::Interface& interface : counts.interfaces)
        InterfaceLosses(interface, counts.nic).add_to(out);
    for (const CpuBacklog& backlog : counts.backlogs) add_backlog(out, backlog);
    for (const LossCounts::Decision& decision : counts.decisions) {
        Loss loss;
        loss.layer = LossLayer::decision;
        loss.counter = decision.reason;
        loss.source = "reasons";
        loss.packets = decision.packets;
        loss.remedy = decision.remedy;
        if (loss.packets > 0) out.push_back(std::move(loss));
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const Loss& a, const Loss& b) { return a.layer < b.layer; });
    return out;
}

Result<LossCounts> read_losses(const std::vector<std::string>& interfaces) {
    LossCounts out;
    for (const std::string& name : interfaces)
        out.interfaces.push_back({name, kernel::driver_of(name)});
    out.nic = SLC_TRY(read_nic_counters(interfaces), "losses");
    out.backlogs = SLC_TRY(read_cpu_backlogs(), "losses");
    return out;
}

}  // namespace sluice::node
