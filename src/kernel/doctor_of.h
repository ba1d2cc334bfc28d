// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What doctor.cpp and doctor_layout.cpp share. No other file includes it.

#include <string>
#include <utility>
#include <vector>

#include "kernel/doctor.h"

namespace sluice::kernel {

/// Checks of one subject.
class Findings {
 public:
    explicit Findings(std::string subject) : subject_(std::move(subject)) {}

    void add(std::string id, CheckStatus status, std::string finding, std::string remedy = {}) {
        checks_.push_back({std::move(id), subject_, status, std::move(finding), std::move(remedy)});
    }
    void ok(std::string id, std::string finding) {
        add(std::move(id), CheckStatus::ok, std::move(finding));
    }
    [[nodiscard]] std::vector<DoctorCheck> take() { return std::move(checks_); }

 private:
    std::string subject_;
    std::vector<DoctorCheck> checks_;
};

/// CPUs as far as receiving packets is concerned: frequency, budgets, who moves interrupts.
void judge_machine(Findings& out, const MachineLayout& machine);
/// Rings, spreading, interrupts, flow control. What a driver has no notion of is left out.
void judge_layout(Findings& out, const InterfaceFacts& facts, const MachineLayout& machine);

}  // namespace sluice::kernel
