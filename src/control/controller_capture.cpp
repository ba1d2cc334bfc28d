// SPDX-License-Identifier: Apache-2.0

/// Captures: a tap (kernel/tap.h) in front of the generation in force, for as long as its session
/// lives, and across every generation that takes its place meanwhile.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "control/controller.h"
#include "control/explanation.h"
#include "kernel/tap.h"
#include "observe/losses.h"
#include "plan/reasons.h"

namespace sluice::control {

/// What a session and the controller share; whoever ends first says so to the other.
struct Controller::LiveCapture {
    std::optional<kernel::Tap> tap;
    std::string name;
    std::string ended;  ///< Why; empty: its owner said so, or it goes on.
    std::optional<plan::Instant> until;
    plan::Instant read_at{};
    std::uint64_t told_lost = 0;       ///< Of those that found no room.
    Controller* controller = nullptr;  ///< Null: the data plane is as it was before.

    void stop(std::string why) {
        if (controller == nullptr) return;
        ended = std::move(why);
        controller->take_tap_off(*this);
    }

    void tell_lost() {
        const std::uint64_t lost = tap->counts().lost;
        observe::count_lost(observe::Loss::captures, lost - std::exchange(told_lost, lost));
    }
};

class Controller::Capture : public CaptureSession {
 public:
    Capture(std::shared_ptr<LiveCapture> live, Controller& controller)
        : live_(std::move(live)), names_(controller.names()) {}
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    ~Capture() override { live_->stop({}); }

    std::size_t read(std::size_t limit, const OnEvent& on_event) override {
        if (live_->controller != nullptr) live_->read_at = live_->controller->now();
        return live_->tap->read(limit, [&on_event](std::span<const std::byte> bytes) {
            slc_tap_event event{};
            std::memcpy(&event, bytes.data(), sizeof event);
            const auto data = bytes.subspan(sizeof event);
            if (data.size() < std::size_t{event.in_cap} + event.out_cap) return;
            on_event(event, data.first(event.in_cap), data.subspan(event.in_cap, event.out_cap));
        });
    }
    slc_tap_count counts() const override { return live_->tap->counts(); }
    void stop() override { live_->stop({}); }
    std::shared_ptr<const observe::Names> names() const override {
        if (live_->controller != nullptr) names_ = live_->controller->names();
        return names_;
    }
    std::string ended() const override { return live_->ended; }

