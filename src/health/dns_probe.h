// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One DNS query over TCP (RFC 7766). Over UDP it is UdpProbe's.

#include <cstdint>
#include <string>

#include "health/probe.h"
#include "health/stream.h"

namespace sluice::health {

class DnsTcpProbe final : public Probe, private Stream::User {
 public:
    DnsTcpProbe(Reactor& reactor, const Target& target, Owner& owner)
        : target_(target), owner_(owner), stream_(reactor, *this, nullptr, {}) {}

    void start() override;
    void stop() override { stream_.close(); }
    [[nodiscard]] std::string progress() const override { return stream_.progress(); }

 private:
    void on_open() override;
    void on_data(std::string_view bytes) override;
    void on_end() override;
    void on_failure(Finding finding) override { owner_.on_finding(std::move(finding)); }

    const Target& target_;
    Owner& owner_;
    Stream stream_;
    std::uint16_t id_ = 0;
    std::string answer_;  ///< With its length of two bytes in front, which bounds it.
};

}  // namespace sluice::health
