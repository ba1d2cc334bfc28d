// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The CLI's side of the API: one blocking request per connection, over the unix socket.

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::api {

class Client {
 public:
    explicit Client(std::string socket_path,
                    std::chrono::milliseconds timeout = std::chrono::minutes(2))
        : socket_path_(std::move(socket_path)), timeout_(timeout) {}

    /// The body of a 2xx answer. Errc::unreachable when nobody answers within the timeout, or may
    /// not be asked; what the daemon refused comes back as the Error it sent.
    Result<std::string> get(const std::string& target) const { return ask("GET", target); }
    /// With a JSON body, or none.
    Result<std::string> post(const std::string& target, const std::string& body = {}) const {
        return ask("POST", target, body);
    }
    /// With a JSON body.
    Result<std::string> patch(const std::string& target, const std::string& body) const {
        return ask("PATCH", target, body);
    }

    using OnLine = std::function<Result<void>(std::string_view line)>;
    /// Each line of the answer as it comes, without its end; the timeout is for the next piece of
    /// it. Stops at the first error: of `on_line`, of the daemon, or because the end is missing.
    Result<void> stream(const std::string& target, const OnLine& on_line) const;

    using OnBytes = std::function<Result<void>(std::string_view bytes)>;
    /// The answer's bytes as they come, however long that takes. `on_bytes` also gets none, when a
    /// signal was caught and every kIdle in which nothing comes, so that its owner can look at
    /// clocks and flags. POST when there is a body.
    Result<void> read(const std::string& target, const OnBytes& on_bytes,
                      const std::string& body = {}) const;
    static constexpr std::chrono::milliseconds kIdle{100};
    Result<std::string> remove(const std::string& target) const { return ask("DELETE", target); }

 private:
    struct Stream;
    Result<std::string> ask(const std::string& method, const std::string& target,
                            const std::string& body = {}) const;
    Result<Stream> open_stream(const std::string& target, const std::string& body) const;

    std::string socket_path_;
    std::chrono::milliseconds timeout_;
};

/// What a whole answer says: its body, or the error in it. Pure.
Result<std::string> read_answer(std::string_view bytes);

/// Takes the body of a chunked answer apart as it comes: its bytes, in pieces of any size.
class ChunkReader {
 public:
    explicit ChunkReader(Client::OnBytes on_bytes) : on_bytes_(std::move(on_bytes)) {}

    /// Errors: the bytes are no chunks, or on_bytes'. Nothing may follow one.
    Result<void> take(std::string_view bytes);
    /// The last chunk has come.
    [[nodiscard]] bool is_whole() const { return part_ == Part::end; }

 private:
    enum class Part { size, data, data_end, end };

    Result<void> take_size(std::string_view& bytes);

    Client::OnBytes on_bytes_;
    Part part_ = Part::size;
    std::string size_;      ///< The beginning of a chunk's head, or its end.
    std::size_t left_ = 0;  ///< Of the chunk.
};

/// The same, line by line; what is held is one line at most.
class LineReader {
 public:
    explicit LineReader(Client::OnLine on_line)
        : on_line_(std::move(on_line)),
          chunks_([this](std::string_view bytes) { return take_data(bytes); }) {}
    LineReader(const LineReader&) = delete;
    LineReader& operator=(const LineReader&) = delete;

    /// Errors: those of ChunkReader, a line is too long, or on_line's. Nothing may follow one.
    Result<void> take(std::string_view bytes) { return chunks_.take(bytes); }
    [[nodiscard]] bool is_whole() const { return chunks_.is_whole(); }

 private:
    Result<void> take_data(std::string_view data);

    Client::OnLine on_line_;
    ChunkReader chunks_;
    std::string line_;  ///< The beginning of a line.
};

}  // namespace sluice::api