 private:
    std::shared_ptr<LiveCapture> live_;
    mutable std::shared_ptr<const observe::Names> names_;
};

namespace {

using NamesById = std::unordered_map<std::uint32_t, std::string>;

std::optional<std::uint32_t> id_in(const NamesById& names, const std::string& name) {
    for (const auto& [id, each] : names)
        if (each == name) return id;
    return std::nullopt;
}

Result<std::uint32_t> fill_ids(const std::vector<std::string>& wanted, const NamesById& names,
                               const char* kind, slc_u32 (&out)[SLC_TAP_MAX_IDS]) {
    if (wanted.size() > SLC_TAP_MAX_IDS)
        return fail(Errc::limit, "a capture takes at most " + std::to_string(SLC_TAP_MAX_IDS) +
                                     " of " + kind + "s");
    std::uint32_t count = 0;
    for (const auto& name : wanted) {
        const auto id = id_in(names, name);
        if (!id) return fail(Errc::not_found, std::string("there is no ") + kind + " " + name);
        out[count++] = *id;
    }
    return count;
}

Result<std::uint32_t> verdict_bits(const std::vector<std::string>& wanted) {
    constexpr std::uint32_t kAll = 0xf;
    constexpr std::uint32_t kForward = 1u << SLC_VERDICT_TX | 1u << SLC_VERDICT_REDIRECT;
    std::uint32_t out = 0;
    for (const auto& word : wanted) {
        std::uint32_t bits = word == "forward" ? kForward : 0;
        for (std::uint8_t verdict = 0; verdict < 4; ++verdict)
            if (word == plan::verdict_label(verdict)) bits = 1u << verdict;
        if (bits == 0)
            return fail(Errc::invalid, "'" + word + "' is no verdict",
                        "drop, pass, tx, redirect or forward");
        out |= bits;
    }
    return wanted.empty() ? kAll : out;
}

Result<void> fill_reasons(const std::vector<std::string>& wanted, slc_u64 (&out)[4]) {
    if (wanted.empty()) std::fill(std::begin(out), std::end(out), ~slc_u64{0});
    for (const auto& word : wanted) {
        std::uint16_t reason = 0;
        while (reason < SLC_REASON_COUNT && word != plan::reason_label(reason)) ++reason;
        if (reason == SLC_REASON_COUNT)
            return fail(Errc::not_found, "'" + word + "' is no reason",
                        "sluice reasons --all lists them");
        out[reason / 64] |= slc_u64{1} << (reason % 64);
    }
    return {};
}

Result<kernel::TapOptions> tap_options(const CaptureRequest& request, const observe::Names& names) {
    kernel::TapOptions out;
    out.filter = request.filter;
    out.buffer = request.buffer;
    slc_tap& conditions = out.conditions;
    conditions.snap = request.snap;
    conditions.one_in = request.one_in;
    conditions.at = (request.at_entry ? SLC_TAP_ENTRY : 0u) | (request.at_exit ? SLC_TAP_EXIT : 0u);
    if (conditions.at == 0) return fail(Errc::invalid, "a capture is at entry, at exit, or both");
    conditions.verdicts = SLC_TRY(verdict_bits(request.verdicts), "capture");
    SLC_CHECK(fill_reasons(request.reasons, conditions.reasons), "capture");
    conditions.services = SLC_TRY(
        fill_ids(request.services, names.services, "service", conditions.service), "capture");
    conditions.members = SLC_TRY(
        fill_ids(request.backends, names.backends, "backend", conditions.member), "capture");
    return out;
}

}  // namespace

Result<std::unique_ptr<CaptureSession>> Controller::capture(const CaptureRequest& request) {
    if (!live_) return fail(Errc::unreachable, "no configuration is in force yet");
    if (capture_)
        return fail(Errc::conflict, "another capture is under way",
                    "it ends with its reader; there can be one at a time");
    if (canary_)
        return fail(Errc::conflict, "a canary is in progress",
                    "its packets are told apart where a capture looks: end it first");
    for (const auto& interface : request.interfaces)
        if (!instance_->is_attached(interface))
            return fail(Errc::not_found, "interface " + interface + " is not attached");
    const auto known = names();
    auto live = std::make_shared<LiveCapture>();
    live->name = request.name;
    const kernel::TapOptions options = SLC_TRY(tap_options(request, *known), "capture");
    live->tap = SLC_TRY(
        kernel::Tap::load(*live_->generation, *state_, code_options(live_->config), options),
        "capture");
    const UniqueFd front = SLC_TRY(
        live->tap->load_front(instance_->programs_fd(), kernel::Instance::kTapSlot), "capture");
    SLC_CHECK(instance_->begin_tap(front.get(), live->tap->programs(), request.interfaces),
              "capture");
    live->controller = this;
    live->read_at = now();
    if (request.duration.count() > 0) live->until = live->read_at + request.duration;
    capture_ = live;
    log_event(LogLevel::info, "capture.began", {{"by", request.author}});
    return std::unique_ptr<CaptureSession>(std::make_unique<Capture>(live, *this));
}

Result<void> Controller::end_capture(const std::string& name) {
    if (!capture_ || (!name.empty() && capture_->name != name))
        return fail(Errc::not_found, "no such capture is under way");
    capture_->stop("it was asked to end");
    return {};
}

/// The data plane goes on without it; what is in the ring can still be read.
void Controller::take_tap_off(LiveCapture& capture) {
    const auto keep = std::exchange(capture_, nullptr);
    capture.controller = nullptr;
    const auto ended = instance_->end_tap();
    const slc_tap_count counts = capture.tap->counts();
    capture.tell_lost();
    log_event(ended ? LogLevel::info : LogLevel::error, "capture.ended",
              {{"matched", std::to_string(counts.matched)},
               {"lost", std::to_string(counts.lost)},
               {"why", capture.ended},
               {"error", ended ? "" : ended.error().what}});
}

/// Its reader may be stopped, or may not have been asked for long: it does not see to this itself.
void Controller::watch_capture() {
    if (!capture_) return clear_tap();
    capture_->tell_lost();
    if (capture_->until && now() >= *capture_->until)
        stop_capture(std::string(kEndedByTime));
    else if (now() - capture_->read_at >= kCapturePatience)
        stop_capture(
            fmt::format("nobody has read what it caught for {} s", kCapturePatience.count()));
}

/// What a capture that is over could not take off.
void Controller::clear_tap() {
    if (!capture_ && instance_ && instance_->has_tap()) (void)instance_->end_tap();
}

void Controller::stop_capture(const std::string& why) {
    if (capture_) capture_->stop(why);
}

/// Before a generation is swapped in: packets that match must not stay in the one before.
void Controller::prepare_tap(const Loaded& next) {
    if (!capture_) return;
    auto moved = capture_->tap->move_to(*next.generation, *state_, code_options(next.config));
    if (!moved) stop_capture("its programs cannot be loaded: " + moved.error().what);
}

void Controller::shift_tap() {
    if (!capture_) return;
    auto moved = instance_->move_tap(capture_->tap->programs());
    if (!moved) stop_capture("it cannot follow the generation: " + moved.error().what);
}

kernel::LoadOptions Controller::code_options(const config::Config& config) const {
    kernel::LoadOptions out;
    out.isa = isa_;
    out.next = config.node.next;
    return out;
}

}  // namespace sluice::control
