// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One datagram and its answer: any protocol's bytes, or DNS.

#include <cstdint>
#include <string>

#include "health/probe.h"

namespace sluice::health {

class UdpProbe final : public Probe {
 public:
    UdpProbe(Reactor& reactor, const Target& target, Owner& owner);

    void start() override;
    void stop() override;
    [[nodiscard]] std::string progress() const override;

 private:
    void on_events();
    /// Whether that was the answer; the owner is told then.
    bool judge(std::string_view datagram);

    const Target& target_;
    Owner& owner_;
    Watch watch_;
    UniqueFd fd_;
    std::uint16_t dns_id_ = 0;
    unsigned strays_ = 0;
};

}  // namespace sluice::health
