// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A ring on its way from one set of owners to another, so that no connection is cut: slot by slot,
/// in the live words that packets read.
///
///             aim                    3 s                       window, nothing refused
///   steady ---------> preparing ------------> open ----------------------------------> closed
///     ^                (new flows are          (new flows go to `current`,               |
///     |                 remembered where        what nobody remembers to                 |
///     |                 they are)               `previous`)                              |
///     +------------------------------------------------------------------------------- <-+
///                  a sweep found no remembered flow that names another member
///
/// Rules
///   - Preparation is long enough for a handshake in flight: its SYN, when it comes again, is
///     remembered at the owner that has seen it already.
///   - While a slot is open, `current` moves at once when the aim does; `previous` stays. Once both
///     are equal, or `previous` is nobody, nothing is old any more: the slot closes.
///   - The window is the longest idle lifetime of the services on the ring, counted from the
///     opening: a connection that sends a packet in that time is remembered. A refused flow begins
///     it anew.
///   - A refusal holds the slot: new flows stay with `previous`, until refusals have ceased for as
///     long as a preparation.
///   - A dead member is replaced at once, and only in its own slots.
///   - At the deadline the slot closes whatever is refused, and what is remembered for members that
///     have left the ring is to be forgotten (overdue()).
///
/// The data plane sets REFUSED at any time: words move by compare-and-exchange. Time is handed in,
/// so that a model can drive years of it. Not thread-safe.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "sluice/types.h"

namespace sluice::plan {

/// Milliseconds of any steady clock.
using Instant = std::chrono::milliseconds;

struct TransitionTimes {
    std::chrono::milliseconds prepare{3000};
    std::chrono::milliseconds window{0};
    /// False: no service on the ring remembers anything. Slots then move at once.
    bool tracked = true;
};

/// Of the slots that are not steady.
struct TransitionCounts {
    std::uint32_t preparing = 0;
    std::uint32_t open = 0;    ///< Moved, window open.
    std::uint32_t marked = 0;  ///< All that are not steady.
    std::uint32_t held = 0;
    Instant window_ends{0};  ///< The last one, if nothing is refused; 0: none is open.
    Instant deadline{0};     ///< The last one; 0: none.
    void add(const TransitionCounts& other);
};

class RingTransition {
 public:
    using IsDead = std::function<bool(std::uint32_t member)>;

    /// Takes over what the words say: windows that are open begin anew, because nobody knows when
    /// they were opened. `slots` must outlive it. The aim is what the words say as `current`.
    RingTransition(std::span<std::uint64_t> slots, TransitionTimes times, Instant now);

    /// Goes on where `before` was: the same words, or their children in a ring that has grown.
    RingTransition(std::span<std::uint64_t> slots, TransitionTimes times,
                   const RingTransition& before);

    /// Makes `owners`, one for each slot, what `current` shall be. Dead members leave at once.
    /// A deadline other than 0 holds for the slots whose aim changes, and for those in progress
    /// that the words told of, whose own nobody knows; without one they have none.
    void aim(std::span<const std::uint32_t> owners, const IsDead& is_dead, Instant now,
             std::chrono::milliseconds deadline = {});
    void set_times(TransitionTimes times) { times_ = times; }
    /// No window closes before that is over.
    void hold_open(std::chrono::milliseconds window) { times_.window = window; }
    /// Takes over slots that were marked behind its back, as the constructor does with those that
    /// it finds; the others go on as they were.
    void adopt_marks(Instant now);
    /// A deadline, or none (0), for the slots in progress that the member owns, owned or shall own;
    /// and for those that the words told of, which it may have owned.
    void limit(std::uint32_t member, Instant deadline);

    /// Moves on what is due. Cheap when nothing is in progress.
    void step(Instant now);

    /// The result of a whole sweep of the flow table that began at `began`: `foreign[slot]` where a
    /// live flow of that slot is remembered for another member than `current`.
    void swept(const std::vector<bool>& foreign, Instant began);

