// SPDX-License-Identifier: Apache-2.0
#include "health/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <utility>

#include "health/socket.h"

namespace sluice::health {
namespace {

/// The first error of the queue, which is emptied.
std::string openssl_text() {
    const unsigned long code = ::ERR_get_error();
    ::ERR_clear_error();
    const char* text = code == 0 ? nullptr : ::ERR_reason_error_string(code);
    return text == nullptr ? "unknown error" : text;
}

Error file_error(const std::string& file) {
    return make_error(Errc::invalid, fmt::format("{}: {}", file, openssl_text()),
                      "is it there, readable for the daemon, and PEM?");
}

Result<> load_files(SSL_CTX* context, const config::CheckTls& settings) {
    if (!settings.ca_file.empty()) {
        if (::SSL_CTX_load_verify_file(context, settings.ca_file.c_str()) != 1)
            return fail(file_error(settings.ca_file));
    } else if (settings.verify && ::SSL_CTX_set_default_verify_paths(context) != 1) {
        return fail(Errc::system, "the system's CA certificates: " + openssl_text());
    }
    if (settings.certificate_file.empty()) return {};
    const std::string& key =
        settings.key_file.empty() ? settings.certificate_file : settings.key_file;
    if (::SSL_CTX_use_certificate_chain_file(context, settings.certificate_file.c_str()) != 1)
        return fail(file_error(settings.certificate_file));
    if (::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
        return fail(file_error(key));
    return {};
}

}  // namespace

Result<std::shared_ptr<const Tls>> Tls::load(const config::CheckTls& settings,
                                             const std::string& protocol) {
    ::ERR_clear_error();
    std::shared_ptr<Tls> out(new Tls);
    out->context_.reset(::SSL_CTX_new(::TLS_client_method()));
    SSL_CTX* context = out->context_.get();
    if (context == nullptr) return fail(Errc::limit, "TLS: " + openssl_text());
    SLC_CHECK(load_files(context, settings), "TLS");
    ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    // Many servers close without close_notify; lengths say whether an answer is complete.
    ::SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET);
    ::SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    ::SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    const std::string wire = static_cast<char>(protocol.size()) + protocol;
    ::SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(wire.data()),
                              static_cast<unsigned>(wire.size()));
    out->verify_ = settings.verify;
    return std::shared_ptr<const Tls>(std::move(out));
}

std::shared_ptr<const Tls> Tls::broken(std::string error) {
    std::shared_ptr<Tls> out(new Tls);
    out->error_ = std::move(error);
    return out;
}

SslPtr Tls::session(int fd, const std::string& name) const {
    if (context_ == nullptr) return nullptr;
    SslPtr ssl(::SSL_new(context_.get()));
    if (ssl == nullptr || ::SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
    // RFC 6066 section 3: SNI holds no addresses. Those are proved by their own kind of name.
    if (IpAddress::parse(name)) {
        if (verify_) ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl.get()), name.c_str());
    } else {
        ::SSL_set_tlsext_host_name(ssl.get(), name.c_str());
        if (verify_) {
            ::SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
            if (::SSL_set1_host(ssl.get(), name.c_str()) != 1) return nullptr;
        }
    }
    ::SSL_set_connect_state(ssl.get());
    return ssl;
}

Finding tls_failure(const SSL* ssl, int ssl_error, int saved_errno) {
    const long verified = ::SSL_get_verify_result(ssl);
    if (verified != X509_V_OK && (::SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0) {
        ::ERR_clear_error();
        return {.why = Why::certificate,
                .text = printable(::X509_verify_cert_error_string(verified)),
                .load = {}};
    }
    if (ssl_error == SSL_ERROR_SYSCALL) {
        ::ERR_clear_error();
        if (saved_errno == 0) return {.why = Why::closed, .text = {}, .load = {}};
        return finding_of_errno(saved_errno, "TLS");
    }
    return {.why = Why::tls, .text = printable(openssl_text()), .load = {}};
}

}  // namespace sluice::health
