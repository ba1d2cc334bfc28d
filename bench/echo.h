// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One question and one answer at a time, over UDP and TCP.

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "bench/lab.h"

namespace sluice::bench {

/// Answers on both protocols at `address`:`port` of a namespace, on one CPU, until destroyed.
class EchoServer {
 public:
    static Result<EchoServer> start(const Namespace& where, const std::string& address,
                                    std::uint16_t port, unsigned cpu);
    EchoServer(EchoServer&& other) noexcept = default;
    EchoServer& operator=(EchoServer&&) = delete;
    ~EchoServer();

 private:
    EchoServer() = default;
    UniqueFd udp_;
    UniqueFd tcp_;
    UniqueFd stop_;
    std::thread thread_;
};

struct Echoes {
    std::vector<double> us;  ///< Round trips, sorted.
    std::uint32_t lost = 0;  ///< Without an answer within a second (UDP).

    [[nodiscard]] double percentile(double share) const;
};

/// Asks `count` times; the calling thread must be in the client's namespace.
Result<Echoes> ask_echoes(bool tcp, const std::string& address, std::uint16_t port,
                          std::uint32_t count);

}  // namespace sluice::bench