    [[nodiscard]] bool settled() const { return tracked_.empty(); }
    /// Whether the slot's deadline is over: flows that are remembered for members that have left
    /// the ring are to be forgotten now.
    [[nodiscard]] bool overdue(std::uint32_t slot) const;
    [[nodiscard]] bool any_overdue() const { return overdue_ > 0; }
    [[nodiscard]] TransitionCounts counts() const;
    /// Whether flows are remembered for a member, as the last sweep counted them.
    using IsRemembered = std::function<bool(std::uint32_t member)>;
    /// Of those slots that have `member` as owner, former owner or aim, and may still owe it
    /// something: closed ones that were swept since do not when no flow is remembered for it.
    [[nodiscard]] TransitionCounts counts_of(std::uint32_t member, bool is_remembered) const;
    /// counts_of for every member that is concerned, in one pass.
    [[nodiscard]] std::map<std::uint32_t, TransitionCounts> counts_by_member(
        const IsRemembered& is_remembered) const;
    /// Whether some slot that is not steady names the member, or any slot has it as owner.
    [[nodiscard]] bool names(std::uint32_t member) const;
    [[nodiscard]] std::span<std::uint64_t> slots() const { return slots_; }

 private:
    enum class Phase : std::uint8_t { preparing, open, closed };
    struct Tracked {
        std::uint32_t slot = 0;
        std::uint32_t aim = 0;
        std::uint32_t former = 0;  ///< Owner when the change began.
        /// Who owned it between `former` and now: flows may be remembered for them.
        std::vector<std::uint32_t> others;
        Phase phase = Phase::preparing;
        bool overdue = false;
        bool swept = false;       ///< Since it closed.
        bool adopted = false;     ///< Found in the words, and no aim has come since.
        bool from_words = false;  ///< Found in the words: nobody knows who owned it before.
        Instant opened{0};
        Instant refused{0};  ///< The last time that a refusal was seen.
        Instant closed{0};
        Instant deadline{0};
    };

    [[nodiscard]] Tracked adopted(std::uint32_t slot, Instant now) const;
    void replace_dead(std::span<const std::uint32_t> owners, const IsDead& is_dead, Instant now);
    void aim_tracked(std::span<const std::uint32_t> owners, Instant now, Instant deadline);
    void open_others(std::span<const std::uint32_t> owners, Instant now, Instant deadline);
    void merge(std::vector<Tracked> opened);
    void reopen(Tracked& entry, Instant now);
    void step_one(Tracked& entry, Instant now);
    void note_refusals(Tracked& entry, Instant now);
    void close(Tracked& entry, Instant now);
    static void note_left(Tracked& entry, std::uint32_t member);
    static void note_closed(Tracked& entry, Instant now);
    void mark_overdue(Tracked& entry);
    void set_deadline(Tracked& entry, Instant deadline);
    [[nodiscard]] Tracked* find(std::uint32_t slot);
    [[nodiscard]] const Tracked* find(std::uint32_t slot) const;
    [[nodiscard]] std::uint64_t word(std::uint32_t slot) const;
    [[nodiscard]] bool concerns(const Tracked& entry, std::uint32_t member) const;
    void add_to(TransitionCounts& out, const Tracked& entry) const;

    std::span<std::uint64_t> slots_;
    TransitionTimes times_;
    std::vector<Tracked> tracked_;  ///< Ascending by slot.
    std::uint32_t overdue_ = 0;
};

/// The slots of a ring of 2^log2, larger or equal, that sends every packet where `slots` does and
/// inherits its history.
std::vector<std::uint64_t> grown(std::span<const std::uint64_t> slots, std::uint32_t log2);

/// Whether a ring of 2^log2 slots, smaller, would send every packet where this one does. Only a
/// settled ring can be.
bool can_shrink(std::span<const std::uint64_t> slots, std::uint32_t log2);

}  // namespace sluice::plan
