// SPDX-License-Identifier: Apache-2.0
#include "api/server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <deque>
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

constexpr std::chrono::milliseconds kAcceptPause{200};

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
/// Of a unix socket or TCP: what differs is in api/listener.h.
using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kJsonLines = "application/x-ndjson";

/// What a stream begins with. It ends with the connection: no more requests come behind it.
std::string stream_head(std::string_view content_type, bool is_chunked) {
    return fmt::format(
        "HTTP/1.1 200 OK\r\nServer: sluiced/{}\r\nContent-Type: {}\r\nCache-Control: no-store\r\n"
        "{}Connection: close\r\n\r\n",
        sluice::version(), content_type, is_chunked ? "Transfer-Encoding: chunked\r\n" : "");
}

}  // namespace

class Connection;

struct Server::Impl {
    Impl(Loop& event_loop, ServerOptions server_options, control::NodeView& view, Listener socket)
        : loop(event_loop),
          options(std::move(server_options)),
          node(view),
          listener(std::move(socket)),
          acceptor(event_loop.impl().context),
          retry(event_loop.impl().context) {}

    void accept();
    void accept_at(Clock::time_point when);
    void on_waiting();
    void ended() { accept(); }
    /// One step of this connection's stream, when its turn comes.
    void step_soon(std::shared_ptr<Connection> connection);
    void ask_turn();

    Loop& loop;
    ServerOptions options;
    control::NodeView& node;
    Listener listener;
    Acceptor acceptor;
    asio::steady_timer retry;
    std::set<std::shared_ptr<Connection>> connections;
    std::deque<std::shared_ptr<Connection>> stepping;
    bool accepting = false;
    bool is_turn_asked = false;
    std::size_t live_streams = 0;
    std::uint64_t large_bodies = 0;  ///< Bytes that requests have been given room for.
    /// Handlers that asio holds look here first: they may outlive the server, not its loop.
    std::shared_ptr<Impl*> self = std::make_shared<Impl*>(this);
};

