// SPDX-License-Identifier: Apache-2.0
#include "bench/health_servers.h"

#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/reactor.h"

namespace sluice::bench {
namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
    "Connection: close\r\n\r\nok\n";
constexpr int kBacklog = 4096;

struct Free {
    void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { ::SSL_free(ssl); }
    void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { ::X509_free(certificate); }
};

std::unique_ptr<SSL_CTX, Free> tls_context() {
    std::unique_ptr<SSL_CTX, Free> context(::SSL_CTX_new(::TLS_server_method()));
    const std::unique_ptr<EVP_PKEY, Free> key(::EVP_EC_gen("P-256"));
    const std::unique_ptr<X509, Free> certificate(::X509_new());
    ::X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
    ::X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86400);
    ::X509_set_pubkey(certificate.get(), key.get());
    ::X509_sign(certificate.get(), key.get(), ::EVP_sha256());
    ::SSL_CTX_use_certificate(context.get(), certificate.get());
    ::SSL_CTX_use_PrivateKey(context.get(), key.get());
    return context;
}

class Server;

struct Connection {
    Connection(Reactor& reactor, Server& owner, UniqueFd socket);
    UniqueFd fd;
    std::unique_ptr<SSL, Free> ssl;
    Watch watch;
};

/// One listening port: answers everything that it is told, and closes.
class Server {
 public:
    Server(Reactor& reactor, SSL_CTX* context)
        : reactor_(reactor), context_(context), watch_(reactor, [this](auto) { accept_all(); }) {}

    bool open(int listener) {
        listener_ = listener;
        return watch_.set(listener, EPOLLIN).has_value();
    }
    void serve(Connection& connection) {
        if (!answer(connection)) connections_.erase(&connection);
    }

 private:
    void accept_all() {
        for (;;) {
            UniqueFd fd(::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!fd.valid()) return;
            auto connection = std::make_unique<Connection>(reactor_, *this, std::move(fd));
            if (context_ != nullptr) {
                connection->ssl.reset(::SSL_new(context_));
                ::SSL_set_fd(connection->ssl.get(), connection->fd.get());
                ::SSL_set_accept_state(connection->ssl.get());
            }
            if (!connection->watch.set(connection->fd.get(), EPOLLIN)) continue;
            Connection* key = connection.get();
            connections_[key] = std::move(connection);
        }
    }

    /// False: the connection is over.
    static bool answer(Connection& connection) {
        std::array<char, 2048> buffer;
        if (connection.ssl != nullptr) {
            const int got =
                ::SSL_read(connection.ssl.get(), buffer.data(), static_cast<int>(buffer.size()));
            if (got <= 0) return ::SSL_get_error(connection.ssl.get(), got) == SSL_ERROR_WANT_READ;
            ::SSL_write(connection.ssl.get(), kAnswer.data(), static_cast<int>(kAnswer.size()));
            ::SSL_shutdown(connection.ssl.get());
            return false;
        }
        const ssize_t got = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) return got < 0 && errno == EAGAIN;
        ::send(connection.fd.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
        return false;
    }

    Reactor& reactor_;
    SSL_CTX* context_;
    int listener_ = -1;
    Watch watch_;
    std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
};

Connection::Connection(Reactor& reactor, Server& owner, UniqueFd socket)
    : fd(std::move(socket)), watch(reactor, [this, &owner](auto) { owner.serve(*this); }) {}

[[noreturn]] void serve_for_ever(int http, int https) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    ::signal(SIGPIPE, SIG_IGN);
    auto reactor = Reactor::open();
    if (!reactor) ::_exit(1);
    const auto context = tls_context();
    Server plain(**reactor, nullptr);
    Server tls(**reactor, context.get());
    if (!plain.open(http) || !tls.open(https)) ::_exit(1);
    (*reactor)->run();
    ::_exit(0);
}

Result<UniqueFd> listener(std::uint16_t& port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    socklen_t len = sizeof(any);
    auto* address = reinterpret_cast<sockaddr*>(&any);
    if (!fd.valid() || ::bind(fd.get(), address, len) != 0 || ::listen(fd.get(), kBacklog) != 0 ||
        ::getsockname(fd.get(), address, &len) != 0) {
        const int saved = errno;
        return fail(sys_error(saved, "listen for checks"));
    }
    port = ntohs(any.sin_port);
    return fd;
}

}  // namespace

Result<HealthServers> HealthServers::start() {
    HealthServers out;
    const UniqueFd http = SLC_TRY(listener(out.http_port_), "servers");
    const UniqueFd https = SLC_TRY(listener(out.https_port_), "servers");
    out.pid_ = ::fork();
    if (out.pid_ == 0) serve_for_ever(http.get(), https.get());
    const int saved = errno;
    if (out.pid_ < 0) return fail(sys_error(saved, "start a server"));
    return out;
}

HealthServers::HealthServers(HealthServers&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      http_port_(other.http_port_),
      https_port_(other.https_port_) {}

HealthServers::~HealthServers() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

}  // namespace sluice::bench
