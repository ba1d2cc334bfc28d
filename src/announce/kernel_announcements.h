// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Announces through the kernel: each prefix is an address of an interface, or a blackhole route in
/// a table, that some routing daemon redistributes. Used by the announcer, on its reactor.
///
/// The kernel has no word for a graceful shutdown: a draining prefix stays as it is until it is
/// withdrawn. What somebody removes behind our back is found within `check` and put back; what is
/// left of a daemon that was killed is removed by the first look.

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "announce/announcement.h"
#include "announce/kernel_routes.h"
#include "base/reactor.h"
#include "config/announce.h"

namespace sluice::announce {

class KernelAnnouncements {
 public:
    /// `kernel` outlives this. `changed` must not destroy it.
    KernelAnnouncements(Reactor& reactor, config::AnnounceKernel settings, KernelRoutes& kernel,
                        std::chrono::milliseconds check, std::function<void()> changed);
    KernelAnnouncements(const KernelAnnouncements&) = delete;
    KernelAnnouncements& operator=(const KernelAnnouncements&) = delete;

    /// The whole set; carried out when this returns, as far as the kernel lets us.
    void want(const PrefixWishes& wishes);

    [[nodiscard]] const std::string& last_error() const { return last_error_; }
    [[nodiscard]] PrefixReport report(const IpPrefix& prefix) const;

 private:
    void carry_out();
    Result<std::vector<IpPrefix>> look();
    Result<void> add(const IpPrefix& prefix);
    Result<void> remove(const IpPrefix& prefix);

    config::AnnounceKernel settings_;
    KernelRoutes& kernel_;
    std::chrono::milliseconds check_;
    std::function<void()> changed_;
    PrefixWishes wishes_;
    std::set<IpPrefix> present_;
    std::map<IpPrefix, std::string> failed_;  ///< Why.
    std::string last_error_;
    Timer timer_;
};

}  // namespace sluice::announce
