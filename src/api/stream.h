// SPDX-License-Identifier: Apache-2.0
#pragma once

/// An answer that is made in pieces: remembered flows, samples as they come, a capture. The server
/// (api/server.h) sends each piece as a chunk and asks for the next one only when the client has
/// taken the last: what is held for a slow client is one piece, and the rest waits, or is lost and
/// counted, where it came from. Streams end with the client, or when they say so.

#include <chrono>
#include <string>
#include <utility>

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
    /// True: bytes go out as pieces. False: what take() says when done is one whole JSON answer.
    [[nodiscard]] virtual bool is_chunked() const { return true; }
    [[nodiscard]] virtual const char* content_type() const { return "application/x-ndjson"; }
    /// "3 flows purged", for the log when it is over; empty: nothing was changed.
    [[nodiscard]] virtual std::string order() const { return {}; }

 protected:
    std::string piece_;
};

}  // namespace sluice::api
