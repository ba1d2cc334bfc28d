// SPDX-License-Identifier: Apache-2.0
#include "plan/transition.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <set>
#include <utility>

namespace sluice::plan {
namespace {

constexpr std::uint64_t kFlags = ~((std::uint64_t{1} << 40) - 1);

/// Packets that had read the word before it was closed have left by then.
constexpr std::chrono::milliseconds kInFlight{200};

std::uint64_t load(const std::uint64_t& word) {
    // atomic_ref has no const form before C++26.
    return std::atomic_ref(const_cast<std::uint64_t&>(word)).load(std::memory_order_acquire);
}

/// Replaces the word by what `change` makes of it, again when the data plane was faster.
template <typename Change>
void modify(std::uint64_t& word, Change change) {
    std::atomic_ref<std::uint64_t> place(word);
    std::uint64_t old = place.load(std::memory_order_acquire);
    while (!place.compare_exchange_weak(old, change(old), std::memory_order_acq_rel)) {
    }
}

/// As modify, unless the data plane has set REFUSED meanwhile: then nothing changes.
template <typename Change>
bool modify_unless_refused(std::uint64_t& word, Change change) {
    std::atomic_ref<std::uint64_t> place(word);
    std::uint64_t old = place.load(std::memory_order_acquire);
    while ((old & SLC_SLOT_REFUSED) == 0)
        if (place.compare_exchange_weak(old, change(old), std::memory_order_acq_rel)) return true;
    return false;
}

std::uint64_t closed(std::uint64_t word) {
    return SLC_SLOT_MAKE(SLC_SLOT_CURRENT(word), SLC_SLOT_CURRENT(word), SLC_SLOT_MARKED);
}

std::uint64_t with_current(std::uint64_t word, std::uint32_t member) {
    return SLC_SLOT_MAKE(member, SLC_SLOT_PREVIOUS(word), word & kFlags);
}

std::uint64_t steady(std::uint32_t member) {
    return SLC_SLOT_MAKE(member, member, 0);
}

}  // namespace

void TransitionCounts::add(const TransitionCounts& other) {
    preparing += other.preparing;
    open += other.open;
    marked += other.marked;
    held += other.held;
    window_ends = std::max(window_ends, other.window_ends);
    deadline = std::max(deadline, other.deadline);
}

RingTransition::RingTransition(std::span<std::uint64_t> slots, TransitionTimes times, Instant now)
    : slots_(slots), times_(times) {
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot)
        if ((word(slot) & SLC_SLOT_MARKED) != 0) tracked_.push_back(adopted(slot, now));
}

RingTransition::Tracked RingTransition::adopted(std::uint32_t slot, Instant now) const {
    const std::uint64_t at = word(slot);
    Tracked entry;
    entry.slot = slot;
    entry.aim = SLC_SLOT_CURRENT(at);
    entry.former = SLC_SLOT_PREVIOUS(at);
    entry.phase = Phase::closed;
    if ((at & SLC_SLOT_OPEN) != 0)
        entry.phase =
            SLC_SLOT_CURRENT(at) == SLC_SLOT_PREVIOUS(at) ? Phase::preparing : Phase::open;
    entry.opened = entry.closed = now;
    entry.adopted = entry.from_words = true;
    // What was refused while nobody watched counts as refused now.
    if ((at & (SLC_SLOT_REFUSED | SLC_SLOT_HELD)) != 0) entry.refused = now;
    return entry;
}

void RingTransition::adopt_marks(Instant now) {
    std::vector<Tracked> found;
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot)
        if ((word(slot) & SLC_SLOT_MARKED) != 0 && find(slot) == nullptr)
            found.push_back(adopted(slot, now));
    if (!found.empty()) merge(std::move(found));
}

RingTransition::RingTransition(std::span<std::uint64_t> slots, TransitionTimes times,
                               const RingTransition& before)
    : slots_(slots), times_(times) {
    const std::size_t size = before.slots_.size();
    for (std::size_t child = 0; child < slots_.size(); child += size) {
        for (Tracked entry : before.tracked_) {
            entry.slot += static_cast<std::uint32_t>(child);
            if (entry.overdue) ++overdue_;
            tracked_.push_back(entry);
        }
    }
}

