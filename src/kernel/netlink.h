// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Netlink without its sharp edges: a message under construction, a checked walk over attributes,
/// and a socket that either asks (request, dump) or listens (multicast groups).
///
/// Every walk is bounded by the length that the kernel gave, and an attribute shorter than what is
/// read from it reads as zero: no message, however short, makes a read outside of it.

#include <linux/netlink.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

struct mnl_socket;

namespace sluice::kernel {

using ByteSpan = std::span<const std::uint8_t>;

/// One attribute inside a message that outlives it.
struct Attribute {
    std::uint16_t type = 0;  ///< Without the flags for nesting and byte order.
    ByteSpan data;

    template <typename T>
    [[nodiscard]] T as() const {
        T out{};
        if (data.size() >= sizeof out) std::memcpy(&out, data.data(), sizeof out);
        return out;
    }
    [[nodiscard]] std::uint32_t u32() const { return as<std::uint32_t>(); }
    [[nodiscard]] std::uint16_t u16() const { return as<std::uint16_t>(); }
    [[nodiscard]] std::uint8_t u8() const { return as<std::uint8_t>(); }
    /// Up to the first zero byte.
    [[nodiscard]] std::string text() const;
    /// An address of 4 or 16 bytes.
    [[nodiscard]] std::optional<IpAddress> address() const;
};

/// Calls visit(Attribute) for each well-formed attribute in `bytes`; stops at the first that is
/// cut.
template <typename Visitor>
void for_each_attribute(ByteSpan bytes, Visitor&& visit) {
    while (bytes.size() >= sizeof(nlattr)) {
        nlattr header;
        std::memcpy(&header, bytes.data(), sizeof header);
        if (header.nla_len < sizeof header || header.nla_len > bytes.size()) return;
        visit(Attribute{static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK),
                        bytes.subspan(sizeof header, header.nla_len - sizeof header)});
        bytes = bytes.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), bytes.size()));
    }
}

/// A message as the kernel sent it.
struct NetlinkMessage {
    std::uint16_t type = 0;
    std::uint16_t flags = 0;
    ByteSpan payload;

    /// The family's fixed header, zero where the payload is shorter.
    template <typename T>
    [[nodiscard]] T header() const {
        T out{};
        if (payload.size() >= sizeof out) std::memcpy(&out, payload.data(), sizeof out);
        return out;
    }
    /// The attributes behind a fixed header of type T.
    template <typename T>
    [[nodiscard]] ByteSpan attributes() const {
        return payload.size() > NLMSG_ALIGN(sizeof(T)) ? payload.subspan(NLMSG_ALIGN(sizeof(T)))
                                                       : ByteSpan{};
    }
};

/// A request under construction.
class NetlinkRequest {
 public:
    NetlinkRequest(std::uint16_t type, std::uint16_t flags);

    template <typename T>
    NetlinkRequest& header(const T& value) {
        return raw({reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
    }
    NetlinkRequest& put(std::uint16_t type, ByteSpan data);
    NetlinkRequest& put_u32(std::uint16_t type, std::uint32_t value);
    NetlinkRequest& put_text(std::uint16_t type, std::string_view text);
    NetlinkRequest& put_address(std::uint16_t type, const IpAddress& address);

    /// Only a refusal is answered then, or what was asked for: for ask().
    NetlinkRequest& unacknowledged();

    /// The bytes to send, with length and sequence filled in.
    ByteSpan finish(std::uint32_t sequence);

 private:
    NetlinkRequest& raw(ByteSpan data);

    std::vector<std::uint8_t> bytes_;
};

using MessageHandler = std::function<void(const NetlinkMessage&)>;

/// What the kernel said to a request.
struct NetlinkReply {
    int error = 0;             ///< errno, or 0.
    std::string message;       ///< The kernel's own words (extended acknowledgement); may be empty.
    bool interrupted = false;  ///< A dump that changed while it was read: ask again.
};

class NetlinkSocket {
 public:
    /// `bus` is NETLINK_ROUTE or NETLINK_GENERIC. Belongs to the calling thread's network
    /// namespace.
    static Result<NetlinkSocket> open(int bus);

    /// Subscribes to multicast groups; what they send is read by drain(), which never blocks.
    /// `receive_buffer` bytes are asked for, without the system's limit where that is permitted.
    Result<void> listen(std::span<const int> groups, int receive_buffer);

    /// Sends and hands every answer to `on_message` until the acknowledgement or the end of the
    /// dump. The Result fails when no answer came (5 s); what the kernel refused is in the reply.
    Result<NetlinkReply> exchange(NetlinkRequest request, const MessageHandler& on_message = {});
    /// The same, with a refusal as an error named `operation`.
    Result<void> request(NetlinkRequest request, std::string_view operation,
                         const MessageHandler& on_message = {});
    /// A dump, again when it was interrupted (a few times: later changes are notified anyway).
    /// `on_start` runs before each attempt, to forget what the attempt before collected.
    Result<void> dump(const NetlinkRequest& request, std::string_view operation,
                      const std::function<void()>& on_start, const MessageHandler& on_message);

    /// Many questions, unacknowledged, of which each has exactly one answer: a message, or nullptr
    /// and what the kernel refused it with. A few travel together, which costs a third of asking
    /// them one after the other. Fails when an answer did not come (5 s).
    using AnswerHandler =
        std::function<void(std::size_t question, const NetlinkMessage* answer, int error)>;
    Result<void> ask(std::span<NetlinkRequest> questions, const AnswerHandler& on_answer);

    /// Hands over what has arrived, at most `max_datagrams` of them. True when the kernel had to
    /// throw notifications away: what is known is stale.
    Result<bool> drain(std::size_t max_datagrams, const MessageHandler& on_message);

    [[nodiscard]] int fd() const;

 private:
    struct Closer {
        void operator()(mnl_socket* socket) const;
    };
    explicit NetlinkSocket(mnl_socket* socket);
    /// One datagram, waited for.
    Result<std::size_t> receive();
    Result<void> ask_some(std::span<NetlinkRequest> questions, std::size_t first,
                          const AnswerHandler& on_answer);

    std::unique_ptr<mnl_socket, Closer> socket_;
    std::vector<std::uint8_t> buffer_;
    std::uint32_t sequence_ = 0;
};

}  // namespace sluice::kernel
