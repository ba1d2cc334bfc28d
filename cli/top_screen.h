// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The terminal of `sluice top`: the whole screen, for as long as it lives. The only place that
/// knows curses. What is shown is cli/top_page.h's.

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "base/result.h"
#include "cli/top_page.h"

namespace sluice::cli {

struct TopPress {
    TopKey key = TopKey::other;
    char typed = 0;
};

class TopScreen {
 public:
    /// Errc::unsupported where standard input and output are no terminal that can do it.
    static Result<TopScreen> open();
    TopScreen(TopScreen&& other) noexcept;
    TopScreen& operator=(TopScreen&&) = delete;
    TopScreen(const TopScreen&) = delete;
    TopScreen& operator=(const TopScreen&) = delete;
    ~TopScreen();

    [[nodiscard]] std::size_t width() const;
    [[nodiscard]] std::size_t height() const;
    void show(const std::vector<TopLine>& lines);
    /// Nothing within `wait`; a resize is a key that means nothing.
    std::optional<TopPress> wait(std::chrono::milliseconds wait);

 private:
    explicit TopScreen(void* screen) : screen_(screen) {}
    void* screen_;  ///< SCREEN, as curses calls it; null when moved away.
};

}  // namespace sluice::cli
