// SPDX-License-Identifier: Apache-2.0
#include "api/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "api/json.h"
#include "base/unique_fd.h"

namespace sluice::api {
namespace {

using Clock = std::chrono::steady_clock;

/// Longest answer that is read: some 400 bytes for each of a million backends fit.
constexpr std::size_t kMaxAnswerLen = std::size_t{1} << 30;
constexpr std::size_t kMaxHeadLen = 8192;
constexpr std::size_t kMaxChunkHeadLen = 32;
constexpr std::size_t kMaxLineLen = 65536;

Error unreachable(int saved_errno, const std::string& step) {
    Error error = sys_error(saved_errno, step);
    error.code = Errc::unreachable;
    switch (saved_errno) {
        case ENOENT:
        case ECONNREFUSED:
            error.hint = "is sluiced running? systemctl status sluiced; --socket names another one";
            break;
        case EACCES:
        case EPERM:
            error.hint = "become a member of group sluice, or root";
            break;
        default:
            break;
    }
    return error;
}

/// Waits until `fd` is ready for `events`, or the deadline.
Result<void> wait_for(int fd, short events, Clock::time_point deadline) {
    while (true) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0)
            return fail(Errc::unreachable, "the daemon does not answer in time",
                        "systemctl status sluiced shows what it does");
        pollfd entry{fd, events, 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(left));
        const int saved_errno = errno;
        if (ready > 0) return {};
        if (ready < 0 && saved_errno != EINTR) return fail(unreachable(saved_errno, "wait"));
    }
}

Result<UniqueFd> connect_to(const std::string& path, Clock::time_point deadline) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return fail(unreachable(ENAMETOOLONG, "not a socket path"));
    std::memcpy(address.sun_path, path.data(), path.size());
    while (true) {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (!fd.valid()) return fail(unreachable(errno, "open a socket"));
        // A full backlog makes connect() wait; bounded like everything else.
        const timeval limit{
            std::max<time_t>(
                1,
                std::chrono::duration_cast<std::chrono::seconds>(deadline - Clock::now()).count()),
            0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
            return fd;
        const int saved_errno = errno;
        if (saved_errno != EINTR) return fail(unreachable(saved_errno, "connect"));
    }
}

Result<void> send_all(int fd, std::string_view bytes, Clock::time_point deadline) {
    while (!bytes.empty()) {
        SLC_CHECK(wait_for(fd, POLLOUT, deadline), "send");
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        const int saved_errno = errno;
        if (sent >= 0)
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        else if (saved_errno != EINTR && saved_errno != EAGAIN)
            return fail(unreachable(saved_errno, "send"));
    }
    return {};
}

/// Some bytes, or none at the end. In `buffer`, until the next call.
Result<std::string_view> receive(int fd, std::span<char> buffer, Clock::time_point deadline) {
    while (true) {
        SLC_CHECK(wait_for(fd, POLLIN, deadline), "receive");
        const ssize_t received = ::recv(fd, buffer.data(), buffer.size(), 0);
        const int saved_errno = errno;
        if (received >= 0)
            return std::string_view(buffer.data(), static_cast<std::size_t>(received));
        if (saved_errno != EINTR && saved_errno != EAGAIN)
            return fail(unreachable(saved_errno, "receive"));
    }
}

/// The rest of an answer that begins with `out`.
Result<std::string> receive_all(int fd, Clock::time_point deadline, std::string out = {}) {
    char buffer[65536];
    while (true) {
        auto bytes = receive(fd, buffer, deadline);
        // How the end looks when the daemon has not read all that was sent to it: whether the
        // answer is whole, its length says.
        const bool is_cut = !bytes && bytes.error().sys == ECONNRESET && !out.empty();
        if (!bytes && !is_cut) return fail(std::move(bytes).error());
        if (is_cut || bytes->empty()) return out;
        if (out.size() + bytes->size() > kMaxAnswerLen)
            return fail(Errc::limit, "the daemon's answer is longer than 1 GiB");
        out += *bytes;
    }
}

bool equals_ignoring_case(std::string_view left, std::string_view right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) ==
               std::tolower(static_cast<unsigned char>(b));
    });
}

