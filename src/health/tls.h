// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What TLS sessions of checks need, made once from the configuration: files are read here, which
/// may take long, and never on the reactor that makes checks. Only the system's own CA certificates
/// are looked up in their folder when one is needed for the first time.

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "config/health.h"
#include "health/outcome.h"

namespace sluice::health {

struct SslFree {
    void operator()(SSL* ssl) const { ::SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;
using SslContextPtr = std::unique_ptr<SSL_CTX, SslFree>;

/// May be shared by probes of many targets; never changed after load().
class Tls {
 public:
    /// TLS 1.2 or 1.3. Every session is a full handshake: a resumed one would not show the
    /// certificate again. `protocol`: for ALPN, "http/1.1" or "h2".
    static Result<std::shared_ptr<const Tls>> load(const config::CheckTls& settings,
                                                   const std::string& protocol);
    /// One that makes no session: every check ends with Why::local and `error`.
    static std::shared_ptr<const Tls> broken(std::string error);

    /// A session with the server that is to prove `name`: a host name, which is also sent as SNI,
    /// or an address. Null: `error()` says why.
    [[nodiscard]] SslPtr session(int fd, const std::string& name) const;
    [[nodiscard]] const std::string& error() const { return error_; }

 private:
    Tls() = default;
    SslContextPtr context_;
    bool verify_ = true;
    std::string error_;
};

/// Why the last operation on `ssl` failed, for SSL_ERROR_SSL and SSL_ERROR_SYSCALL; clears the
/// thread's queue of errors. `saved_errno`: right after the operation.
Finding tls_failure(const SSL* ssl, int ssl_error, int saved_errno);

}  // namespace sluice::health
