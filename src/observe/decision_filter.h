// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Which decisions somebody wants to see. Of one key any value may hold, and every key that is set
/// must: `--service web --service dns --verdict drop` are drops of either. What is negated must not
/// hold: none of a key's negated values. Pure; the API's queries and the command's options are the
/// same keys (kFilterKeys).

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "observe/decision.h"

namespace sluice::observe {

/// verdict    drop, pass, tx, redirect; forward is tx or redirect
/// reason     a label of `sluice reasons`
/// from, to   a prefix that holds the packet's source or destination
/// service, backend, customer, interface   names; a backend is OWNER/ADDRESS
/// protocol   tcp, udp, sctp, icmp, icmp6, or the number of another one
/// port       source or destination
inline constexpr std::array<std::string_view, 10> kFilterKeys = {
    "verdict", "reason",   "from",      "to",       "service",
    "backend", "customer", "interface", "protocol", "port"};

class DecisionFilter {
 public:
    /// One more value of a key. Errc::invalid says what is wrong with it.
    Result<void> add(std::string_view key, std::string_view value, bool is_negated = false);
    [[nodiscard]] bool fits(const Decision& decision) const;
    /// Names of services, backends, customers and interfaces that are asked for and are none of
    /// `names`: Errc::not_found for the first of them.
    [[nodiscard]] Result<void> check(const Names& names) const;

 private:
    using Words = std::set<std::string, std::less<>>;
    struct Terms {
        Words verdicts, reasons, services, backends, customers, interfaces, protocols;
        std::vector<IpPrefix> sources, destinations;
        std::set<std::uint16_t> ports;
    };

    static Result<void> add_to(Terms& terms, std::string_view key, std::string_view value);

    Terms wanted_;
    Terms unwanted_;
};

}  // namespace sluice::observe
