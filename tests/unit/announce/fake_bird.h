// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A BIRD as seen from its control socket: it reads the included file, knows its protocols, and can
/// be told to go wrong in every way that a real one, or whoever else is at the socket, does. Lives
/// on the test's reactor.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/reactor.h"
#include "base/unique_fd.h"

namespace sluice::announce {

class FakeBird {
 public:
    /// `folder` holds its socket "bird.ctl" and the included file "sluice.conf".
    FakeBird(Reactor& reactor, std::string folder);
    FakeBird(const FakeBird&) = delete;
    FakeBird& operator=(const FakeBird&) = delete;
    ~FakeBird();

    [[nodiscard]] std::string socket() const { return folder_ + "/bird.ctl"; }
    [[nodiscard]] std::string include() const { return folder_ + "/sluice.conf"; }

    void start();  ///< Reads its configuration, then listens.
    void stop();   ///< Its socket stays behind, as after a crash.
    void hang_up();

    /// Instead of an answer to a command that begins with this; nothing at all if it is empty.
    void answer_to(const std::string& command, std::string answer) {
        answers_[command] = std::move(answer);
    }
    void answer_properly() { answers_.clear(); }

    std::string greeting = "0001 BIRD 2.0.12 ready.\n";
    bool is_included = true;  ///< bird.conf names our file.
    std::string broken;       ///< What `configure` says, where not empty: "bird.conf:5:1 x".
    bool has_routes = true;   ///< Protocols that are up have routes.
    std::size_t piece = 0;    ///< Bytes of an answer that are sent at once; 0: all.

    [[nodiscard]] const std::vector<std::string>& commands() const { return commands_; }
    void forget_commands() { commands_.clear(); }
    [[nodiscard]] int connections() const { return connections_; }
    /// Names of protocols that are up; those that drain have a '!' behind them.
    [[nodiscard]] std::vector<std::string> up() const;
    void switch_protocol(const std::string& name, bool is_up) { protocols_[name].is_up = is_up; }

 private:
    struct Protocol {
        bool is_up = false;
        bool drains = false;
    };

    void accept();
    void read();
    void answer(const std::string& command);
    std::string proper_answer(const std::string& command);
    std::string toggle(const std::string& command, bool up);
    std::string show_protocols() const;
    std::string show_routes() const;
    void load();
    void say(const std::string& text);

    Reactor& reactor_;
    std::string folder_;
    std::map<std::string, Protocol> protocols_;
    std::map<std::string, std::string> answers_;
    std::vector<std::string> commands_;
    int connections_ = 0;
    std::string input_;
    std::string output_;  ///< In pieces.
    UniqueFd listener_;
    UniqueFd fd_;
    Watch listener_watch_;
    Watch watch_;
    Timer piece_timer_;
};

}  // namespace sluice::announce
