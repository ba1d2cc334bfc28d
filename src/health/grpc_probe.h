// SPDX-License-Identifier: Apache-2.0
#pragma once

/// grpc.health.v1.Health/Check over HTTP/2, plain (prior knowledge) or TLS.

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "health/probe.h"
#include "health/stream.h"

namespace sluice::health {

/// The message of a HealthCheckRequest, with gRPC's five bytes in front.
std::string grpc_health_request(std::string_view service);

/// What a HealthCheckResponse, with gRPC's five bytes in front, says.
Finding judge_grpc_health(std::string_view message);

class GrpcProbe final : public Probe, private Stream::User {
 public:
    GrpcProbe(Reactor& reactor, const Target& target, std::shared_ptr<const Tls> tls, Owner& owner);
    ~GrpcProbe() override { stop(); }

    void start() override;
    void stop() override;
    [[nodiscard]] std::string progress() const override { return stream_.progress(); }

 private:
    static constexpr std::size_t kOpening = 20;
    static constexpr std::size_t kMostMessage = 65536;
    static constexpr std::size_t kMostBytes = 262144;  ///< Of the connection.

    struct SessionFree {
        void operator()(nghttp2_session* session) const { ::nghttp2_session_del(session); }
    };

    void on_open() override;
    void on_data(std::string_view bytes) override;
    void on_end() override;
    void on_failure(Finding finding) override { owner_.on_finding(std::move(finding)); }

    bool begin_session();
    bool submit();
    void send_queued();
    [[nodiscard]] Finding judge() const;

    // What nghttp2 calls; they only take notes.
    static int take_header(nghttp2_session* session, const nghttp2_frame* frame,
                           const std::uint8_t* name, std::size_t name_len,
                           const std::uint8_t* value, std::size_t value_len, std::uint8_t flags,
                           void* self);
    static int take_data(nghttp2_session* session, std::uint8_t flags, std::int32_t stream,
                         const std::uint8_t* data, std::size_t size, void* self);
    static int take_close(nghttp2_session* session, std::int32_t stream, std::uint32_t error,
                          void* self);
    static int take_invalid(nghttp2_session* session, const nghttp2_frame* frame, int error,
                            void* self);
    static ssize_t give_body(nghttp2_session* session, std::int32_t stream, std::uint8_t* buffer,
                             std::size_t size, std::uint32_t* flags, nghttp2_data_source* source,
                             void* self);

    const Target& target_;
    Owner& owner_;
    bool is_tls_;
    Stream stream_;
    std::string request_;
    std::string authority_;
    std::unique_ptr<nghttp2_session, SessionFree> session_;

    std::size_t request_sent_ = 0;
    std::size_t received_ = 0;
    std::string opening_;  ///< Its first kOpening bytes.
    std::string message_;
    std::string http_status_;
    std::string grpc_status_;
    std::string grpc_message_;
    std::string protocol_error_;
    std::optional<std::uint32_t> closed_with_;  ///< HTTP/2 error code of the stream.
};

}  // namespace sluice::health
