// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A tap: packets of one generation as somebody asks to see them, as received and as sent, with
/// what was decided. The programs of the generation are loaded once more with SLC_FEATURE_TAP, over
/// its very tables; a filter program (packet_filter.h) in front of both sends them what matches,
/// and all else to the programs without. So nobody pays who is not looked at, and nobody at all
/// once the tap is gone. No tracing programs are needed.
///
/// What matches is written into a ring buffer. Nothing waits for its reader: what finds no room is
/// lost and counted, so that matched = read + still in the ring + lost + skipped.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/generation.h"
#include "kernel/packet_filter.h"
#include "kernel/pinnable.h"
#include "kernel/state_maps.h"
#include "sluice/types.h"

namespace sluice::kernel {

struct TapOptions {
    slc_tap conditions{};                        ///< zeros in one_in and snap mean 1 and all.
    std::vector<FilterInstruction> filter;       ///< Of the frame as received; empty: any.
    std::vector<std::uint32_t> interfaces;       ///< By which it came; empty: any.
    std::size_t buffer = std::size_t{32} << 20;  ///< Bytes of the ring; a power of two pages.
};

class Tap {
 public:
    /// Touches nothing that carries traffic; program_fd() is for slot 0 of the root's program
    /// array. `of` must stay loaded. Errors: those of BpfObject::load and load_filter().
    static Result<Tap> load(const Generation& of, const StateMaps& state,
                            const LoadOptions& options, const TapOptions& tap);
    Tap(Tap&&) noexcept;
    Tap& operator=(Tap&&) noexcept;
    ~Tap();

    [[nodiscard]] int program_fd() const { return filter_.get(); }
    /// The same ring and the same counts before the programs of another generation, which is about
    /// to take its place.
    Result<void> move_to(const Generation& of, const StateMaps& state, const LoadOptions& options);

    /// `bytes` is an slc_tap_event and what lies behind it. At most `limit` of them; how many there
    /// were.
    using OnEvent = std::function<void(std::span<const std::byte> bytes)>;
    std::size_t read(std::size_t limit, const OnEvent& on_event);
    /// Sums over CPUs.
    [[nodiscard]] slc_tap_count counts() const;

 private:
    Tap() = default;
    Result<void> load_programs(const Generation& of, const StateMaps& state,
                               const LoadOptions& options);

    TapOptions options_;
    std::unique_ptr<Generation> tapped_;
    UniqueFd choice_;  ///< Program array: [0] the plain programs, [1] the tapped ones.
    UniqueFd filter_;
    UniqueFd events_;
    UniqueFd counts_;
    UniqueFd scratch_;
    struct ring_buffer* ring_ = nullptr;
    OnEvent* reader_ = nullptr;
};

}  // namespace sluice::kernel
