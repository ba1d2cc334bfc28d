// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One check of one target as something that runs: a probe for each target lives as long as the
/// target is watched and is started again and again (health/schedule.h). All on one reactor.

#include <memory>
#include <string>

#include "base/reactor.h"
#include "health/outcome.h"
#include "health/target.h"

namespace sluice::health {

class CommandThread;
class IcmpPort;
class Tls;

class Probe {
 public:
    /// Told once for each start(), maybe before start() returns. It calls stop() and may start the
    /// probe again later, never from within: the probe returns right after this call.
    class Owner {
     public:
        virtual void on_finding(Finding finding) = 0;

     protected:
        ~Owner() = default;
    };

    Probe() = default;
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    virtual ~Probe() = default;

    virtual void start() = 0;
    /// Gives up what start() took, above all descriptors; nobody is told anything afterwards.
    /// Harmless when stopped.
    virtual void stop() = 0;
    /// How far it has come, for the text of a timeout: "connected, no answer".
    [[nodiscard]] virtual std::string progress() const = 0;
};

/// What probes of one reactor share. All outlive the probes.
struct ProbeShared {
    Reactor& reactor;
    IcmpPort& icmp4;
    IcmpPort& icmp6;
    CommandThread& commands;
};

/// For any type of check. `tls` is set for those that need it; `target` outlives the probe.
std::unique_ptr<Probe> make_probe(const Target& target, std::shared_ptr<const Tls> tls,
                                  const ProbeShared& shared, Probe::Owner& owner);

}  // namespace sluice::health
