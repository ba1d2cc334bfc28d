// SPDX-License-Identifier: Apache-2.0
#include "health/stream.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "health/socket.h"

namespace sluice::health {
namespace {

constexpr std::size_t kReadBytes = 16384;

}  // namespace

Stream::Stream(Reactor& reactor, User& user, std::shared_ptr<const Tls> tls, std::string name)
    : user_(user),
      watch_(reactor, [this](std::uint32_t events) { on_events(events); }),
      tls_(std::move(tls)),
      name_(std::move(name)) {}

void Stream::open(const Target& target) {
    close();
    ++connection_;
    received_ = 0;
    OpenedSocket opened = connect_socket(target, SOCK_STREAM);
    if (!opened.fd.valid()) return fail_with(std::move(opened.failure));
    fd_ = std::move(opened.fd);
    stage_ = Stage::connecting;
    // Edges, all at once: no other call is needed for as long as the connection lives.
    const auto watched = watch_.set(fd_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    if (!watched) fail_with({.why = Why::local, .text = watched.error().what, .load = {}});
}

void Stream::close() {
    if (stage_ == Stage::closed) return;
    stage_ = Stage::closed;
    watch_.stop();
    ssl_.reset();
    fd_.reset();
    unsent_.clear();
}

void Stream::fail_with(Finding finding) {
    close();
    user_.on_failure(std::move(finding));
}

void Stream::on_events(std::uint32_t events) {
    const std::uint32_t connection = connection_;
    const auto is_here = [&] { return connection == connection_ && stage_ != Stage::closed; };
    if ((events & EPOLLERR) != 0) {
        // What had arrived before a reset may be a whole answer; reading tells of the reset itself.
        if (stage_ == Stage::open) receive(events);
        if (!is_here()) return;
        const int error = pending_error(fd_.get());
        return fail_with(finding_of_errno(error == 0 ? ECONNRESET : error, "connect"));
    }
    if (stage_ == Stage::connecting && (events & EPOLLOUT) != 0) connected();
    if (is_here() && stage_ == Stage::handshake) handshake();
    if (is_here() && stage_ == Stage::open && !unsent_.empty()) flush();
    if (is_here() && stage_ == Stage::open && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0)
        receive(events);
}

void Stream::connected() {
    if (tls_ == nullptr) {
        stage_ = Stage::open;
        return user_.on_open();
    }
    ssl_ = tls_->session(fd_.get(), name_);
    if (ssl_ == nullptr)
        return fail_with({.why = Why::local,
                          .text = tls_->error().empty() ? "no TLS session" : tls_->error(),
                          .load = {}});
    stage_ = Stage::handshake;
}

void Stream::handshake() {
    ::ERR_clear_error();
    const int result = ::SSL_connect(ssl_.get());
    if (result != 1) {
        tls_result(result);
        return;
    }
    stage_ = Stage::open;
    const std::uint32_t connection = connection_;
    user_.on_open();
    // The first data may have come with the end of the handshake: there will be no other edge.
    if (connection == connection_ && stage_ == Stage::open) receive(EPOLLIN | EPOLLRDHUP);
}

long Stream::tls_result(int result) {
    const int saved = errno;
    const int error = ::SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return -1;
    if (error == SSL_ERROR_ZERO_RETURN && stage_ == Stage::open) return 0;
    // A connection that ends during the handshake has no errno.
    Finding finding = error == SSL_ERROR_ZERO_RETURN
                          ? Finding{.why = Why::closed, .text = {}, .load = {}}
                          : tls_failure(ssl_.get(), error, result == 0 ? 0 : saved);
    if (finding.why == Why::closed) finding.text = "in the TLS handshake";
    fail_with(std::move(finding));
    return -1;
}

void Stream::send(std::string_view bytes) {
    if (stage_ != Stage::open) return;
    unsent_ += bytes;
    flush();
}

void Stream::flush() {
    while (!unsent_.empty()) {
        const long sent = write_some(unsent_);
        if (sent < 0) return;
        unsent_.erase(0, static_cast<std::size_t>(sent));
    }
}

long Stream::write_some(std::string_view bytes) {
    if (ssl_ != nullptr) {
        ::ERR_clear_error();
        const int result = ::SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
        if (result > 0) return result;
        return tls_result(result) < 0 ? -1 : 0;
    }
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    const int saved = errno;
    if (sent >= 0) return sent;
    if (saved != EAGAIN) fail_with(finding_of_errno(saved, "send"));
    return -1;
}

namespace {

/// One for each thread: what is read is handed on before the next read.
std::array<char, kReadBytes>& read_buffer() {
    thread_local std::array<char, kReadBytes> buffer;
    return buffer;
}

}  // namespace

long Stream::read_some() {
    auto& buffer = read_buffer();
    if (ssl_ != nullptr) {
        ::ERR_clear_error();
        errno = 0;
        const int result = ::SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
        return result > 0 ? result : tls_result(result);
    }
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    const int saved = errno;
    if (got >= 0) return got;
    if (saved != EAGAIN) fail_with(finding_of_errno(saved, "receive"));
    return -1;
}

void Stream::receive(std::uint32_t events) {
    const std::uint32_t connection = connection_;
    while (connection == connection_ && stage_ == Stage::open) {
        const long got = read_some();
        if (got < 0) return;
        if (got == 0) return user_.on_end();
        received_ += static_cast<std::size_t>(got);
        user_.on_data({read_buffer().data(), static_cast<std::size_t>(got)});
        // A short read emptied the socket: what comes later is a new edge. An end that was
        // announced is not.
        const bool is_short = static_cast<std::size_t>(got) < kReadBytes;
        if (ssl_ == nullptr && is_short && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0)
            return;
    }
}

std::string_view Stream::agreed_protocol() const {
    if (ssl_ == nullptr) return {};
    const unsigned char* name = nullptr;
    unsigned len = 0;
    ::SSL_get0_alpn_selected(ssl_.get(), &name, &len);
    return {reinterpret_cast<const char*>(name), len};
}

std::string Stream::progress() const {
    switch (stage_) {
        case Stage::closed:
        case Stage::connecting:
            return "not connected";
        case Stage::handshake:
            return "in the TLS handshake";
        case Stage::open:
            break;
    }
    if (received_ == 0) return "connected, no answer";
    return fmt::format("{} bytes received", received_);
}

}  // namespace sluice::health
