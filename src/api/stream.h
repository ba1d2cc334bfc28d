// SPDX-License-Identifier: Apache-2.0
#pragma once

/// An answer that is made in pieces: remembered flows, samples as they come, a capture. The server
/// (api/server.h) sends each piece as a chunk and asks for the next one only when the client has
/// taken the last: what is held for a slow client is one piece, and the rest waits, or is lost and
/// counted, where it came from. Streams end with the client, or when they say so.

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/result.h"

namespace sluice::control {
class NodeView;
}

namespace sluice::api {

class Stream {
 public:
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    virtual ~Stream() = default;

    /// One bounded step: some milliseconds at most. An error before the first piece becomes the
    /// answer; one after it cuts the answer short, so that nobody takes it for whole. Nothing more
    /// is asked after one.
    virtual Result<void> step(control::NodeView& node) = 0;
    /// What the steps since the last call have made; empty: nothing to send yet.
    std::string take() { return std::exchange(piece_, {}); }
    /// Nothing more will come.
    [[nodiscard]] virtual bool done() const = 0;
    /// How long nothing is expected, when a step has made nothing. Zero: step again at once, after
    /// whoever else waits.
    [[nodiscard]] virtual std::chrono::milliseconds pause() const {
        return std::chrono::milliseconds(0);
    }
    /// It goes on until its client leaves, or may: such streams are bounded in number, and their
    /// clients are told at once that they have begun.
    [[nodiscard]] virtual bool is_live() const { return false; }
    /// What tells a client that a stream is alive when nothing has been sent for long; empty:
    /// nothing may come between its pieces.
    [[nodiscard]] virtual std::string keep_alive() const { return {}; }
    /// True: bytes go out as pieces. False: what take() says when done is one whole JSON answer.
    [[nodiscard]] virtual bool is_chunked() const { return true; }
    [[nodiscard]] virtual std::string_view content_type() const { return "application/x-ndjson"; }
    /// For the log when it is over: {"purged", "3"}; empty: nothing was changed.
    [[nodiscard]] virtual std::vector<LogField> log_fields() const { return {}; }

 protected:
    std::string piece_;
};

}  // namespace sluice::api
