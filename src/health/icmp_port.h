// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One raw socket for all echo requests of a family, however many targets there are: marks and
/// source addresses go with each packet. Opened at the first request; needs CAP_NET_RAW.
///
/// Answers are told apart by a sequence number and 8 random bytes of each request. A filter in the
/// kernel keeps away what is not for this socket's identifier, so that pings of others, or floods
/// of answers to nothing, do not wake the thread.

#include <netinet/in.h>  // Before linux/icmp.h, which would declare half of it.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "base/reactor.h"
#include "base/unique_fd.h"
#include "health/outcome.h"
#include "health/target.h"

namespace sluice::health {

class IcmpPort {
 public:
    class User {
     public:
        virtual void on_icmp(Finding finding) = 0;

     protected:
        ~User() = default;
    };

    IcmpPort(Reactor& reactor, bool is_ip6);

    /// Sends one request; the user is told of the answer, or of an ICMP error about the request,
    /// unless it forgets `sequence`. Says what went wrong at once; Why::passed: sent.
    Finding send(const Target& target, User& user, std::uint16_t& sequence);
    void forget(std::uint16_t sequence) { pending_.erase(sequence); }

 private:
    struct Pending {
        User* user = nullptr;
        IpAddress to;
        std::uint64_t token = 0;
    };

    int open();  ///< 0 or errno.
    [[nodiscard]] int attach_filter(int fd) const;
    void on_readable();
    void on_packet(std::string_view packet, const IpAddress& from);
    void on_echo_reply(std::string_view message, const IpAddress& from);
    void on_error(std::string_view message);
    std::unordered_map<std::uint16_t, Pending>::iterator find(std::string_view echo);
    std::uint16_t free_sequence();
    int transmit(const Target& target, std::uint16_t sequence, std::uint64_t token);

    bool is_ip6_;
    Watch watch_;
    UniqueFd fd_;
    std::uint16_t id_ = 0;
    std::uint16_t next_ = 0;
    std::unordered_map<std::uint16_t, Pending> pending_;
};

}  // namespace sluice::health
