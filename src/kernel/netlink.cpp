// SPDX-License-Identifier: Apache-2.0
#include "kernel/netlink.h"

#include <libmnl/libmnl.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>

namespace sluice::kernel {
namespace {

/// Dumps come in datagrams of up to 32 KiB; a single link with many virtual functions may be more.
constexpr std::size_t kBufferLen = 128 * 1024;
constexpr int kAnswerTimeoutS = 5;
constexpr int kDumpAttempts = 4;
/// Questions that travel together: their answers, of a page each, fit into a socket's buffer.
constexpr std::size_t kAtOnce = 32;

/// Calls visit(nlmsghdr, message); stops when visit returns false. False then.
template <typename Visitor>
bool for_each_message(ByteSpan bytes, Visitor&& visit) {
    while (bytes.size() >= sizeof(nlmsghdr)) {
        nlmsghdr header;
        std::memcpy(&header, bytes.data(), sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > bytes.size()) return true;
        const NetlinkMessage message{
            header.nlmsg_type, header.nlmsg_flags,
            bytes.subspan(sizeof header, header.nlmsg_len - sizeof header)};
        if (!visit(header, message)) return false;
        bytes = bytes.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), bytes.size()));
    }
    return true;
}

/// The kernel's explanation in an error or done message, if it gave one.
std::string extended_message(const NetlinkMessage& message, std::size_t fixed_len) {
    std::string out;
    if ((message.flags & NLM_F_ACK_TLVS) == 0 || message.payload.size() < fixed_len) return out;
    for_each_attribute(message.payload.subspan(fixed_len), [&](const Attribute& attribute) {
        if (attribute.type == NLMSGERR_ATTR_MSG) out = attribute.text();
    });
    return out;
}

NetlinkReply read_error(const NetlinkMessage& message) {
    const auto header = message.header<nlmsgerr>();
    std::size_t fixed_len = sizeof header;
    // Without NLM_F_CAPPED the whole request is quoted before the attributes.
    if ((message.flags & NLM_F_CAPPED) == 0 && header.error != 0)
        fixed_len += NLMSG_ALIGN(header.msg.nlmsg_len) - sizeof header.msg;
    return {-header.error, extended_message(message, fixed_len), false};
}

}  // namespace

std::string Attribute::text() const {
    const auto end = std::find(data.begin(), data.end(), 0);
    return {data.begin(), end};
}

std::optional<IpAddress> Attribute::address() const {
    if (data.size() == 4) return IpAddress::from_ip4(u32());
    if (data.size() == 16) return IpAddress::from_ip6(data.data());
    return std::nullopt;
}

NetlinkRequest::NetlinkRequest(std::uint16_t type, std::uint16_t flags) {
    // A dump ends by itself; everything else is to be acknowledged.
    const int end = (flags & NLM_F_DUMP) == NLM_F_DUMP ? 0 : NLM_F_ACK;
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST | end);
    raw({reinterpret_cast<const std::uint8_t*>(&header), sizeof header});
}

NetlinkRequest& NetlinkRequest::raw(ByteSpan data) {
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    return *this;
}

NetlinkRequest& NetlinkRequest::put(std::uint16_t type, ByteSpan data) {
    const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + data.size()), type};
    raw({reinterpret_cast<const std::uint8_t*>(&header), sizeof header});
    return raw(data);
}

