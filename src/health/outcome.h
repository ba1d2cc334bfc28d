// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What one check found, as a value: made by probes, judged by health/judge.h.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::health {

/// Why a check ended as it did: symbol, stable word, meaning. Words are in events, metrics and
/// `sluice health`; they are added to and never changed.
#define SLC_HEALTH_WHYS(X)                                                          \
    X(passed, "passed", "the backend answered as it should")                        \
    X(refused, "refused", "connection refused, or ICMP says that the port is shut") \
    X(unreachable, "unreachable", "no route, no neighbour, or ICMP says so")        \
    X(timeout, "timeout", "not finished in time")                                   \
    X(closed, "closed", "closed before the answer was complete")                    \
    X(reset, "reset", "reset before the answer was complete")                       \
    X(tls, "tls", "no TLS session could be agreed on")                              \
    X(certificate, "certificate", "the certificate does not prove the name")        \
    X(protocol, "protocol", "what was answered is not of the protocol")             \
    X(status, "status", "the status of the answer is none of those wanted")         \
    X(content, "content", "the answer does not contain what it must")               \
    X(rcode, "rcode", "the DNS answer has another RCODE")                           \
    X(not_serving, "not_serving", "the gRPC service says that it does not serve")   \
    X(exit, "exit", "the command ended with a status other than 0, or by a signal") \
    X(local, "local", "this node could not make the check: says nothing of the backend")

enum class Why : std::uint8_t {
#define SLC_HEALTH_WHY(symbol, word, meaning) symbol,
    SLC_HEALTH_WHYS(SLC_HEALTH_WHY)
#undef SLC_HEALTH_WHY
};

std::string_view word_of(Why why);
std::string_view meaning_of(Why why);

/// Longest `text` of a finding, in bytes.
inline constexpr std::size_t kMostText = 200;

/// What a probe found.
struct Finding {
    Why why = Why::passed;
    std::string text;            ///< For people, one printable line: "503 Service Unavailable".
    std::optional<double> load;  ///< 0..100, where the check asks for it and the backend says it.
};

struct Outcome {
    std::string key;  ///< The target's.
    bool ok = false;  ///< why == Why::passed.
    Why why = Why::passed;
    std::string text;
    std::optional<double> load;
    std::chrono::microseconds duration{0};     ///< From the first packet to the end.
    std::chrono::steady_clock::time_point at;  ///< When it ended.
};

/// One line that is safe to print: what is not printable ASCII becomes '.', the end beyond
/// kMostText is cut. For texts that backends can influence.
std::string printable(std::string_view text);

}  // namespace sluice::health
