// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The agent's data plane on a backend: strips the tunnels of known balancers in front of packets
/// for this host's VIPs (bpf/agent.bpf.c), on one or several interfaces.

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "kernel/bpf_object.h"
#include "kernel/xdp_link.h"

namespace sluice::kernel {

struct AgentOptions {
    std::vector<std::string> interfaces;
    std::vector<IpPrefix> vips;
    std::vector<IpPrefix> from;
    std::uint16_t gue_port = 6080;
    AttachMode mode = AttachMode::automatic;
    std::string bpffs;  ///< Directory of pins, "/sys/fs/bpf/sluice-agent/default"; empty: no pins.
};

struct AgentCounter {
    std::string reason;  ///< Label of reasons.def.
    std::string text;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
};

class Agent {
 public:
    /// Loads and attaches. Where an earlier agent of that directory left its pins (killed, or told
    /// to keep them), its links change over to the new program without a gap and its counters go
    /// on. Errors: conflict when that agent still runs; as attach_xdp and BpfObject::load.
    static Result<Agent> open(const AgentOptions& options);

    [[nodiscard]] const std::vector<Attachment>& attachments() const { return attachments_; }
    /// Reasons that an agent can give, zero counts included.
    [[nodiscard]] Result<std::vector<AgentCounter>> counters() const;
    /// The same from the pins of a running agent. Errc::not_found when there is none.
    static Result<std::vector<AgentCounter>> counters_of(const std::string& bpffs);

    /// Attaches where an interface was made anew since; names those that could not be.
    std::vector<std::string> attach_again();

    /// Ends without detaching: the pinned links go on. Without pins this is an error.
    Result<void> keep();
    /// Takes everything of a pinned agent away. Errc::conflict while it runs.
    static Result<void> remove(const std::string& bpffs);

    Agent(Agent&&) noexcept = default;
    Agent& operator=(Agent&&) = delete;
    ~Agent();

 private:
    Agent(BpfObject object, AgentOptions options)
        : object_(std::move(object)), options_(std::move(options)) {}
    Result<void> pin_counters();
    Result<void> attach(const std::string& interface);
    Result<XdpLink> take_over(const std::string& interface, std::uint32_t ifindex) const;
    void drop_other_links() const;
    [[nodiscard]] std::string link_pin(std::uint32_t ifindex) const;

    BpfObject object_;
    AgentOptions options_;
    UniqueFd lock_;
    std::vector<UniqueFd> links_;  ///< Parallel to attachments_.
    std::vector<Attachment> attachments_;
    bool kept_ = false;
};

}  // namespace sluice::kernel
