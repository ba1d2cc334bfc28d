// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Settings of NICs (tuning.h) as they are read and written. Tests use a fake that fails and dies
/// where they want it to.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace sluice::node {

class NicPort {
 public:
    virtual ~NicPort() = default;
    /// Errc::unsupported when the device, which is up, has no such setting: what was tuned of it
    /// is gone for good. All other errors leave open what it is: a device that is down or is being
    /// reset, a missing privilege.
    virtual Result<std::string> read(const std::string& interface, const std::string& setting) = 0;
    virtual Result<void> write(const std::string& interface, const std::string& setting,
                               const std::string& value) = 0;
    /// What the device is called now; nothing: it is gone.
    virtual std::optional<std::string> name_of(std::uint32_t ifindex) = 0;
    virtual std::string driver_of(const std::string& interface) = 0;
    /// An XDP program is attached to it.
    virtual bool has_xdp(const std::string& interface) = 0;
};

/// The machine's own, in this network namespace.
class KernelNicPort : public NicPort {
 public:
    Result<std::string> read(const std::string& interface, const std::string& setting) override;
    Result<void> write(const std::string& interface, const std::string& setting,
                       const std::string& value) override;
    std::optional<std::string> name_of(std::uint32_t ifindex) override;
    std::string driver_of(const std::string& interface) override;
    bool has_xdp(const std::string& interface) override;
};

}  // namespace sluice::node
