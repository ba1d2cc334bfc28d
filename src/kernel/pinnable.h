// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What an instance (instance.h) needs of a generation, whoever loaded it.

#include <string>

#include "base/result.h"

namespace sluice::kernel {

/// What can be a generation.
class Pinnable {
 public:
    virtual ~Pinnable() = default;
    /// The program that packets enter by.
    [[nodiscard]] virtual int program_fd() const = 0;
    /// Pins every map and program into `directory`, which exists; the entry program as
    /// kEntryProgramPin.
    [[nodiscard]] virtual Result<void> pin(const std::string& directory) const = 0;

 protected:
    Pinnable() = default;
    Pinnable(const Pinnable&) = default;
    Pinnable(Pinnable&&) = default;
    Pinnable& operator=(const Pinnable&) = default;
    Pinnable& operator=(Pinnable&&) = default;
};

inline constexpr const char* kEntryProgramPin = "slc_lb_program";

}  // namespace sluice::kernel
