// SPDX-License-Identifier: Apache-2.0
#include "health/command_probe.h"

#include <fmt/format.h>

#include <utility>

namespace sluice::health {
namespace {

CommandThread::Job job_of(const Target& target) {
    CommandThread::Job job;
    job.command = target.check->command;
    const auto add = [&](const char* name, const std::string& value) {
        job.environment.push_back(fmt::format("SLUICE_{}={}", name, value));
    };
    add("ADDRESS", target.address.text());
    add("PORT", std::to_string(target.port));
    add("SERVICE", target.service);
    add("GROUP", target.group);
    add("BACKEND", target.backend);
    add("TIMEOUT_MS", std::to_string(target.check->timeout.count()));
    return job;
}

}  // namespace

CommandProbe::CommandProbe(CommandThread& commands, Reactor& reactor, const Target& target,
                           Owner& owner)
    : commands_(commands), reactor_(reactor), target_(target), owner_(owner) {}

void CommandProbe::start() {
    self_ = std::make_shared<CommandProbe*>(this);
    run_ = commands_.run(job_of(target_), [self = self_, &reactor = reactor_](Finding finding) {
        reactor.post([self, finding = std::move(finding)] {
            if (*self == nullptr) return;
            CommandProbe& probe = **self;
            probe.run_ = 0;
            probe.owner_.on_finding(finding);
        });
    });
}

void CommandProbe::stop() {
    if (self_ != nullptr) *self_ = nullptr;
    self_.reset();
    if (run_ != 0) commands_.cancel(std::exchange(run_, 0));
}

}  // namespace sluice::health