std::uint64_t RingTransition::word(std::uint32_t slot) const {
    return load(slots_[slot]);
}

const RingTransition::Tracked* RingTransition::find(std::uint32_t slot) const {
    const auto at =
        std::lower_bound(tracked_.begin(), tracked_.end(), slot,
                         [](const Tracked& entry, std::uint32_t key) { return entry.slot < key; });
    return at != tracked_.end() && at->slot == slot ? &*at : nullptr;
}

RingTransition::Tracked* RingTransition::find(std::uint32_t slot) {
    return const_cast<Tracked*>(std::as_const(*this).find(slot));
}

void RingTransition::aim(std::span<const std::uint32_t> owners, const IsDead& is_dead, Instant now,
                         std::chrono::milliseconds deadline) {
    replace_dead(owners, is_dead, now);
    const Instant until = deadline.count() > 0 ? now + deadline : Instant{0};
    aim_tracked(owners, now, until);
    open_others(owners, now, until);
    step(now);
}

/// Nothing can be remembered for a dead member, so nothing is lost by moving at once.
void RingTransition::replace_dead(std::span<const std::uint32_t> owners, const IsDead& is_dead,
                                  Instant now) {
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
        const std::uint64_t at = word(slot);
        const bool current_died = is_dead(SLC_SLOT_CURRENT(at));
        const bool previous_died = is_dead(SLC_SLOT_PREVIOUS(at));
        if (!current_died && !previous_died) continue;
        modify(slots_[slot], [&](std::uint64_t old) {
            const std::uint32_t current = current_died ? owners[slot] : SLC_SLOT_CURRENT(old);
            const bool is_open = (old & SLC_SLOT_OPEN) != 0;
            const std::uint32_t previous =
                previous_died || !is_open ? current : SLC_SLOT_PREVIOUS(old);
            return SLC_SLOT_MAKE(current, previous, old & kFlags);
        });
        Tracked* entry = find(slot);
        if (entry == nullptr || entry->phase == Phase::closed) continue;
        entry->aim = owners[slot];
        if (SLC_SLOT_CURRENT(word(slot)) == SLC_SLOT_PREVIOUS(word(slot)) &&
            SLC_SLOT_CURRENT(word(slot)) == owners[slot])
            close(*entry, now);
    }
}

void RingTransition::aim_tracked(std::span<const std::uint32_t> owners, Instant now,
                                 Instant deadline) {
    for (Tracked& entry : tracked_) {
        const std::uint32_t owner = owners[entry.slot];
        if (entry.aim == owner && !entry.adopted) continue;
        entry.adopted = false;
        entry.aim = owner;
        entry.deadline = deadline;
        if (entry.overdue) {
            entry.overdue = false;
            --overdue_;
        }
        if (entry.phase != Phase::closed || SLC_SLOT_CURRENT(word(entry.slot)) == owner) continue;
        // Nobody's packets are nobody's to lose: no preparation.
        if (SLC_SLOT_CURRENT(word(entry.slot)) == 0)
            modify(slots_[entry.slot],
                   [&](std::uint64_t) { return SLC_SLOT_MAKE(owner, owner, SLC_SLOT_MARKED); });
        else
            reopen(entry, now);
    }
}

void RingTransition::reopen(Tracked& entry, Instant now) {
    modify(slots_[entry.slot], [](std::uint64_t old) {
        const std::uint32_t current = SLC_SLOT_CURRENT(old);
        return SLC_SLOT_MAKE(current, current, SLC_SLOT_MARKED | SLC_SLOT_OPEN);
    });
    entry.phase = Phase::preparing;
    const std::uint32_t before = std::exchange(entry.former, SLC_SLOT_CURRENT(word(entry.slot)));
    note_left(entry, before);
    entry.swept = false;
    entry.opened = now;
    entry.refused = Instant{0};
}

