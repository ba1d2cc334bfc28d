// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Who else answers for the VIPs of this node. A backend that has a VIP on an interface and answers
/// ARP or neighbour discovery for it (arp_ignore=0) draws traffic past the balancer; so does
/// another machine with the same address. Neighbours are listened to, and asked at a slow pace, one
/// VIP at a time: who is silent until somebody asks is found too.
///
///   auto watch = VipWatch::open();
///   watch->follow(interfaces, vips, now);
///   loop: when fd() is readable, process(now); at what tick() returned, tick(now)
///
/// Owned by the controller, on its thread. Nothing blocks.
///
/// Of two balancers that take turns (VRRP) only the one in charge follows its VIPs: the other one
/// hears the first all the time, and has nothing to complain of. Virtual MAC addresses of VRRP
/// (RFC 9568 7.3) are nobody's conflict, whoever uses them.
///
/// Invariants:
///  - What neighbours send costs a bounded amount: a classic BPF program lets through what speaks
///  of
///    VIPs only, so much of it is read in a second, and so many conflicts are kept.
///  - What is malformed is ignored. Nothing that is sent here makes a neighbour believe anything.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/neighbour_packet.h"

namespace sluice::kernel {

/// Somebody else answers for a VIP.
struct VipConflict {
    IpAddress vip;
    std::string interface;  ///< Through which it was heard.
    MacAddress mac;
    NeighbourClaim::Kind kind = NeighbourClaim::Kind::arp_reply;  ///< Of the newest.
    std::chrono::system_clock::time_point since;
    std::chrono::system_clock::time_point last;
    std::uint64_t count = 0;
};

struct VipWatchOptions {
    std::uint32_t asks_per_second =
        10;  ///< At most, over all VIPs and interfaces; 0: only listens.
    std::chrono::seconds ask_every{60};   ///< The same VIP through the same interface.
    bool asks_everywhere = false;         ///< Where no subnet of the interface has the VIP, too.
    std::uint32_t most_per_second = 500;  ///< Frames that are looked at.
    std::size_t most_conflicts = 256;
    std::chrono::seconds forget_after{600};  ///< Without having been heard again.
};

struct VipWatchCounts {
    std::uint64_t heard = 0;    ///< Frames about VIPs.
    std::uint64_t skipped = 0;  ///< Beyond most_per_second: not looked at.
    std::uint64_t asked = 0;
    std::uint64_t unsent = 0;  ///< Questions that an interface did not take.
    std::uint64_t unkept = 0;  ///< Heard of a conflict for which there was no room.
};

class VipWatch {
 public:
    using Time = std::chrono::steady_clock::time_point;

    /// Errors: denied without CAP_NET_RAW.
    static Result<std::unique_ptr<VipWatch>> open(VipWatchOptions options = {});

    /// From now on these VIPs through these interfaces, by name; one that is not there is followed
    /// when it comes. Conflicts of others are forgotten. VIP prefixes are nobody's neighbour: only
    /// addresses. Errors: system, when the kernel refuses the filter.
    Result<void> follow(std::vector<std::string> interfaces, std::vector<IpAddress> vips, Time now);

    /// Readable when process() has something to read.
    [[nodiscard]] int fd() const { return epoll_.get(); }
    /// Reads a bounded part of what has come. Conflicts that are new.
    std::vector<VipConflict> process(Time now);
    /// Asks what is due, forgets, looks at interfaces anew. When to call it again.
    Time tick(Time now);

    [[nodiscard]] std::vector<VipConflict> conflicts() const;
    [[nodiscard]] const VipWatchCounts& counts() const { return counts_; }

 private:
    struct Interface {
        int index = 0;
        MacAddress mac;
        std::vector<IpPrefix> subnets;
        IpAddress source6;  ///< Unspecified: it has no IPv6.
    };
    struct Question {
        std::string interface;
        IpAddress vip;
        Time due;
    };
    struct Key {
        IpAddress vip;
        std::string interface;
        MacAddress mac;
        auto operator<=>(const Key&) const = default;
    };
    struct Kept {
        VipConflict conflict;
        Time last;
    };

    explicit VipWatch(VipWatchOptions options) : options_(options) {}
    Result<void> open_sockets();
    Result<void> filter();
    void look_at_interfaces(Time now);
    void plan_questions(Time now);
    [[nodiscard]] bool is_asked(const Interface& interface, const IpAddress& vip) const;
    void ask(const Question& question);
    void hear(const NeighbourClaim& claim, int ifindex, Time now, std::vector<VipConflict>& fresh);
    [[nodiscard]] bool may_look(Time now);

    VipWatchOptions options_;
    UniqueFd epoll_, arp_, discovery_;
    std::vector<std::string> names_;
    std::set<IpAddress> vips_;
    std::map<std::string, Interface> interfaces_;
    std::set<MacAddress> own_;  ///< Of all interfaces of this node.
    std::vector<Question> questions_;
    std::size_t next_question_ = 0;
    std::map<Key, Kept> kept_;
    VipWatchCounts counts_;
    Time looked_at_{};  ///< Interfaces, last.
    Time second_{};     ///< Begin of the second that `looked_` counts in.
    std::uint32_t looked_ = 0;
};

/// Tells all neighbours of an interface that these VIPs are here, or at `mac` if it is not zero:
/// gratuitous ARP and unsolicited neighbour advertisements. For the balancer that takes over, which
/// does so a few times: a link that has just come up loses the first ones.
/// Errors: not_found, denied; the first one.
Result<void> announce_to_neighbours(const std::string& interface, std::span<const IpAddress> vips,
                                    const MacAddress& mac = {});

}  // namespace sluice::kernel
