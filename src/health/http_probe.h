// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One request and its answer, over HTTP/1.1, plain or TLS.

#include <memory>
#include <string>

#include "health/http_reply.h"
#include "health/probe.h"
#include "health/stream.h"

namespace sluice::health {

/// What goes into the Host header: `host`, or the address, with the port unless it is `usual_port`.
std::string host_header(const Target& target, std::uint16_t usual_port);

/// What the certificate must prove: `server_name`, or the host without a port, or the address.
std::string tls_name(const Target& target);

class HttpProbe final : public Probe, private Stream::User {
 public:
    HttpProbe(Reactor& reactor, const Target& target, std::shared_ptr<const Tls> tls, Owner& owner);

    void start() override;
    void stop() override { stream_.close(); }
    [[nodiscard]] std::string progress() const override { return stream_.progress(); }

 private:
    void on_open() override { stream_.send(request_); }
    void on_data(std::string_view bytes) override;
    void on_end() override;
    void on_failure(Finding finding) override { owner_.on_finding(std::move(finding)); }

    /// Tells the owner as soon as the answer says enough.
    void judge();
    [[nodiscard]] bool wants_status(unsigned status) const;
    [[nodiscard]] bool has_body_match();
    void pass();

    const Target& target_;
    Owner& owner_;
    Stream stream_;
    std::string request_;
    HttpReply reply_;
    std::size_t searched_ = 0;  ///< Of the body, without what is looked for.
};

}  // namespace sluice::health
