// SPDX-License-Identifier: Apache-2.0
#include "health/http_reply.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "health/outcome.h"

namespace sluice::health {
namespace {

bool is_same_word(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <typename Number>
bool read_number(std::string_view text, Number& out, int base = 10) {
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, out, base);
    return error == std::errc{} && stopped == end;
}

/// Whether the last coding of a Transfer-Encoding is chunked.
bool ends_chunked(std::string_view value) {
    const std::size_t comma = value.rfind(',');
    return is_same_word(trimmed(value.substr(comma == std::string_view::npos ? 0 : comma + 1)),
                        "chunked");
}

constexpr std::string_view kVersion = "HTTP/1.";

}  // namespace

void HttpReply::reset(bool is_head_request, std::string header) {
    *this = HttpReply{};
    is_head_request_ = is_head_request;
    wanted_ = std::move(header);
}

HttpReply::State HttpReply::broken(std::string error) {
    error_ = std::move(error);
    return state_ = State::broken;
}

HttpReply::State HttpReply::feed(std::string_view bytes) {
    if (state_ == State::complete || state_ == State::broken) return state_;
    buffer_.erase(0, taken_);
    taken_ = 0;
    buffer_ += bytes;
    if (state_ == State::head) read_head();
    if (state_ == State::body) read_body();
    return state_;
}

HttpReply::State HttpReply::end() {
    if (state_ == State::body && framing_ == Framing::until_end) state_ = State::complete;
    return state_;
}

/// RFC 9112 section 2.2: a line may also end with LF alone.
bool HttpReply::take_line(std::string_view& line) {
    const std::size_t end = buffer_.find('\n', taken_);
    const bool is_whole = end != std::string::npos;
    head_bytes_ += is_whole ? end - taken_ + 1 : 0;
    if (head_bytes_ + (is_whole ? 0 : buffer_.size() - taken_) > kMostHead) {
        broken(fmt::format("more than {} bytes of headers", kMostHead));
        return false;
    }
    if (!is_whole) return false;
    line = std::string_view(buffer_).substr(taken_, end - taken_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    taken_ = end + 1;
    return true;
}

void HttpReply::read_head() {
    // Said at the first byte that differs, not when a line ends: what is no HTTP may have none.
    const std::string_view rest = std::string_view(buffer_).substr(taken_);
    if (!has_status_ && !kVersion.starts_with(rest.substr(0, kVersion.size()))) {
        broken("no HTTP: " + printable(rest.substr(0, 20)));
        return;
    }
    std::string_view line;
    while (state_ == State::head && take_line(line)) {
        if (!has_status_)
            read_status_line(line);
        else if (line.empty())
            end_head();
        else
            read_header(line);
    }
}

void HttpReply::read_status_line(std::string_view line) {
    // "HTTP/1.1 200 OK"
    const std::string_view code = line.substr(std::min<std::size_t>(line.size(), 9), 3);
    const bool is_valid = line.starts_with(kVersion) && line.size() >= 12 && line[8] == ' ' &&
                          read_number(code, status_) && status_ >= 100 &&
                          (line.size() == 12 || line[12] == ' ');
    if (!is_valid) {
        broken("bad status line: " + printable(line.substr(0, 60)));
        return;
    }
    has_status_ = true;
    reason_ = printable(line.substr(std::min<std::size_t>(line.size(), 13)));
}

void HttpReply::read_header(std::string_view line) {
    const std::size_t colon = line.find(':');
    // Folded lines (RFC 9112 section 5.2) belong to headers that nobody asked for.
    if (line.front() == ' ' || line.front() == '\t') return;
    if (colon == std::string_view::npos || colon == 0) {
        broken("bad header: " + printable(line.substr(0, 60)));
        return;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (is_same_word(name, "content-length"))
        read_length(value);
    else if (is_same_word(name, "transfer-encoding"))
        framing_ = ends_chunked(value) ? Framing::chunked : Framing::until_end;
    if (!wanted_.empty() && is_same_word(name, wanted_)) value_ = value;
}

void HttpReply::read_length(std::string_view value) {
    std::uint64_t length = 0;
    if (!read_number(value, length) || (has_length_ && length != left_)) {
        broken("bad Content-Length: " + printable(value.substr(0, 40)));
        return;
    }
    has_length_ = true;
    left_ = length;
}

void HttpReply::end_head() {
    if (status_ < 200 && status_ != 101) {  // Another head follows.
        has_status_ = false;
        has_length_ = false;
        framing_ = Framing::until_end;
        return;
    }
    // RFC 9112 section 6.3: a Transfer-Encoding outweighs a length.
    if (framing_ != Framing::chunked && has_length_) framing_ = Framing::length;
    if (is_head_request_ || status_ == 101 || status_ == 204 || status_ == 304)
        framing_ = Framing::none;
    if (framing_ == Framing::chunked) left_ = 0;
    state_ = framing_ == Framing::none ? State::complete : State::body;
}

std::size_t HttpReply::take_body(std::size_t most) {
    const std::size_t size = std::min({most, buffer_.size() - taken_, kMostBody - body_.size()});
    body_.append(buffer_, taken_, size);
    taken_ += size;
    if (body_.size() == kMostBody) state_ = State::complete;
    return size;
}

void HttpReply::read_body() {
    if (framing_ == Framing::chunked) return read_chunks();
    if (framing_ == Framing::until_end) {
        take_body(buffer_.size());
        return;
    }
    left_ -= take_body(static_cast<std::size_t>(std::min<std::uint64_t>(left_, kMostBody)));
    if (left_ == 0) state_ = State::complete;
}

void HttpReply::read_chunks() {
    std::string_view line;
    while (state_ == State::body) {
        if (chunk_ == Chunk::data) {
            const std::size_t got =
                take_body(static_cast<std::size_t>(std::min<std::uint64_t>(left_, kMostBody)));
            left_ -= got;
            if (left_ == 0) chunk_ = Chunk::data_end;
            if (got == 0 && left_ > 0) return;
            continue;
        }
        if (!take_line(line)) return;
        if (chunk_ == Chunk::size) {
            read_chunk_size(line);
        } else if (chunk_ == Chunk::data_end) {
            if (!line.empty()) broken("bad end of a chunk");
            chunk_ = Chunk::size;
        } else if (line.empty()) {
            state_ = State::complete;
        }
    }
}

void HttpReply::read_chunk_size(std::string_view line) {
    const std::string_view digits = trimmed(line.substr(0, line.find(';')));
    if (!read_number(digits, left_, 16)) {
        broken("bad size of a chunk: " + printable(line.substr(0, 40)));
        return;
    }
    head_bytes_ = 0;  // Bounded by the body's bytes: a chunk holds at least one.
    chunk_ = left_ == 0 ? Chunk::trailer : Chunk::data;
}

}  // namespace sluice::health
