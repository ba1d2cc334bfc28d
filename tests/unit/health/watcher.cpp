// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/health/watcher.h"

#include <gtest/gtest.h>

#include <iterator>

#include "tests/unit/health/scripted_server.h"

namespace sluice::health {

using namespace std::chrono_literals;

Watcher::Watcher(Limits limits) {
    auto checker = Checker::start(limits, [this] {
        const std::lock_guard lock(mutex_);
        has_more_ = true;
        condition_.notify_all();
    });
    EXPECT_TRUE(checker.has_value());
    checker_ = std::move(checker).value();
}

bool Watcher::wait_until(const std::function<bool(const std::vector<Outcome>&)>& enough) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    for (;;) {
        auto more = checker_->take();
        outcomes_.insert(outcomes_.end(), std::make_move_iterator(more.begin()),
                         std::make_move_iterator(more.end()));
        if (enough(outcomes_)) return true;
        std::unique_lock lock(mutex_);
        if (!condition_.wait_until(lock, deadline, [this] { return has_more_; })) return false;
        has_more_ = false;
    }
}

Outcome Watcher::check(const Target& target) {
    checker_->set({});
    checker_->set({target});
    const std::size_t before = outcomes_.size();
    checker_->check_now(target.key);
    const bool came = wait_until([&](const auto& all) { return all.size() > before; });
    EXPECT_TRUE(came) << "no outcome";
    return came ? outcomes_[before] : Outcome{};
}

Target target_of(config::Check check, std::uint16_t port) {
    Target out;
    out.key = "backend";
    out.check = std::make_shared<const config::Check>(std::move(check));
    out.address = ScriptedServer::loopback();
    out.port = port;
    return out;
}

config::Check check_of(config::CheckType type) {
    config::Check out;
    out.type = type;
    out.interval = 10s;
    out.timeout = 8s;
    return out;
}

std::string text_of(const Outcome& outcome) {
    std::string out(word_of(outcome.why));
    if (!outcome.text.empty()) out += ": " + outcome.text;
    return out;
}

}  // namespace sluice::health