void RingTransition::open_others(std::span<const std::uint32_t> owners, Instant now,
                                 Instant deadline) {
    const auto moves = [&](std::uint32_t slot) {
        const std::uint64_t at = word(slot);
        return (at & SLC_SLOT_MARKED) == 0 && SLC_SLOT_CURRENT(at) != owners[slot];
    };
    std::size_t count = 0;
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) count += moves(slot);
    if (count == 0) return;
    std::vector<Tracked> opened;
    opened.reserve(times_.tracked ? count : 0);
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
        if (!moves(slot)) continue;
        if (SLC_SLOT_CURRENT(word(slot)) == 0 || !times_.tracked) {
            modify(slots_[slot], [&](std::uint64_t) { return steady(owners[slot]); });
            continue;
        }
        Tracked entry;
        entry.slot = slot;
        entry.aim = owners[slot];
        entry.deadline = deadline;
        reopen(entry, now);
        opened.push_back(std::move(entry));
    }
    merge(std::move(opened));
}

void RingTransition::merge(std::vector<Tracked> opened) {
    if (tracked_.empty()) {
        tracked_ = std::move(opened);
        return;
    }
    std::vector<Tracked> merged;
    merged.reserve(tracked_.size() + opened.size());
    std::merge(std::make_move_iterator(tracked_.begin()), std::make_move_iterator(tracked_.end()),
               std::make_move_iterator(opened.begin()), std::make_move_iterator(opened.end()),
               std::back_inserter(merged),
               [](const Tracked& left, const Tracked& right) { return left.slot < right.slot; });
    tracked_ = std::move(merged);
}

void RingTransition::step(Instant now) {
    for (Tracked& entry : tracked_) step_one(entry, now);
}

void RingTransition::note_refusals(Tracked& entry, Instant now) {
    const std::uint64_t at = word(entry.slot);
    if ((at & SLC_SLOT_REFUSED) != 0) {
        entry.refused = now;
        modify(slots_[entry.slot],
               [](std::uint64_t old) { return (old & ~SLC_SLOT_REFUSED) | SLC_SLOT_HELD; });
    } else if ((at & SLC_SLOT_HELD) != 0 && now - entry.refused >= times_.prepare) {
        modify(slots_[entry.slot], [](std::uint64_t old) { return old & ~SLC_SLOT_HELD; });
    }
}

void RingTransition::step_one(Tracked& entry, Instant now) {
    const bool is_late = entry.deadline.count() > 0 && now >= entry.deadline;
    if (is_late) mark_overdue(entry);
    if (entry.phase == Phase::closed) return;
    note_refusals(entry, now);
    const bool prepared = now - entry.opened >= times_.prepare;
    if (entry.phase == Phase::preparing && (prepared || is_late)) entry.phase = Phase::open;
    if (entry.phase == Phase::open && SLC_SLOT_CURRENT(word(entry.slot)) != entry.aim) {
        note_left(entry, SLC_SLOT_CURRENT(word(entry.slot)));
        modify(slots_[entry.slot], [&](std::uint64_t old) { return with_current(old, entry.aim); });
    }
    const std::uint64_t at = word(entry.slot);
    if (SLC_SLOT_CURRENT(at) != entry.aim) return;
    // Where nobody is old nothing is remembered either (slc_flow_decide): the next change of the
    // slot needs a preparation of its own.
    if (is_late || SLC_SLOT_PREVIOUS(at) == entry.aim || SLC_SLOT_PREVIOUS(at) == 0) {
        close(entry, now);
        return;
    }
    // A window shorter than the preparation must not end a hold: what was refused may come again.
    const bool is_held = (at & (SLC_SLOT_REFUSED | SLC_SLOT_HELD)) != 0;
    const Instant since = std::max(entry.opened, entry.refused);
    if (is_held || now - since < times_.window) return;
    if (modify_unless_refused(slots_[entry.slot], closed)) note_closed(entry, now);
}

void RingTransition::mark_overdue(Tracked& entry) {
    if (entry.overdue) return;
    entry.overdue = true;
    ++overdue_;
}

void RingTransition::note_left(Tracked& entry, std::uint32_t member) {
    const auto& known = entry.others;
    if (member == 0 || member == entry.former) return;
    if (std::find(known.begin(), known.end(), member) != known.end()) return;
    entry.others.push_back(member);
}

void RingTransition::close(Tracked& entry, Instant now) {
    modify(slots_[entry.slot], closed);
    note_closed(entry, now);
}

