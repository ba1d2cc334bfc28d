// SPDX-License-Identifier: Apache-2.0
#pragma once

/// `--name value` pairs of a command line, any of them more than once.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace sluice::traffic {

class Options {
 public:
    static Result<Options> parse(int argc, const char* const* argv);

    [[nodiscard]] std::vector<std::string> all(const std::string& name) const;
    [[nodiscard]] std::string text(const std::string& name, const std::string& otherwise) const;
    /// Errc::invalid when it is no number.
    [[nodiscard]] Result<std::uint64_t> number(const std::string& name,
                                               std::uint64_t otherwise) const;
    [[nodiscard]] Result<std::vector<IpAddress>> addresses(const std::string& name) const;

 private:
    std::map<std::string, std::vector<std::string>> values_;
};

/// The address `steps` after this one.
IpAddress after(IpAddress address, std::uint32_t steps);

}  // namespace sluice::traffic
