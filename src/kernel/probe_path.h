// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How probes of health checks go to a VIP at one very backend: as clients' packets do, with the
/// header in front that the balancer would give them.
///
///   checker: SO_MARK = mark_of(member) --> route to the VIP --> egress of its interface
///                                                                     |  bpf/probe.bpf.c
///             backend <-- interface of the template <-- outer header <'
///
///   auto path = SLC_TRY(ProbePath::open(members, isa), "probes");
///   path->set(member, template); path->follow(SLC_TRY(probe_interfaces(vips), "probes"));
///
/// Belongs to the daemon that opened it: nothing is pinned, and with the object the program leaves
/// all interfaces. A marked packet of a member without a template is dropped and counted; what is
/// not marked is never touched. A probe is no flow: it carries no source entropy, and what does not
/// fit the egress' MTU with its outer header is lost, so that large requests do not arrive.
///
/// Two daemons of one network namespace cannot both have one interface: their members' numbers are
/// the same. The second one replaces the first, which follow() tells it.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "kernel/bpf_object.h"
#include "kernel/tc_filter.h"
#include "sluice/probe.h"

namespace sluice::kernel {

/// Marked packets by enum slc_probe_outcome, of all interfaces.
struct ProbeCounts {
    std::uint64_t sent = 0;
    std::uint64_t no_target = 0;
    std::uint64_t not_ip = 0;
    std::uint64_t no_room = 0;
    bool operator==(const ProbeCounts&) const = default;
};

class ProbePath {
 public:
    /// Loads program and maps; nothing is attached. Errors: those of BpfObject::load.
    static Result<std::unique_ptr<ProbePath>> open(std::uint32_t max_members, InstructionSet isa);
    ProbePath(const ProbePath&) = delete;
    ProbePath& operator=(const ProbePath&) = delete;
    ~ProbePath() = default;

    /// Attached to the egress of these, and of no others; again where an interface came back or
    /// somebody removed the filter. All that can be attached is; the error tells of the others by
    /// name, and calling again tries them again.
    Result<void> follow(const std::set<std::string>& interfaces);

    /// The template is copied. Errc::limit beyond `max_members`.
    Result<void> set(std::uint32_t member, const slc_template& tmpl);
    void erase(std::uint32_t member);
    void keep_only(const std::set<std::uint32_t>& members);

    [[nodiscard]] ProbeCounts counts() const;
    /// Of every packet of a probe of this member.
    static std::uint32_t mark_of(std::uint32_t member) {
        return SLC_PROBE_MARK | (member & SLC_PROBE_MEMBER_MASK);
    }
    /// For test runs.
    [[nodiscard]] int program_fd() const;

 private:
    explicit ProbePath(BpfObject object) : object_(std::move(object)) {}
    Result<void> attach(const std::string& interface);

    BpfObject object_;
    std::set<std::uint32_t> members_;  ///< That have an entry.
    std::map<std::string, std::unique_ptr<TcFilter>> filters_;
};

/// What the routing tables say of a marked packet to one VIP.
struct ProbeRoute {
    IpAddress vip;
    std::string refused = {};  ///< Why there is no route; empty if there is one.
    bool is_local = false;     ///< An address of this node: leaves by lo.
    /// That backends can answer to; unspecified: none. What Linux would choose; to a VIP that is
    /// this node's own it would choose the VIP itself, so that probes must be bound to this one.
    IpAddress source = {};
    std::set<std::string> interfaces = {};  ///< All hops' of a multipath route.
};

/// One for each VIP, in their order. Of the calling thread's network namespace.
Result<std::vector<ProbeRoute>> probe_routes(const std::vector<IpAddress>& vips);

/// The interfaces that probes of these VIPs leave by. A VIP without a route has none: its checks
/// fail and say so.
Result<std::set<std::string>> probe_interfaces(const std::vector<IpAddress>& vips);

}  // namespace sluice::kernel
