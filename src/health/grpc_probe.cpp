// SPDX-License-Identifier: Apache-2.0
#include "health/grpc_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "health/http_probe.h"

namespace sluice::health {
namespace {

constexpr std::size_t kPrefixLen = 5;  ///< Compressed or not, and four bytes of length.
constexpr const char* kPath = "/grpc.health.v1.Health/Check";

/// A varint of protobuf; empty: cut short or too long.
std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
    std::uint64_t out = 0;
    for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) return out;
    }
    return {};
}

/// Skips a field that is not known; false: no protobuf.
bool skip_field(std::string_view& bytes, unsigned wire_type) {
    std::optional<std::uint64_t> size;
    switch (wire_type) {
        case 0:
            return take_varint(bytes).has_value();
        case 1:
            size = 8;
            break;
        case 2:
            size = take_varint(bytes);
            break;
        case 5:
            size = 4;
            break;
        default:
            return false;
    }
    if (!size || *size > bytes.size()) return false;
    bytes.remove_prefix(static_cast<std::size_t>(*size));
    return true;
}

/// HealthCheckResponse.status, which is field 1 and 0 when it is left out; empty: no protobuf.
std::optional<std::uint64_t> serving_status(std::string_view message) {
    std::uint64_t out = 0;
    while (!message.empty()) {
        const auto tag = take_varint(message);
        if (!tag) return {};
        if (*tag == (1 << 3 | 0)) {
            const auto value = take_varint(message);
            if (!value) return {};
            out = *value;
        } else if (!skip_field(message, static_cast<unsigned>(*tag & 7))) {
            return {};
        }
    }
    return out;
}

Finding protocol(std::string text) {
    return {.why = Why::protocol, .text = printable(text), .load = {}};
}

std::string status_name(std::string_view code) {
    static constexpr const char* kNames[] = {"OK",
                                             "CANCELLED",
                                             "UNKNOWN",
                                             "INVALID_ARGUMENT",
                                             "DEADLINE_EXCEEDED",
                                             "NOT_FOUND",
                                             "ALREADY_EXISTS",
                                             "PERMISSION_DENIED",
                                             "RESOURCE_EXHAUSTED",
                                             "FAILED_PRECONDITION",
                                             "ABORTED",
                                             "OUT_OF_RANGE",
                                             "UNIMPLEMENTED",
                                             "INTERNAL",
                                             "UNAVAILABLE",
                                             "DATA_LOSS",
                                             "UNAUTHENTICATED"};
    unsigned value = 0;
    for (const char c : code) {
        if (c < '0' || c > '9' || value > std::size(kNames)) return "unknown";
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value < std::size(kNames) ? kNames[value] : "unknown";
}

nghttp2_nv header(const char* name, const std::string& value) {
    // nghttp2 copies both, in spite of its types.
    return {.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name)),
            .value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
            .namelen = std::strlen(name),
            .valuelen = value.size(),
            .flags = NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

std::string grpc_health_request(std::string_view service) {
    std::string message;
    if (!service.empty()) {
        message += static_cast<char>(1 << 3 | 2);  // Field 1, a string.
        std::size_t len = service.size();
        for (; len >= 0x80; len >>= 7) message += static_cast<char>(len | 0x80);
        message += static_cast<char>(len);
        message += service;
    }
    std::string out(1, '\0');
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(message.size() >> shift & 0xff);
    return out + message;
}

Finding judge_grpc_health(std::string_view message) {
    if (message.size() < kPrefixLen) return protocol("no whole gRPC message");
    std::size_t len = 0;
    for (std::size_t i = 1; i < kPrefixLen; ++i)
        len = len << 8 | static_cast<unsigned char>(message[i]);
    if (message[0] != 0) return protocol("a compressed gRPC message, which was not offered");
    message.remove_prefix(kPrefixLen);
    if (message.size() != len) return protocol("no whole gRPC message");
    const auto status = serving_status(message);
    if (!status) return protocol("no HealthCheckResponse");
    static constexpr const char* kNames[] = {"UNKNOWN", "SERVING", "NOT_SERVING",
                                             "SERVICE_UNKNOWN"};
    const std::string name =
        *status < std::size(kNames) ? kNames[*status] : fmt::format("status {}", *status);
    return {.why = *status == 1 ? Why::passed : Why::not_serving, .text = name, .load = {}};
}

GrpcProbe::GrpcProbe(Reactor& reactor, const Target& target, std::shared_ptr<const Tls> tls,
                     Owner& owner)
    : target_(target),
      owner_(owner),
      is_tls_(tls != nullptr),
      stream_(reactor, *this, std::move(tls), tls_name(target)),
      request_(grpc_health_request(target.check->grpc_service)),
      authority_(host_header(target, is_tls_ ? 443 : 80)) {}

void GrpcProbe::start() {
    request_sent_ = 0;
    received_ = 0;
    opening_.clear();
    message_.clear();
    http_status_.clear();
    grpc_status_.clear();
    grpc_message_.clear();
    protocol_error_.clear();
    closed_with_.reset();
    stream_.open(target_);
}

void GrpcProbe::stop() {
    session_.reset();
    stream_.close();
}

bool GrpcProbe::begin_session() {
    nghttp2_session_callbacks* callbacks = nullptr;
    if (::nghttp2_session_callbacks_new(&callbacks) != 0) return false;
    ::nghttp2_session_callbacks_set_on_header_callback(callbacks, take_header);
    ::nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, take_data);
    ::nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, take_close);
    ::nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, take_invalid);
    nghttp2_session* session = nullptr;
    const int result = ::nghttp2_session_client_new(&session, callbacks, this);
    ::nghttp2_session_callbacks_del(callbacks);
    session_.reset(session);
    return result == 0 && submit();
}

