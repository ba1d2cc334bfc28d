// SPDX-License-Identifier: Apache-2.0

/// `sluice top`: what the node does now, as a screen that lives, or once.

#include <fmt/format.h>

#include <cctype>
#include <chrono>
#include <future>
#include <thread>

#include "api/client.h"
#include "base/duration.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/top_model.h"
#include "cli/top_page.h"
#include "cli/top_screen.h"

namespace sluice::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kTarget = "/api/v1/top";
/// A daemon that takes longer does not answer; the screen asks again.
constexpr std::chrono::seconds kPatience{3};
constexpr milliseconds kWhileAsking{20};
constexpr milliseconds kIdle{500};

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

Result<TopUi> ui_of(const TopOptions& options) {
    TopUi out;
    const auto interval = SLC_TRY(parse_duration(options.interval), "--interval");
    if (interval.count() < 1 || interval.count() > kTopMostInterval)
        return fail(Errc::invalid, fmt::format("--interval {} is not within 1s..{}s",
                                               options.interval, kTopMostInterval));
    out.interval_s = static_cast<unsigned>(interval.count());
    out.pane = *pane_named(options.pane);
    out.filter = options.filter;
    if (options.sort.empty()) return out;
    auto& order = out.orders[static_cast<std::size_t>(out.pane)];
    order.column = column_named(out.pane, options.sort);
    if (order.column) return out;
    std::vector<std::string> headings;
    for (const TopColumn& column : columns_of(out.pane)) headings.push_back(lower(column.heading));
    return fail(
        Errc::invalid, fmt::format("--sort: no column '{}'", options.sort),
        suggestion(lower(options.sort), headings, fmt::format("{}", fmt::join(headings, ", "))));
}

Result<int> print_once(const Options& options, const TopUi& ui) {
    TopModel model;
    (void)model.take(SLC_TRY(fetch(options, kTarget), "top"));
    std::this_thread::sleep_for(std::chrono::seconds(ui.interval_s));
    (void)model.take(SLC_TRY(fetch(options, kTarget), "top"));
    if (is_document(options.format)) {
        print_document(model.document(), options.format);
        return kExitDone;
    }
    fmt::print("{}\n\n", head_text(model.head()));
    const TopRows rows = model.rows(ui.view());
    fmt::print("{}", table_of(ui.pane, rows, options.top.limit).text());
    return kExitDone;
}

/// The screen and what it asks for. Asking never keeps keys waiting.
class LiveTop {
 public:
    LiveTop(const Options& options, TopUi ui, TopScreen screen)
        : socket_(options.socket), ui_(std::move(ui)), screen_(std::move(screen)) {}

    void run() {
        while (!ui_.quit) {
            ask();
            take_answer();
            screen_.show(page(model_, ui_, screen_.width(), screen_.height()));
            const auto key = screen_.wait(time_to_wait());
            if (!key) continue;
            const std::size_t room = room_for_rows(screen_.height());
            press(ui_, key->key, key->typed, model_.rows(ui_.view()).rows.size(), room);
        }
    }

 private:
    using Answer = Result<Json>;

    void ask() {
        if (pending_.valid() || ui_.paused || Clock::now() < next_) return;
        pending_ = std::async(std::launch::async, [socket = socket_]() -> Answer {
            auto body = api::Client(socket, kPatience).get(kTarget);
            if (!body) return fail(std::move(body).error());
            return parse_document(*body);
        });
        next_ = Clock::now() + std::chrono::seconds(ui_.interval_s);
    }

    void take_answer() {
        if (!pending_.valid() || pending_.wait_for(milliseconds(0)) != std::future_status::ready)
            return;
        auto answer = pending_.get();
        if (!answer) {
            ui_.trouble = answer.error().code == Errc::unreachable ? "sluiced does not answer"
                                                                   : answer.error().what;
            return;
        }
        ui_.trouble.clear();
        (void)model_.take(std::move(*answer));
    }

    [[nodiscard]] milliseconds time_to_wait() const {
        if (pending_.valid()) return kWhileAsking;
        const auto left = std::chrono::duration_cast<milliseconds>(next_ - Clock::now());
        return ui_.paused ? kIdle : std::clamp(left, milliseconds(1), kIdle);
    }

    std::string socket_;
    TopUi ui_;
    TopScreen screen_;
    TopModel model_;
    std::future<Answer> pending_;
    Clock::time_point next_{};
};

}  // namespace

Result<int> run_top(const Options& options) {
    auto ui = ui_of(options.top);
    if (!ui) return usage_error(std::move(ui).error(), "top");
    if (options.top.once || is_document(options.format)) return print_once(options, *ui);
    TopScreen screen = SLC_TRY(TopScreen::open(), "top");
    LiveTop(options, std::move(*ui), std::move(screen)).run();
    return kExitDone;
}

}  // namespace sluice::cli