NetlinkRequest& NetlinkRequest::put_u32(std::uint16_t type, std::uint32_t value) {
    return put(type, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
}

NetlinkRequest& NetlinkRequest::put_text(std::uint16_t type, std::string_view text) {
    const std::string terminated(text);
    return put(type,
               {reinterpret_cast<const std::uint8_t*>(terminated.c_str()), terminated.size() + 1});
}

NetlinkRequest& NetlinkRequest::put_address(std::uint16_t type, const IpAddress& address) {
    return put(type, ByteSpan(address.bytes).first(address.is_ip6 ? 16 : 4));
}

NetlinkRequest& NetlinkRequest::unacknowledged() {
    nlmsghdr header;
    std::memcpy(&header, bytes_.data(), sizeof header);
    header.nlmsg_flags &= static_cast<std::uint16_t>(~NLM_F_ACK);
    std::memcpy(bytes_.data(), &header, sizeof header);
    return *this;
}

ByteSpan NetlinkRequest::finish(std::uint32_t sequence) {
    nlmsghdr header;
    std::memcpy(&header, bytes_.data(), sizeof header);
    header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    header.nlmsg_seq = sequence;
    std::memcpy(bytes_.data(), &header, sizeof header);
    return bytes_;
}

void NetlinkSocket::Closer::operator()(mnl_socket* socket) const {
    mnl_socket_close(socket);
}

NetlinkSocket::NetlinkSocket(mnl_socket* socket) : socket_(socket), buffer_(kBufferLen) {}

int NetlinkSocket::fd() const {
    return mnl_socket_get_fd(socket_.get());
}

Result<NetlinkSocket> NetlinkSocket::open(int bus) {
    mnl_socket* raw = mnl_socket_open2(bus, SOCK_CLOEXEC);
    const int saved = errno;
    if (raw == nullptr) return fail(sys_error(saved, "open netlink socket"));
    NetlinkSocket out(raw);
    if (mnl_socket_bind(raw, 0, MNL_SOCKET_AUTOPID) < 0) {
        const int bind_errno = errno;
        return fail(sys_error(bind_errno, "bind netlink socket"));
    }
    // Both only improve messages and cost; an old kernel without them works as well.
    int on = 1;
    mnl_socket_setsockopt(raw, NETLINK_EXT_ACK, &on, sizeof on);
    mnl_socket_setsockopt(raw, NETLINK_CAP_ACK, &on, sizeof on);
    const timeval timeout{kAnswerTimeoutS, 0};
    if (::setsockopt(out.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0) {
        const int option_errno = errno;
        return fail(sys_error(option_errno, "set netlink timeout"));
    }
    return out;
}

Result<void> NetlinkSocket::listen(std::span<const int> groups, int receive_buffer) {
    // FORCE needs CAP_NET_ADMIN over the machine; the other is cut to net.core.rmem_max.
    if (::setsockopt(fd(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) <
            0 &&
        ::setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer) < 0) {
        const int saved = errno;
        return fail(sys_error(saved, "set netlink receive buffer"));
    }
    for (int group : groups) {
        if (mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) <
            0) {
            const int saved = errno;
            return fail(sys_error(saved, "join netlink group " + std::to_string(group)));
        }
    }
    return {};
}

Result<std::size_t> NetlinkSocket::receive() {
    for (;;) {
        const ssize_t len = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
        const int saved = errno;
        if (len >= 0) return static_cast<std::size_t>(len);
        if (saved == EINTR) continue;
        return fail(sys_error(saved, "receive from netlink"));
    }
}

Result<NetlinkReply> NetlinkSocket::exchange(NetlinkRequest request,
                                             const MessageHandler& on_message) {
    const std::uint32_t sequence = ++sequence_;
    const ByteSpan bytes = request.finish(sequence);
    if (mnl_socket_sendto(socket_.get(), bytes.data(), bytes.size()) < 0) {
        const int saved = errno;
        return fail(sys_error(saved, "send to netlink"));
    }
    std::optional<NetlinkReply> reply;
    bool interrupted = false;
    while (!reply) {
        const std::size_t len = SLC_TRY(receive(), "wait for the kernel's answer");
        for_each_message(ByteSpan(buffer_).first(len), [&](const nlmsghdr& header,
                                                           const NetlinkMessage& message) {
            if (header.nlmsg_seq != sequence) return true;  // An answer that came too late.
            interrupted = interrupted || (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            if (header.nlmsg_type == NLMSG_ERROR) {
                reply = read_error(message);
            } else if (header.nlmsg_type == NLMSG_DONE) {
                reply = NetlinkReply{-message.header<int>(), extended_message(message, sizeof(int)),
                                     false};
            } else if (header.nlmsg_type >= NLMSG_MIN_TYPE && on_message) {
                on_message(message);
            }
            return !reply;
        });
    }
    reply->interrupted = interrupted;
    return *std::move(reply);
}

Result<void> NetlinkSocket::ask_some(std::span<NetlinkRequest> questions, std::size_t first,
                                     const AnswerHandler& on_answer) {
    const std::uint32_t base = sequence_ + 1;
    std::vector<std::uint8_t> bytes;
    for (NetlinkRequest& question : questions) {
        const ByteSpan one = question.finish(++sequence_);
        bytes.insert(bytes.end(), one.begin(), one.end());
    }
    if (mnl_socket_sendto(socket_.get(), bytes.data(), bytes.size()) < 0) {
        const int saved = errno;
        return fail(sys_error(saved, "send to netlink"));
    }
    std::vector<bool> answered(questions.size());
    for (std::size_t left = questions.size(); left > 0;) {
        const std::size_t len = SLC_TRY(receive(), "wait for the kernel's answer");
        for_each_message(ByteSpan(buffer_).first(len),
                         [&](const nlmsghdr& header, const NetlinkMessage& message) {
                             const std::uint32_t index = header.nlmsg_seq - base;
                             if (index >= questions.size() || answered[index]) return true;
                             answered[index] = true;
                             --left;
                             if (header.nlmsg_type == NLMSG_ERROR)
                                 on_answer(first + index, nullptr, read_error(message).error);
                             else
                                 on_answer(first + index, &message, 0);
                             return true;
                         });
    }
    return {};
}

Result<void> NetlinkSocket::ask(std::span<NetlinkRequest> questions,
                                const AnswerHandler& on_answer) {
    for (std::size_t first = 0; first < questions.size(); first += kAtOnce) {
        const std::size_t count = std::min(kAtOnce, questions.size() - first);
        SLC_CHECK(ask_some(questions.subspan(first, count), first, on_answer), "ask the kernel");
    }
    return {};
}

Result<void> NetlinkSocket::request(NetlinkRequest request, std::string_view operation,
                                    const MessageHandler& on_message) {
    const NetlinkReply reply =
        SLC_TRY(exchange(std::move(request), on_message), std::string(operation));
    if (reply.error == 0) return {};
    Error error = sys_error(reply.error, operation);
    if (!reply.message.empty()) error.what += " (" + reply.message + ")";
    return fail(std::move(error));
}

Result<void> NetlinkSocket::dump(const NetlinkRequest& request, std::string_view operation,
                                 const std::function<void()>& on_start,
                                 const MessageHandler& on_message) {
    NetlinkReply reply;
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
        on_start();
        reply = SLC_TRY(exchange(request, on_message), std::string(operation));
        if (reply.error != 0 || !reply.interrupted) break;
    }
    if (reply.error != 0) return fail(sys_error(reply.error, operation));
    return {};
}

Result<bool> NetlinkSocket::drain(std::size_t max_datagrams, const MessageHandler& on_message) {
    bool overrun = false;
    for (std::size_t i = 0; i < max_datagrams; ++i) {
        const ssize_t len = ::recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_TRUNC);
        const int saved = errno;
        if (len < 0 && (saved == EAGAIN || saved == EWOULDBLOCK)) break;
        if (len < 0 && saved == EINTR) continue;
        if (len < 0 && saved != ENOBUFS) return fail(sys_error(saved, "receive notifications"));
        // A datagram that was cut is one that was lost.
        if (len < 0 || static_cast<std::size_t>(len) > buffer_.size()) {
            overrun = true;
            continue;
        }
        for_each_message(ByteSpan(buffer_).first(static_cast<std::size_t>(len)),
                         [&](const nlmsghdr& header, const NetlinkMessage& message) {
                             if (header.nlmsg_type >= NLMSG_MIN_TYPE) on_message(message);
                             return true;
                         });
    }
    return overrun;
}

}  // namespace sluice::kernel
