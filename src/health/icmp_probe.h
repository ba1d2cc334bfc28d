// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One echo request over the socket that all share.

#include <string>
#include <utility>

#include "health/icmp_port.h"
#include "health/probe.h"

namespace sluice::health {

class IcmpProbe final : public Probe, private IcmpPort::User {
 public:
    IcmpProbe(IcmpPort& port, const Target& target, Owner& owner)
        : port_(port), target_(target), owner_(owner) {}
    ~IcmpProbe() override { stop(); }

    void start() override {
        Finding sent = port_.send(target_, *this, sequence_);
        is_waiting_ = sent.why == Why::passed;
        if (!is_waiting_) owner_.on_finding(std::move(sent));
    }
    void stop() override {
        if (is_waiting_) port_.forget(sequence_);
        is_waiting_ = false;
    }
    [[nodiscard]] std::string progress() const override { return "no answer"; }

 private:
    void on_icmp(Finding finding) override {
        is_waiting_ = false;
        owner_.on_finding(std::move(finding));
    }

    IcmpPort& port_;
    const Target& target_;
    Owner& owner_;
    std::uint16_t sequence_ = 0;
    bool is_waiting_ = false;
};

}  // namespace sluice::health
