// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What would fail or be slow on this machine, said before anything is attached. `sluice doctor`
/// prints it. Judging is pure, so that machines that are not at hand can be judged in tests.

#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "kernel/probe.h"

namespace sluice::kernel {

enum class CheckStatus {
    ok,
    unknown,  ///< Cannot be found out here; the remedy says how to.
    warn,     ///< Sluice runs, but slower or with something missing.
    fail,     ///< Sluice cannot run (here, or on this interface).
};

/// "ok", "unknown", "warn", "fail".
const char* name_of(CheckStatus status);

struct DoctorCheck {
    std::string id;       ///< Stable: "kernel.release", "interface.mtu". For scripts.
    std::string subject;  ///< "kernel", a path or an interface name.
    CheckStatus status = CheckStatus::unknown;
    std::string finding;  ///< What is.
    std::string remedy;   ///< What to do; empty when nothing is to be done.

    bool operator==(const DoctorCheck&) const = default;
};

struct DoctorReport {
    /// First the kernel's, then each interface's, then those of probes (kernel/doctor_probes.h),
    /// always in the same order.
    std::vector<DoctorCheck> checks;

    [[nodiscard]] CheckStatus worst() const;
};

DoctorReport diagnose(const KernelFacts& kernel, const std::vector<InterfaceFacts>& interfaces);

/// What health checks are to reach through the tunnel (via: vip).
struct ProbedVips {
    std::vector<IpAddress> vips;
    std::vector<std::string> interfaces;  ///< By which backends' answers come: the node's.
    bool become_local = false;            ///< Announcing them gives them to this node as addresses.
};

struct DoctorOptions {
    std::vector<std::string> interfaces;  ///< Empty: every Ethernet interface.
    std::string bpffs_path = "/sys/fs/bpf/sluice";
    ProbedVips probed = {};  ///< Without VIPs nothing is said of probes.
};

/// Probes and judges. Fails only when interfaces cannot even be listed.
Result<DoctorReport> examine(const DoctorOptions& options);

}  // namespace sluice::kernel