void RingTransition::note_closed(Tracked& entry, Instant now) {
    entry.phase = Phase::closed;
    entry.swept = false;
    entry.closed = now;
}

void RingTransition::swept(const std::vector<bool>& foreign, Instant began) {
    std::erase_if(tracked_, [&](Tracked& entry) {
        if (entry.phase != Phase::closed || began - entry.closed < kInFlight) return false;
        entry.swept = true;
        if (foreign[entry.slot]) return false;
        modify(slots_[entry.slot], [](std::uint64_t old) { return steady(SLC_SLOT_CURRENT(old)); });
        if (entry.overdue) --overdue_;
        return true;
    });
}

bool RingTransition::overdue(std::uint32_t slot) const {
    const Tracked* entry = find(slot);
    return entry != nullptr && entry->overdue;
}

void RingTransition::add_to(TransitionCounts& out, const Tracked& entry) const {
    ++out.marked;
    out.deadline = std::max(out.deadline, entry.deadline);
    if ((word(entry.slot) & (SLC_SLOT_HELD | SLC_SLOT_REFUSED)) != 0) ++out.held;
    if (entry.phase == Phase::closed) return;
    ++(entry.phase == Phase::preparing ? out.preparing : out.open);
    out.window_ends =
        std::max(out.window_ends, std::max(entry.opened, entry.refused) + times_.window);
}

TransitionCounts RingTransition::counts() const {
    TransitionCounts out;
    for (const Tracked& entry : tracked_) add_to(out, entry);
    return out;
}

TransitionCounts RingTransition::counts_of(std::uint32_t member, bool is_remembered) const {
    TransitionCounts out;
    for (const Tracked& entry : tracked_)
        if (concerns(entry, member) && (is_remembered || !entry.swept)) add_to(out, entry);
    return out;
}

std::map<std::uint32_t, TransitionCounts> RingTransition::counts_by_member(
    const IsRemembered& is_remembered) const {
    std::map<std::uint32_t, TransitionCounts> out;
    for (const Tracked& entry : tracked_) {
        const std::uint64_t at = word(entry.slot);
        std::set<std::uint32_t> members{entry.former, entry.aim, SLC_SLOT_CURRENT(at),
                                        SLC_SLOT_PREVIOUS(at)};
        members.insert(entry.others.begin(), entry.others.end());
        for (const std::uint32_t member : members)
            if (!entry.swept || is_remembered(member)) add_to(out[member], entry);
    }
    return out;
}

bool RingTransition::concerns(const Tracked& entry, std::uint32_t member) const {
    return entry.former == member || entry.aim == member ||
           SLC_SLOT_CURRENT(word(entry.slot)) == member ||
           SLC_SLOT_PREVIOUS(word(entry.slot)) == member ||
           std::find(entry.others.begin(), entry.others.end(), member) != entry.others.end();
}

/// A deadline of before is over with the new one; the next step says whether this one is, too.
void RingTransition::set_deadline(Tracked& entry, Instant deadline) {
    entry.deadline = deadline;
    if (!entry.overdue) return;
    entry.overdue = false;
    --overdue_;
}

void RingTransition::limit(std::uint32_t member, Instant deadline) {
    for (Tracked& entry : tracked_)
        if (entry.from_words || concerns(entry, member)) set_deadline(entry, deadline);
}

bool RingTransition::names(std::uint32_t member) const {
    return std::any_of(slots_.begin(), slots_.end(), [member](const std::uint64_t& slot) {
        const std::uint64_t at = load(slot);
        return SLC_SLOT_CURRENT(at) == member || SLC_SLOT_PREVIOUS(at) == member;
    });
}

std::vector<std::uint64_t> grown(std::span<const std::uint64_t> slots, std::uint32_t log2) {
    std::vector<std::uint64_t> out(std::size_t{1} << log2);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = load(slots[i & (slots.size() - 1)]);
    return out;
}

bool can_shrink(std::span<const std::uint64_t> slots, std::uint32_t log2) {
    const std::size_t size = std::size_t{1} << log2;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const std::uint64_t at = load(slots[i]);
        if ((at & kFlags) != 0 || at != load(slots[i & (size - 1)])) return false;
    }
    return true;
}

}  // namespace sluice::plan
