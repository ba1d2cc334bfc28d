// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Hears that the network cannot deliver to a backend before a check finds out: ICMP and ICMPv6
/// errors that quote an outer header of the balancer's. They raise suspicion and no more: anybody
/// can send such a packet, so whoever is told checks, at most so often.
///
/// Heard are unreachable, but for "fragmentation needed", time exceeded, and what IPv6 says in
/// place of "protocol unreachable" (unknown next header), that come to an address of this node: a
/// tunnel source with host bits for entropy is one only where it is routed here (`ip route add
/// local 10.255.0.0/24 dev lo`). A filter in the kernel keeps away all else, so that floods of
/// other ICMP do not wake the thread. Needs CAP_NET_RAW.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/ip.h"
#include "base/reactor.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::health {

/// What an ICMP message, from its type on, quotes.
struct QuotedTunnel {
    enum class Kind {
        tunnel,     ///< Protocol 4, 41 or 47, or UDP to the port of GUE.
        other,      ///< Another message, or about another packet.
        malformed,  ///< Cut short, wrong sum or version, or of a later fragment.
    };
    Kind kind = Kind::malformed;
    IpAddress to;  ///< For tunnel: the backend's own address.
};

/// The sum of ICMPv6 is the kernel's business.
QuotedTunnel quoted_tunnel(std::string_view message, bool is_ip6, std::uint16_t gue_port);

class IcmpErrors {
 public:
    using Call = std::function<void(const IpAddress& unreachable)>;
    static constexpr int kMostInASecond = 500;  ///< Calls.

    struct Counts {
        std::uint64_t told = 0;
        std::uint64_t other = 0;
        std::uint64_t malformed = 0;
        std::uint64_t beyond_rate = 0;  ///< Would have been told.
        bool operator==(const Counts&) const = default;
    };

    /// Both families, on the reactor's thread. Errors: denied without CAP_NET_RAW.
    static Result<std::unique_ptr<IcmpErrors>> open(Reactor& reactor, std::uint16_t gue_port,
                                                    Call call,
                                                    int most_in_a_second = kMostInASecond);
    IcmpErrors(const IcmpErrors&) = delete;
    IcmpErrors& operator=(const IcmpErrors&) = delete;
    ~IcmpErrors() = default;

    [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
    struct Socket {
        explicit Socket(Reactor& reactor, Watch::Call call) : watch(reactor, std::move(call)) {}
        UniqueFd fd;
        Watch watch;
    };

    IcmpErrors(Reactor& reactor, std::uint16_t gue_port, Call call, int most_in_a_second);
    Result<void> listen(Socket& socket, bool is_ip6);
    void on_readable(const Socket& socket, bool is_ip6);
    void on_message(std::string_view message, bool is_ip6);
    bool take_token();

    std::uint16_t gue_port_;
    Call call_;
    int most_in_a_second_;
    Counts counts_;
    Reactor::Time second_begun_{};
    int calls_in_second_ = 0;
    Socket ip4_;
    Socket ip6_;
};

}  // namespace sluice::health