/// One client: reads a request, answers, and again, until it closes, errs or takes too long. At any
/// time one thing is under way: a read, a write, or a step of a stream that is to come, at once or
/// after a pause.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
    Connection(Protocol::socket socket, Server::Impl& server)
        : socket_(std::move(socket)), server_(&server), pause_(server.loop.impl().context) {
        socklen_t len = sizeof peer_;
        if (::getsockopt(socket_.socket().native_handle(), SOL_SOCKET, SO_PEERCRED, &peer_, &len) !=
            0)
            peer_ = {0, static_cast<uid_t>(-1), static_cast<gid_t>(-1)};
    }

    void read() {
        parser_.emplace();
        parser_->header_limit(server_->options.max_header_len);
        parser_->body_limit(boost::none);  // Until the head has said what the body is for.
        socket_.expires_after(server_->options.read_timeout);
        waits_since_ = Clock::now();
        http::async_read_header(
            socket_, buffer_, *parser_,
            [self = shared_from_this()](error_code error, std::size_t) { self->on_head(error); });
    }

    /// The server is going away: no more of its members may be touched.
    void abandon() {
        if (stream_) end_stream(false);
        server_ = nullptr;
        pause_.cancel();
        socket_.close();
    }

    void step();
    void close();

    /// Since when it has been its peer's turn; nothing: it is the server's.
    [[nodiscard]] std::optional<Clock::time_point> waits_since() const { return waits_since_; }

 private:
    using Socket =
        beast::basic_stream<Protocol, asio::any_io_executor, beast::unlimited_rate_policy>;

    void on_head(error_code error) {
        if (server_ == nullptr) return;
        waits_since_.reset();
        if (error) return refuse(error);
        if (parser_->is_done()) return on_read({});  // No body: no other turn of the loop either.
        const std::uint64_t len = parser_->content_length().value_or(0);
        std::uint64_t most = server_->options.max_body_len;
        if (len > most) {
            const std::string target(parser_->get().target());
            most = std::max(most, max_body_len(target).value_or(most));
            if (len > most) return refuse_body(most);
            if (!take_room(len)) return refuse_room();
        }
        parser_->body_limit(most);
        waits_since_ = Clock::now();
        http::async_read(
            socket_, buffer_, *parser_,
            [self = shared_from_this()](error_code failed, std::size_t) { self->on_read(failed); });
    }

    /// Room for a large body, until leave_room().
    [[nodiscard]] bool take_room(std::uint64_t len) {
        if (server_->large_bodies + len > server_->options.max_large_bodies) return false;
        server_->large_bodies += len;
        room_ = len;
        return true;
    }
    void leave_room() { server_->large_bodies -= std::exchange(room_, 0); }

    void on_read(error_code error) {
        if (server_ == nullptr) return;
        waits_since_.reset();
        if (error) {
            refuse(error);
            return;
        }
        auto& message = parser_->get();
        request_ = {std::string(message.method_string()),
                    std::string(message.target()),
                    std::move(message.body()),
                    fmt::format("uid {}", peer_.uid),
                    std::string(message[http::field::accept]),
                    std::string(message["Last-Event-ID"])};
        Response response = server_->options.tcp.empty() ? answer(request_, server_->node)
                                                         : answer_scrape(request_, server_->node);
        request_.body = {};  // Of its length nothing stays.
        leave_room();
        version_ = message.version();
        if (response.stream) return begin_stream(std::move(response.stream));
        std::vector<LogField> fields;
        if (!response.order.empty()) fields.push_back({"order", response.order});
        log_request(std::to_string(response.status), fields);
        if (response.reload_after)
            server_->loop.post([node = &server_->node] { (void)node->reload().has_value(); });
        write(std::move(response), message.keep_alive());
    }

    void log_request(std::string status, const std::vector<LogField>& more) const {
        std::vector<LogField> fields = {
            {"method", request_.method},        {"target", request_.target},
            {"status", std::move(status)},      {"pid", std::to_string(peer_.pid)},
            {"uid", std::to_string(peer_.uid)}, {"gid", std::to_string(peer_.gid)}};
        fields.insert(fields.end(), more.begin(), more.end());
        log_event(only_asks(request_) ? LogLevel::debug : LogLevel::info, "api.request", fields);
    }

    /// Gone for good: a peer that has only ended its own half still takes the answer.
    [[nodiscard]] bool peer_left() {
        pollfd entry{socket_.socket().native_handle(), 0, 0};
        return ::poll(&entry, 1, 0) == 1;
    }

    void begin_stream(std::unique_ptr<Stream> stream) {
        if (stream->is_live() && server_->live_streams >= server_->options.max_live_streams) {
            const Error error = make_error(
                Errc::limit,
                fmt::format("{} streams are being followed already", server_->live_streams),
                "each 'sluice observe', 'sluice capture' and 'sluice events --follow' is one");
            log_request(std::to_string(status_of(error.code)), {});
            return write(error_response(error, status_of(error.code)), false);
        }
        stream_ = std::move(stream);
        if (stream_->is_live()) ++server_->live_streams;
        content_type_ = stream_->content_type();
        has_head_ = false;
        sent_at_ = Clock::now();
        watch_peer();
        server_->step_soon(shared_from_this());
    }

    /// A peer that is gone for good ends its stream, also one that has nothing to send.
    void watch_peer() {
        if (std::exchange(is_watched_, true)) return;
        socket_.socket().async_wait(Protocol::socket::wait_error,
                                    [self = shared_from_this()](error_code error) {
                                        self->is_watched_ = false;
                                        if (error || self->server_ == nullptr) return;
                                        if (self->stream_) self->close();
                                    });
    }

    void drop_stream() {
        if (stream_->is_live()) --server_->live_streams;
        stream_.reset();
    }

    /// The stream is over: all of it, or as far as it came.
    void end_stream(bool is_whole) {
        std::vector<LogField> fields = stream_->log_fields();
        if (!is_whole) fields.push_back({"ended", "early"});
        log_request("200", fields);
        drop_stream();
    }

    void refuse_stream(const Error& error) {
        const unsigned status = status_of(error.code);
        const bool is_begun = has_head_;
        drop_stream();
        log_request(std::to_string(status), {});
        if (!is_begun) return write(error_response(error, status), false);
        // Too late for a status: the error is the last line, and the end of the stream is missing.
        is_last_ = true;
        write_piece(content_type_ == kJsonLines ? error_json(error) + "\n" : std::string(), false);
    }

    /// Nothing to send: again in a while, or at once but after whoever else waits.
    void rest() {
        // Who follows something is told at once that it does.
        if (stream_->is_live() && !has_head_) return write_piece({}, false);
        const auto now = Clock::now();
        if (now - sent_at_ >= server_->options.keep_alive) {
            const std::string sign = stream_->keep_alive();
            sent_at_ = now;
            if (!sign.empty()) return write_piece(sign, false);
        }
        const auto pause = std::min(stream_->pause(), server_->options.keep_alive);
        if (pause <= std::chrono::milliseconds(0)) return server_->step_soon(shared_from_this());
        pause_.expires_after(pause);
        pause_.async_wait([self = shared_from_this()](error_code error) {
            if (error || self->server_ == nullptr || !self->stream_) return;
            self->server_->step_soon(self);
        });
    }

    void write_piece(const std::string& lines, bool is_end) {
        const bool is_chunked = version_ != 10;
        piece_ =
            std::exchange(has_head_, true) ? std::string() : stream_head(content_type_, is_chunked);
        if (!is_chunked)
            piece_ += lines;
        else if (!lines.empty())
            piece_ += fmt::format("{:x}\r\n{}\r\n", lines.size(), lines);
        if (is_chunked && is_end) piece_ += "0\r\n\r\n";
        socket_.expires_after(server_->options.stream_timeout);
        waits_since_ = sent_at_ = Clock::now();
        asio::async_write(
            socket_, asio::buffer(piece_),
            [self = shared_from_this()](error_code error, std::size_t) { self->on_piece(error); });
    }

    void on_piece(error_code error) {
        if (server_ == nullptr) return;
        waits_since_.reset();
        if (error || is_last_) return close();
        server_->step_soon(shared_from_this());
    }

    /// Answers what could be read as HTTP's own errors; a peer that left or stalls gets nothing.
    void refuse(error_code error) {
        if (error == http::error::header_limit)
            return write_error("the request's headers are too long", 431);
        if (error == http::error::body_limit || error == http::error::buffer_overflow)
            return refuse_body(server_->options.max_body_len);
        if (error == http::error::end_of_stream || error == beast::error::timeout ||
            error.category() != http::make_error_code(http::error::bad_method).category())
            return close();
        write_error("the request is not HTTP/1.1: " + error.message(), 400);
    }

    void refuse_body(std::uint64_t most) {
        write_error(fmt::format("the request's body is too long: more than {} bytes", most), 413);
    }

    void refuse_room() {
        write(error_response(
                  make_error(Errc::limit, "other large requests are being answered", "try again"),
                  status_of(Errc::limit)),
              false);
    }

    void write_error(std::string what, unsigned status) {
        write(error_response(make_error(Errc::invalid, std::move(what)), status), false);
    }

    void write(Response response, bool keep_alive) {
        answer_ = {};
        answer_.version(version_ == 10 ? 10 : 11);  // What a peer made up is not repeated.
        answer_.result(response.status);
        answer_.set(http::field::server, std::string("sluiced/") + sluice::version());
        answer_.set(http::field::content_type, response.content_type);
        if (!response.allow.empty()) answer_.set(http::field::allow, response.allow);
        answer_.keep_alive(keep_alive);
        answer_.body() = std::move(response.body);
        answer_.prepare_payload();
        socket_.expires_after(server_->options.write_timeout);
        waits_since_ = Clock::now();
        http::async_write(
            socket_, answer_,
            [self = shared_from_this()](error_code error, std::size_t) { self->on_write(error); });
    }

    void on_write(error_code error) {
        if (server_ == nullptr) return;
        waits_since_.reset();
        if (error || !answer_.keep_alive())
            close();
        else
            read();
    }

    Socket socket_;
    Server::Impl* server_;
    ucred peer_{};
    beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> answer_;
    std::optional<Clock::time_point> waits_since_;
    Request request_;         ///< The last one, without what a peer may still send.
    std::uint64_t room_ = 0;  ///< Of this request's body, if it is a large one.
    unsigned version_ = 11;
    std::unique_ptr<Stream> stream_;
    std::string content_type_;   ///< Of the stream.
    asio::steady_timer pause_;   ///< Until the stream is asked again.
    Clock::time_point sent_at_;  ///< The stream's last piece.
    std::string piece_;          ///< Of the stream, on its way.
    bool has_head_ = false;      ///< The stream has begun.
    bool is_last_ = false;       ///< Nothing comes behind `piece_`.
    bool is_watched_ = false;    ///< The peer's leaving is waited for.
};

