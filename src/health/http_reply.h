// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Reads one HTTP/1.x answer (RFC 9112) piece by piece, as it comes, without any socket. Bounded:
/// heads of kMostHead bytes, and of the body only the first kMostBody are read.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::health {

class HttpReply {
 public:
    static constexpr std::size_t kMostHead = 16384;  ///< All heads, those of 1xx included.
    static constexpr std::size_t kMostBody = 65536;

    enum class State : std::uint8_t {
        head,      ///< status() is not known yet.
        body,      ///< status() and header() are; body() grows.
        complete,  ///< Or as much as is ever read of it.
        broken,    ///< error() says why.
    };

    /// For the next answer. `header`: the one whose value is wanted; empty: none.
    void reset(bool is_head_request, std::string header);
    State feed(std::string_view bytes);
    /// The peer closed: an answer without a length is complete, any other one stays as it is.
    State end();

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] unsigned status() const { return status_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }
    [[nodiscard]] const std::string& header() const { return value_; }
    [[nodiscard]] const std::string& body() const { return body_; }
    [[nodiscard]] const std::string& error() const { return error_; }

 private:
    enum class Framing : std::uint8_t { none, length, chunked, until_end };
    enum class Chunk : std::uint8_t { size, data, data_end, trailer };

    State broken(std::string error);
    /// False: no whole line yet, or broken.
    bool take_line(std::string_view& line);
    void read_head();
    void read_status_line(std::string_view line);
    void read_header(std::string_view line);
    void read_length(std::string_view value);
    void end_head();
    void read_body();
    void read_chunks();
    void read_chunk_size(std::string_view line);
    /// At most `most` of what is there; completes the answer at kMostBody.
    std::size_t take_body(std::size_t most);

    State state_ = State::head;
    Framing framing_ = Framing::until_end;
    Chunk chunk_ = Chunk::size;
    bool is_head_request_ = false;
    bool has_status_ = false;
    bool has_length_ = false;
    unsigned status_ = 0;
    std::uint64_t left_ = 0;  ///< Of the body, or of the chunk.
    std::size_t head_bytes_ = 0;
    std::size_t taken_ = 0;  ///< Of buffer_.
    std::string wanted_;
    std::string value_;
    std::string reason_;
    std::string buffer_;  ///< What came and is not taken yet.
    std::string body_;
    std::string error_;
};

}  // namespace sluice::health