std::optional<std::size_t> content_length(std::string_view headers) {
    while (!headers.empty()) {
        const std::size_t end = std::min(headers.find("\r\n"), headers.size());
        const std::string_view line = headers.substr(0, end);
        headers.remove_prefix(std::min(end + 2, headers.size()));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos ||
            !equals_ignoring_case(line.substr(0, colon), "content-length"))
            continue;
        std::string_view digits = line.substr(colon + 1);
        while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
        std::size_t value = 0;
        const auto [last, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc() || last != digits.data() + digits.size()) return std::nullopt;
        return value;
    }
    return std::nullopt;
}

Error not_ours(std::string_view why) {
    return make_error(Errc::unreachable, "what answers is not sluiced: " + std::string(why));
}

Error ended_early() {
    return make_error(Errc::unreachable, "the daemon ended before its answer did");
}

std::string request_text(std::string_view method, std::string_view target, std::string_view body) {
    return fmt::format(
        "{} {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        method, target, body.size(), body);
}

}  // namespace

Result<std::string> read_answer(std::string_view bytes) {
    const auto broken = [](std::string_view why) { return fail(not_ours(why)); };
    const std::size_t head_len = bytes.find("\r\n\r\n");
    constexpr std::string_view kVersion = "HTTP/1.1 ";
    if (head_len == std::string_view::npos || !bytes.starts_with(kVersion))
        return broken("no HTTP");
    unsigned status = 0;
    const char* digits = bytes.data() + kVersion.size();
    const auto [end, error] = std::from_chars(digits, digits + 3, status);
    if (error != std::errc() || end != digits + 3) return broken("no status");
    const auto len = content_length(bytes.substr(0, head_len));
    const std::string_view body = bytes.substr(head_len + 4);
    if (!len || body.size() != *len) return broken("the answer was cut short");
    if (status < 200 || status > 299) return fail(error_from_json(body, status));
    return std::string(body);
}

Result<void> ChunkReader::take_size(std::string_view& bytes) {
    const std::size_t end = bytes.find('\n');
    size_ += bytes.substr(0, end);
    if (size_.size() > kMaxChunkHeadLen) return fail(not_ours("no chunk"));
    if (end == std::string_view::npos) {
        bytes = {};
        return {};
    }
    bytes.remove_prefix(end + 1);
    const std::string head = std::exchange(size_, {});
    if (part_ == Part::data_end) {
        part_ = Part::size;
        return head == "\r" ? Result<void>() : fail(not_ours("no end of a chunk"));
    }
    const auto [last, error] = std::from_chars(head.data(), head.data() + head.size(), left_, 16);
    if (error != std::errc() || std::string_view(last) != "\r") return fail(not_ours("no chunk"));
    part_ = left_ == 0 ? Part::end : Part::data;
    return {};
}

Result<void> ChunkReader::take(std::string_view bytes) {
    while (!bytes.empty() && part_ != Part::end) {
        if (part_ != Part::data) {
            auto taken = take_size(bytes);
            if (!taken) return taken;
            continue;
        }
        const std::string_view data = bytes.substr(0, left_);
        bytes.remove_prefix(data.size());
        left_ -= data.size();
        if (left_ == 0) part_ = Part::data_end;
        auto taken = on_bytes_(data);
        if (!taken) return taken;
    }
    return {};
}

Result<void> LineReader::take_data(std::string_view data) {
    while (!data.empty()) {
        const std::size_t end = data.find('\n');
        if (end == std::string_view::npos || !line_.empty()) line_ += data.substr(0, end);
        if (line_.size() > kMaxLineLen) return fail(not_ours("a line is too long"));
        if (end == std::string_view::npos) return {};
        auto taken = on_line_(line_.empty() ? data.substr(0, end) : std::string_view(line_));
        if (!taken) return taken;
        line_.clear();
        data.remove_prefix(end + 1);
    }
    return {};
}

/// An answer that comes in chunks, its head taken off.
struct Client::Stream {
    UniqueFd fd;
    std::string begin;  ///< Of its body: what came with the head.
};

