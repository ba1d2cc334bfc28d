// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The CLI's side of the API: one blocking request per connection, over the unix socket.

#include <chrono>
#include <string>

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
    Result<std::string> post(const std::string& target) const { return ask("POST", target); }

 private:
    Result<std::string> ask(const std::string& method, const std::string& target) const;

    std::string socket_path_;
    std::chrono::milliseconds timeout_;
};

/// What a whole answer says: its body, or the error in it. Pure.
Result<std::string> read_answer(std::string_view bytes);

}  // namespace sluice::api