bool GrpcProbe::submit() {
    const nghttp2_settings_entry settings[] = {
        {.settings_id = NGHTTP2_SETTINGS_ENABLE_PUSH, .value = 0}};
    if (::nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings, 1) != 0)
        return false;
    const std::string post = "POST", scheme = is_tls_ ? "https" : "http", path = kPath;
    const std::string type = "application/grpc", trailers = "trailers", agent = "sluice";
    const nghttp2_nv headers[] = {header(":method", post),      header(":scheme", scheme),
                                  header(":path", path),        header(":authority", authority_),
                                  header("content-type", type), header("te", trailers),
                                  header("user-agent", agent)};
    nghttp2_data_provider body{.source = {.ptr = nullptr}, .read_callback = give_body};
    return ::nghttp2_submit_request(session_.get(), nullptr, headers, std::size(headers), &body,
                                    nullptr) >= 0;
}

void GrpcProbe::on_open() {
    if (is_tls_ && stream_.agreed_protocol() != "h2")
        return owner_.on_finding(
            {.why = Why::tls, .text = "the server does not offer HTTP/2 (ALPN h2)", .load = {}});
    if (!begin_session())
        return owner_.on_finding({.why = Why::local, .text = "no HTTP/2 session", .load = {}});
    send_queued();
}

/// Sends at once what nghttp2 has queued: sending may end this session.
void GrpcProbe::send_queued() {
    std::string bytes;
    const std::uint8_t* piece = nullptr;
    for (;;) {
        const ssize_t size = ::nghttp2_session_mem_send(session_.get(), &piece);
        if (size <= 0) break;
        bytes.append(reinterpret_cast<const char*>(piece), static_cast<std::size_t>(size));
    }
    if (!bytes.empty()) stream_.send(bytes);
}