Result<Client::Stream> Client::open_stream(const std::string& target,
                                           const std::string& body) const {
    const auto next_deadline = [this] { return Clock::now() + timeout_; };
    UniqueFd fd = SLC_TRY(connect_to(socket_path_, next_deadline()), socket_path_);
    const std::string request = request_text(body.empty() ? "GET" : "POST", target, body);
    SLC_CHECK(send_all(fd.get(), request, next_deadline()), socket_path_);
    char buffer[65536];
    std::string head;
    std::size_t end = std::string::npos;
    while (end == std::string::npos && head.size() <= kMaxHeadLen) {
        const auto bytes = SLC_TRY(receive(fd.get(), buffer, next_deadline()), socket_path_);
        if (bytes.empty()) break;
        head += bytes;
        end = head.find("\r\n\r\n");
    }
    if (end == std::string::npos || head.find("\r\nTransfer-Encoding: chunked\r\n") > end) {
        // No stream: an error, most likely.
        const auto whole = read_answer(
            SLC_TRY(receive_all(fd.get(), next_deadline(), std::move(head)), socket_path_));
        return whole ? fail(not_ours("no stream")) : fail(whole.error());
    }
    return Stream{std::move(fd), head.substr(end + 4)};
}

Result<void> Client::stream(const std::string& target, const OnLine& on_line) const {
    auto stream = open_stream(target, {});
    if (!stream) return fail(std::move(stream).error());
    LineReader reader([&on_line](std::string_view line) -> Result<void> {
        if (line.find("\"code\":") != std::string_view::npos)
            return fail(error_from_json(line, 500));
        return on_line(line);
    });
    char buffer[65536];
    std::string_view bytes = stream->begin;
    while (true) {
        auto taken = reader.take(bytes);
        if (!taken) return taken;
        if (reader.is_whole()) return {};
        bytes = SLC_TRY(receive(stream->fd.get(), buffer, Clock::now() + timeout_), socket_path_);
        if (bytes.empty()) return fail(ended_early());
    }
}

Result<void> Client::read(const std::string& target, const OnBytes& on_bytes,
                          const std::string& body) const {
    auto stream = open_stream(target, body);
    if (!stream) return fail(std::move(stream).error());
    ChunkReader reader(on_bytes);
    auto taken = reader.take(stream->begin);
    std::vector<char> buffer(std::size_t{256} << 10);
    while (taken && !reader.is_whole()) {
        pollfd entry{stream->fd.get(), POLLIN, 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(kIdle.count()));
        int saved_errno = errno;
        if (ready < 0 && saved_errno != EINTR) return fail(unreachable(saved_errno, "wait"));
        if (ready <= 0) {
            taken = on_bytes({});
            continue;
        }
        const ssize_t received = ::recv(stream->fd.get(), buffer.data(), buffer.size(), 0);
        saved_errno = errno;
        if (received == 0) return fail(ended_early());
        if (received > 0)
            taken = reader.take({buffer.data(), static_cast<std::size_t>(received)});
        else if (saved_errno != EINTR && saved_errno != EAGAIN)
            return fail(unreachable(saved_errno, "receive").in(socket_path_));
    }
    return taken;
}

Result<std::string> Client::ask(const std::string& method, const std::string& target,
                                const std::string& body) const {
    const auto deadline = Clock::now() + timeout_;
    const UniqueFd fd = SLC_TRY(connect_to(socket_path_, deadline), socket_path_);
    auto sent = send_all(fd.get(), request_text(method, target, body), deadline);
    // A daemon that takes no more may have said why before it closed.
    const bool is_cut = !sent && (sent.error().sys == EPIPE || sent.error().sys == ECONNRESET);
    if (!sent && !is_cut) return fail(std::move(sent).error().in(socket_path_));
    const auto bytes = receive_all(fd.get(), deadline);
    if (is_cut && (!bytes || bytes->empty())) return fail(std::move(sent).error().in(socket_path_));
    if (!bytes) return fail(Error(bytes.error()).in(socket_path_));
    return read_answer(*bytes);
}

}  // namespace sluice::api