void Connection::step() {
    if (server_ == nullptr || !stream_) return;
    if (peer_left()) return close();
    const auto stepped = stream_->step(server_->node);
    if (!stepped) return refuse_stream(stepped.error());
    const bool is_done = stream_->done();
    if (!stream_->is_chunked()) {
        if (!is_done) return rest();
        Response response;
        response.body = stream_->take();
        end_stream(true);
        return write(std::move(response), parser_->get().keep_alive());
    }
    const std::string piece = stream_->take();
    if (piece.empty() && !is_done) return rest();
    is_last_ = is_done;
    if (is_done) end_stream(true);
    write_piece(piece, is_done);
}

void Connection::close() {
    if (stream_) end_stream(false);
    error_code ignored;
    socket_.socket().shutdown(Protocol::socket::shutdown_both, ignored);
    socket_.close();
    pause_.cancel();
    leave_room();
    Server::Impl* server = std::exchange(server_, nullptr);
    server->connections.erase(shared_from_this());
    server->ended();
}

void Server::Impl::accept() {
    if (accepting) return;
    accepting = true;
    const std::weak_ptr<Impl*> alive = self;
    if (connections.size() >= options.max_connections) {
        acceptor.async_wait(Acceptor::wait_read, [alive](error_code error) {
            const auto server = alive.lock();
            if (!server || error) return;
            (*server)->accepting = false;
            (*server)->on_waiting();
        });
        return;
    }
    acceptor.async_accept([alive](error_code error, Protocol::socket socket) {
        const auto server = alive.lock();
        if (!server || error == asio::error::operation_aborted) return;
        (*server)->accepting = false;
        if (error) {
            log_event(LogLevel::warning, "api.accept_failed", {{"error", error.message()}});
            // Without descriptors the next try fails as this one did, and at once.
            return (*server)->accept_at(Clock::now() + kAcceptPause);
        }
        const auto connection = std::make_shared<Connection>(std::move(socket), **server);
        (*server)->connections.insert(connection);
        connection->read();
        (*server)->accept();
    });
}

