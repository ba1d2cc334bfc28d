// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A program of the operator's, whose exit status 0 says that the backend is well.

#include <cstdint>
#include <memory>
#include <string>

#include "health/command_thread.h"
#include "health/probe.h"

namespace sluice::health {

class CommandProbe final : public Probe {
 public:
    CommandProbe(CommandThread& commands, Reactor& reactor, const Target& target, Owner& owner);
    ~CommandProbe() override { stop(); }

    void start() override;
    void stop() override;
    [[nodiscard]] std::string progress() const override { return "still running, now killed"; }

 private:
    CommandThread& commands_;
    Reactor& reactor_;
    const Target& target_;
    Owner& owner_;
    std::uint64_t run_ = 0;  ///< 0: none.
    /// What the other thread holds on to: tells whether this probe is still there. It is looked at
    /// on the reactor's thread alone.
    std::shared_ptr<CommandProbe*> self_;
};

}  // namespace sluice::health
