// SPDX-License-Identifier: Apache-2.0
#include "api/server.h"

#include <sys/socket.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <set>
#include <utility>

#include "api/json.h"
#include "api/listener.h"
#include "api/loop_impl.h"
#include "api/routes.h"
#include "base/log.h"
#include "base/version.h"

namespace sluice::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Protocol = asio::local::stream_protocol;

}  // namespace

class Connection;

struct Server::Impl {
    Impl(Loop& event_loop, ServerOptions server_options, control::NodeView& view, Listener socket)
        : loop(event_loop),
          options(std::move(server_options)),
          node(view),
          listener(std::move(socket)),
          acceptor(event_loop.impl().context) {}

    void accept();
    void ended();

    Loop& loop;
    ServerOptions options;
    control::NodeView& node;
    Listener listener;
    Protocol::acceptor acceptor;
    std::set<std::shared_ptr<Connection>> connections;
    bool accepting = false;
};

/// One client: reads a request, answers, and again, until it closes, errs or takes too long.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
    Connection(Protocol::socket socket, Server::Impl& server)
        : stream_(std::move(socket)), server_(&server) {
        socklen_t len = sizeof peer_;
        if (::getsockopt(stream_.socket().native_handle(), SOL_SOCKET, SO_PEERCRED, &peer_, &len) !=
            0)
            peer_ = {0, static_cast<uid_t>(-1), static_cast<gid_t>(-1)};
    }

    void read() {
        parser_.emplace();
        parser_->header_limit(server_->options.max_header_len);
        parser_->body_limit(server_->options.max_body_len);
        stream_.expires_after(server_->options.read_timeout);
        http::async_read(
            stream_, buffer_, *parser_,
            [self = shared_from_this()](error_code error, std::size_t) { self->on_read(error); });
    }

    /// The server is going away: no more of its members may be touched.
    void abandon() {
        server_ = nullptr;
        stream_.close();
    }

 private:
    using Stream =
        beast::basic_stream<Protocol, asio::any_io_executor, beast::unlimited_rate_policy>;

    void on_read(error_code error) {
        if (server_ == nullptr) return;
        if (error) {
            refuse(error);
            return;
        }
        const auto& message = parser_->get();
        const Request request{std::string(message.method_string()), std::string(message.target())};
        Response response = answer(request, server_->node);
        const bool changes = request.method != "GET";
        log_event(changes ? LogLevel::info : LogLevel::debug, "api.request",
                  {{"method", request.method},
                   {"target", request.target},
                   {"status", std::to_string(response.status)},
                   {"pid", std::to_string(peer_.pid)},
                   {"uid", std::to_string(peer_.uid)},
                   {"gid", std::to_string(peer_.gid)}});
        if (response.reload_after)
            server_->loop.post([node = &server_->node] { (void)node->reload().has_value(); });
        write(std::move(response), message.version(), message.keep_alive());
    }

    /// Answers what could be read as HTTP's own errors; a peer that left or stalls gets nothing.
    void refuse(error_code error) {
        if (error == http::error::header_limit)
            return write_error("the request's headers are too long", 431);
        if (error == http::error::body_limit || error == http::error::buffer_overflow)
            return write_error("the request's body is too long", 413);
        if (error == http::error::end_of_stream || error == beast::error::timeout ||
            error.category() != http::make_error_code(http::error::bad_method).category())
            return close();
        write_error("the request is not HTTP/1.1: " + error.message(), 400);
    }

    void write_error(std::string what, unsigned status) {
        write(error_response(make_error(Errc::invalid, std::move(what)), status), 11, false);
    }

    void write(Response response, unsigned version, bool keep_alive) {
        answer_ = {};
        answer_.version(version == 10 ? 10 : 11);  // What a peer made up is not repeated.
        answer_.result(response.status);
        answer_.set(http::field::server, std::string("sluiced/") + sluice::version());
        answer_.set(http::field::content_type, "application/json");
        if (!response.allow.empty()) answer_.set(http::field::allow, response.allow);
        answer_.keep_alive(keep_alive);
        answer_.body() = std::move(response.body);
        answer_.prepare_payload();
        stream_.expires_after(server_->options.write_timeout);
        http::async_write(
            stream_, answer_,
            [self = shared_from_this()](error_code error, std::size_t) { self->on_write(error); });
    }

    void on_write(error_code error) {
        if (server_ == nullptr) return;
        if (error || !answer_.keep_alive())
            close();
        else
            read();
    }

    void close() {
        error_code ignored;
        stream_.socket().shutdown(Protocol::socket::shutdown_both, ignored);
        stream_.close();
        Server::Impl* server = std::exchange(server_, nullptr);
        server->connections.erase(shared_from_this());
        server->ended();
    }

    Stream stream_;
    Server::Impl* server_;
    ucred peer_{};
    beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> answer_;
};

void Server::Impl::accept() {
    if (accepting || connections.size() >= options.max_connections) return;
    accepting = true;
    acceptor.async_accept([this](error_code error, Protocol::socket socket) {
        // The acceptor was closed with the server: `this` is gone.
        if (error == asio::error::operation_aborted) return;
        accepting = false;
        if (error) {
            log_event(LogLevel::warning, "api.accept_failed", {{"error", error.message()}});
        } else {
            const auto connection = std::make_shared<Connection>(std::move(socket), *this);
            connections.insert(connection);
            connection->read();
        }
        accept();
    });
}

void Server::Impl::ended() {
    accept();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
    for (const auto& connection : impl_->connections) connection->abandon();
}

Result<std::unique_ptr<Server>> Server::open(Loop& loop, ServerOptions options,
                                             control::NodeView& node) {
    Listener listener =
        SLC_TRY(Listener::open(options.socket_path, options.group), "start the API");
    auto impl = std::make_unique<Impl>(loop, std::move(options), node, std::move(listener));
    error_code error;
    impl->acceptor.assign(Protocol(), impl->listener.fd(), error);
    if (error) return fail(sys_error(error.value(), "start the API: watch the socket"));
    (void)impl->listener.release_fd();
    impl->accept();
    return std::unique_ptr<Server>(new Server(std::move(impl)));
}

}  // namespace sluice::api