void Server::Impl::accept_at(Clock::time_point when) {
    retry.expires_at(when);
    retry.async_wait([alive = std::weak_ptr<Impl*>(self)](error_code error) {
        const auto server = alive.lock();
        if (server && !error) (*server)->accept();
    });
}

/// Somebody waits, and all places may be taken: the peer that has let the server wait longest goes.
void Server::Impl::on_waiting() {
    if (connections.size() < options.max_connections) return accept();
    std::shared_ptr<Connection> slowest;
    for (const auto& connection : connections)
        if (connection->waits_since() &&
            (!slowest || *connection->waits_since() < *slowest->waits_since()))
            slowest = connection;
    const auto patient_until =
        slowest ? *slowest->waits_since() + options.patience : Clock::now() + options.patience;
    if (slowest && patient_until <= Clock::now()) return slowest->close();
    accept_at(patient_until);
}

void Server::Impl::step_soon(std::shared_ptr<Connection> connection) {
    stepping.push_back(std::move(connection));
    ask_turn();
}

/// Whatever else is ready comes between two steps.
void Server::Impl::ask_turn() {
    if (is_turn_asked || stepping.empty()) return;
    is_turn_asked = true;
    asio::post(loop.impl().context, [alive = std::weak_ptr<Impl*>(self)] {
        const auto server = alive.lock();
        if (!server) return;
        (*server)->is_turn_asked = false;
        const std::shared_ptr<Connection> next = std::move((*server)->stepping.front());
        (*server)->stepping.pop_front();
        next->step();
        (*server)->ask_turn();
    });
}

ServerOptions scrape_options(const std::string& tcp) {
    ServerOptions out;
    out.tcp = tcp;
    out.max_connections = 8;
    out.max_body_len = 0;
    out.max_large_bodies = 0;
    out.stream_timeout = out.write_timeout;
    return out;
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
    for (const auto& connection : impl_->connections) connection->abandon();
}

Result<std::unique_ptr<Server>> Server::open(Loop& loop, ServerOptions options,
                                             control::NodeView& node) {
    const bool is_tcp = !options.tcp.empty();
    Listener listener = SLC_TRY(is_tcp ? Listener::open_tcp(options.tcp)
                                       : Listener::open(options.socket_path, options.group),
                                "start the API");
    auto impl = std::make_unique<Impl>(loop, std::move(options), node, std::move(listener));
    error_code error;
    impl->acceptor.assign(Protocol(impl->listener.family(), 0), impl->listener.fd(), error);
    if (error) return fail(sys_error(error.value(), "start the API: watch the socket"));
    (void)impl->listener.release_fd();
    impl->accept();
    return std::unique_ptr<Server>(new Server(std::move(impl)));
}

}  // namespace sluice::api
