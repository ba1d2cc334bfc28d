// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A connection, and nothing said on it.

#include "health/probe.h"
#include "health/stream.h"

namespace sluice::health {

class TcpProbe final : public Probe, private Stream::User {
 public:
    TcpProbe(Reactor& reactor, const Target& target, Owner& owner)
        : target_(target), owner_(owner), stream_(reactor, *this, nullptr, {}) {}

    void start() override { stream_.open(target_); }
    void stop() override { stream_.close(); }
    [[nodiscard]] std::string progress() const override { return stream_.progress(); }

 private:
    void on_open() override { owner_.on_finding({}); }
    void on_data(std::string_view /*bytes*/) override {}
    void on_end() override {}
    void on_failure(Finding finding) override { owner_.on_finding(std::move(finding)); }

    const Target& target_;
    Owner& owner_;
    Stream stream_;
};

}  // namespace sluice::health
