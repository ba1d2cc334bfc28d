// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a client is told to do, and which tuples its connections have.

#include <cstdint>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "traffic/options.h"
#include "traffic/report.h"
#include "traffic/socket.h"

namespace sluice::traffic {

struct Settings {
    std::vector<IpAddress> vips;
    IpAddress from4, from6;        ///< First source of each family.
    std::uint32_t from_count = 1;  ///< Sources of each family, one after the other.
    std::uint16_t port = 0;
    std::uint64_t talk = 0, silent = 0, datagrams = 0;
    std::uint64_t brief_per_s = 0;
    std::uint64_t interval_ns = 0;  ///< Between two times that a talking connection sends.
    std::uint64_t silence_ns = 0;
    std::uint64_t hold_ns = 0;  ///< Brief ones wait for up to this long, half of them not.
    std::uint64_t idle_ns = 0;  ///< Who was silent for longer proves nothing.
    std::uint64_t idle_datagrams_ns = 0;
    std::uint64_t handshake_ns = 0;  ///< After this a handshake has failed.
    std::uint64_t stall_ns = 0;      ///< After this a connection that says nothing is broken.

    static Result<Settings> from(const Options& options);

    struct Tuple {
        Endpoint from, to;
        [[nodiscard]] std::string text() const { return from.text() + " > " + to.text(); }
    };
    /// Of the `number`th connection of a kind: VIPs in turn, then sources, then ports.
    [[nodiscard]] Tuple tuple(Kind kind, std::uint64_t number) const;
};

}  // namespace sluice::traffic