void GrpcProbe::on_data(std::string_view bytes) {
    opening_ += bytes.substr(0, kOpening - std::min(opening_.size(), kOpening));
    received_ += bytes.size();
    if (received_ > kMostBytes)
        return owner_.on_finding(protocol(fmt::format("more than {} bytes", kMostBytes)));
    const ssize_t used = ::nghttp2_session_mem_recv(
        session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (used < 0) protocol_error_ = ::nghttp2_strerror(static_cast<int>(used));
    if (!protocol_error_.empty()) return owner_.on_finding(protocol("HTTP/2: " + protocol_error_));
    if (closed_with_) return owner_.on_finding(judge());
    send_queued();
    // What nghttp2 cannot go on with it ends, once it has said so to the server.
    if (session_ == nullptr || ::nghttp2_session_want_read(session_.get()) != 0) return;
    // RFC 9113 section 3.4: a server begins with SETTINGS, whose type is the fourth byte.
    const bool is_http2 = opening_.size() > 3 && opening_[3] == NGHTTP2_SETTINGS;
    owner_.on_finding(
        protocol(is_http2 ? "HTTP/2: the session was ended" : "no HTTP/2: " + opening_));
}

void GrpcProbe::on_end() {
    owner_.on_finding({.why = Why::closed, .text = stream_.progress(), .load = {}});
}

Finding GrpcProbe::judge() const {
    if (closed_with_ != NGHTTP2_NO_ERROR)
        return {.why = Why::reset,
                .text = fmt::format("HTTP/2: {}", ::nghttp2_http2_strerror(*closed_with_)),
                .load = {}};
    if (http_status_ != "200")
        return {.why = Why::status, .text = printable("HTTP status " + http_status_), .load = {}};
    if (grpc_status_.empty()) return protocol("no gRPC status");
    if (grpc_status_ != "0") {
        std::string text =
            fmt::format("gRPC status {} {}", grpc_status_, status_name(grpc_status_));
        if (!grpc_message_.empty()) text += ": " + grpc_message_;
        return {.why = Why::status, .text = printable(text), .load = {}};
    }
    return judge_grpc_health(message_);
}

int GrpcProbe::take_header(nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/,
                           const std::uint8_t* name, std::size_t name_len,
                           const std::uint8_t* value, std::size_t value_len, std::uint8_t /*flags*/,
                           void* self) {
    auto& probe = *static_cast<GrpcProbe*>(self);
    const std::string_view key(reinterpret_cast<const char*>(name), name_len);
    const std::string_view text(reinterpret_cast<const char*>(value),
                                std::min(value_len, kMostText));
    if (key == ":status") probe.http_status_ = text;
    if (key == "grpc-status") probe.grpc_status_ = text;
    if (key == "grpc-message") probe.grpc_message_ = text;
    return 0;
}

int GrpcProbe::take_data(nghttp2_session* /*session*/, std::uint8_t /*flags*/,
                         std::int32_t /*stream*/, const std::uint8_t* data, std::size_t size,
                         void* self) {
    auto& probe = *static_cast<GrpcProbe*>(self);
    const std::size_t room = kMostMessage - probe.message_.size();
    probe.message_.append(reinterpret_cast<const char*>(data), std::min(size, room));
    return 0;
}

int GrpcProbe::take_close(nghttp2_session* /*session*/, std::int32_t /*stream*/,
                          std::uint32_t error, void* self) {
    static_cast<GrpcProbe*>(self)->closed_with_ = error;
    return 0;
}

int GrpcProbe::take_invalid(nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/, int error,
                            void* self) {
    static_cast<GrpcProbe*>(self)->protocol_error_ = ::nghttp2_strerror(error);
    return 0;
}

ssize_t GrpcProbe::give_body(nghttp2_session* /*session*/, std::int32_t /*stream*/,
                             std::uint8_t* buffer, std::size_t size, std::uint32_t* flags,
                             nghttp2_data_source* /*source*/, void* self) {
    auto& probe = *static_cast<GrpcProbe*>(self);
    const std::size_t part = std::min(size, probe.request_.size() - probe.request_sent_);
    std::memcpy(buffer, probe.request_.data() + probe.request_sent_, part);
    probe.request_sent_ += part;
    if (probe.request_sent_ == probe.request_.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(part);
}

}  // namespace sluice::health
