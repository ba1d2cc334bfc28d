// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Backends for `sluice-bench health`: every address of 127.0.0.0/8 answers, from a process of its
/// own, so that what is measured shares nothing with it but the machine.

#include <sys/types.h>

#include <cstdint>

#include "base/result.h"

namespace sluice::bench {

class HealthServers {
 public:
    static Result<HealthServers> start();
    HealthServers(HealthServers&& other) noexcept;
    HealthServers& operator=(HealthServers&&) = delete;
    HealthServers(const HealthServers&) = delete;
    HealthServers& operator=(const HealthServers&) = delete;
    ~HealthServers();

    [[nodiscard]] std::uint16_t http_port() const { return http_port_; }
    [[nodiscard]] std::uint16_t https_port() const { return https_port_; }

 private:
    HealthServers() = default;
    pid_t pid_ = -1;
    std::uint16_t http_port_ = 0;   ///< Also for checks that only connect.
    std::uint16_t https_port_ = 0;  ///< ECDSA P-256, a certificate that nobody has signed.
};

}  // namespace sluice::bench
