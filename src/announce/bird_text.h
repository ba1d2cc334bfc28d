// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What BIRD 2 and we say to each other, as text: the file that bird.conf includes, and the replies
/// of the control socket. Called by announce/bird_client.h. Pure.
///
/// The file has one static protocol for each prefix, so that a single VIP is announced and
/// withdrawn by `enable` and `disable`, which work even while somebody has a broken bird.conf:
///
///   protocol static sluice4_192_0_2_1_32 { ipv4; route 192.0.2.1/32 blackhole; }
///   protocol static sluice6_2001_db8__1_128 { disabled; ipv6; route 2001:db8::1/128 blackhole; }
///
/// A draining prefix carries GRACEFUL_SHUTDOWN (RFC 8326) and a local preference of 0 with its
/// route; filters of bird.conf may look at the community.
///
/// A reply is lines "NNNN-text", the last of them "NNNN text"; " text" continues with the code of
/// the line before; "+text" is nobody's answer.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "announce/announcement.h"
#include "base/ip.h"

namespace sluice::announce {

/// "sluice4_192_0_2_1_32". Different prefixes have different names.
std::string bird_protocol_name(const IpPrefix& prefix);

/// The whole file, in the order of the prefixes.
std::string bird_file(const PrefixWishes& wishes);

struct BirdLine {
    std::uint16_t code = 0;
    std::string text;
    bool operator==(const BirdLine&) const = default;
};

struct BirdReply {
    std::vector<BirdLine> lines;
    /// Of the last line: 0xxx done, 8xxx refused, 9xxx not understood.
    [[nodiscard]] std::uint16_t code() const { return lines.empty() ? 0 : lines.back().code; }
    [[nodiscard]] bool is_error() const { return code() >= 8000; }
    /// The last line, printable: "8002 bird.conf:5:16 syntax error".
    [[nodiscard]] std::string text() const;
    bool operator==(const BirdReply&) const = default;
};

/// Takes bytes as they come, and gives whole replies.
class BirdReplies {
 public:
    static constexpr std::size_t kLineMax = 4096;
    static constexpr std::size_t kReplyMax = 64UL * 1024 * 1024;

    void add(std::string_view bytes);
    std::optional<BirdReply> next();
    /// Empty, or what of the input was not the protocol; nothing is taken any more then.
    [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
    void take_line(std::string_view line);

    std::string partial_;
    std::size_t size_ = 0;  ///< Of the reply that is under way.
    BirdReply reply_;
    std::deque<BirdReply> ready_;
    std::string problem_;
};

struct BirdProtocol {
    std::string name;
    std::string state;  ///< "up", "down", ...
    bool operator==(const BirdProtocol&) const = default;
};

/// Of `show protocols`: ours.
std::vector<BirdProtocol> bird_protocols(const BirdReply& reply);
/// Of `show route`: which of ours have routes, sorted, each once.
std::vector<std::string> bird_route_owners(const BirdReply& reply);

}  // namespace sluice::announce
