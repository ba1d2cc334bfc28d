// SPDX-License-Identifier: Apache-2.0

/// What packets go through, as others may watch it: samples, names, captures.

#include <ctime>

#include "control/controller.h"
#include "control/explanation.h"
#include "observe/losses.h"

namespace sluice::control {
namespace {

/// Released names too: there may be samples of them.
void take_names(observe::Names& out, const plan::IdStore& ids) {
    const auto take = [](auto& into, const plan::IdSpace& space) {
        auto names = space.names_by_id();
        into.reserve(names.size());
        for (auto& [id, name] : names) into.insert_or_assign(id, std::move(name));
    };
    take(out.services, ids.services);
    take(out.backends, ids.members);
    take(out.customers, ids.customers);
    take(out.policies, ids.policies);
}

}  // namespace

const observe::EventLog& Controller::events() {
    static const observe::EventLog kNone;
    return options_.events != nullptr ? *options_.events : kNone;
}

Controller::NamesKey Controller::names_key() const {
    NamesKey out;
    if (!live_) return out;
    out.generation = live_->number;
    out.pinned = live_->pinned;
    if (canary_) out.canary = canary_->loaded.number;
    for (const kernel::Attachment& attachment : live_->attachments)
        out.interfaces.emplace_back(attachment.ifindex, attachment.interface);
    return out;
}

std::shared_ptr<const observe::Names> Controller::names() {
    NamesKey key = names_key();
    if (names_ && key == names_key_) return names_;
    const auto out = std::make_shared<observe::Names>();
    if (live_) {
        out->generation = live_->number;
        out->pinned = live_->generation->node().generation;
        const auto began = effect_ != Clock::time_point{}
                               ? std::chrono::nanoseconds(effect_.time_since_epoch())
                               : std::chrono::nanoseconds(live_->since);
        out->since_ns = static_cast<std::uint64_t>(began.count());
        take_names(*out, live_->ids);
    }
    if (canary_) take_names(*out, canary_->loaded.ids);
    if (names_ && names_->generation == out->generation) out->since_ns = names_->since_ns;
    for (const auto& [index, name] : key.interfaces) out->interfaces.emplace(index, name);
    names_ = out;
    names_key_ = std::move(key);
    return names_;
}

SampleBatch Controller::samples(SampleCursor& cursor) {
    SampleBatch out;
    if (!state_) return out;
    kernel::SampleRead read = state_->samples().read_behind(cursor.seen);
    out.samples = std::move(read.samples);
    out.cpus = std::move(read.cpus);
    out.lost = read.lost;
    observe::count_lost(observe::Loss::samples, read.lost);
    out.is_cut = read.is_cut;
    return out;
}

std::int64_t Controller::wall_offset_ns() const {
    timespec monotonic{};
    timespec wall{};
    ::clock_gettime(CLOCK_MONOTONIC, &monotonic);
    ::clock_gettime(CLOCK_REALTIME, &wall);
    return (wall.tv_sec - monotonic.tv_sec) * std::int64_t{1'000'000'000} + wall.tv_nsec -
           monotonic.tv_nsec;
}

std::uint32_t Controller::sampled_one_in() const {
    return live_ ? live_->config.node.sample_one_in : 0;
}

}  // namespace sluice::control
