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
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "kernel/generation.h"
#include "kernel/instance.h"
#include "kernel/packet_filter.h"
#include "kernel/state_maps.h"
#include "sluice/types.h"

struct ring_buffer;

namespace sluice::kernel {

struct TapOptions {
    slc_tap conditions{};                        ///< zeros in one_in and snap mean 1 and all.
    std::vector<FilterInstruction> filter;       ///< Of the frame as received; empty: any.
    std::vector<std::uint32_t> interfaces;       ///< By which it came; empty: any.
    std::size_t buffer = std::size_t{32} << 20;  ///< Bytes of the ring; a power of two pages.
};

class Tap {
 public:
    /// Touches nothing that carries traffic. `of` must stay loaded. Errors: those of
    /// BpfObject::load; limit where there is no memory for the ring.
    static Result<Tap> load(const Generation& of, const StateMaps& state,
                            const LoadOptions& options, const TapOptions& tap);

    /// The root program that chooses: `slot` of `programs_fd` for what matches the filter, slot 0
    /// for all else. Errors: those of load_filter().
    [[nodiscard]] Result<UniqueFd> load_front(int programs_fd, std::uint32_t slot) const;
    /// Valid until the next move_to().
    [[nodiscard]] TapPrograms programs() const;
    /// The same ring and the same counts behind the programs of another generation.
    Result<void> move_to(const Generation& of, const StateMaps& state, const LoadOptions& options);

    /// `bytes` is an slc_tap_event and what lies behind it; only valid during the call. At most
    /// `limit` of them; how many there were.
    using OnEvent = std::function<void(std::span<const std::byte> bytes)>;
    std::size_t read(std::size_t limit, const OnEvent& on_event);
    /// Sums over CPUs.
    [[nodiscard]] slc_tap_count counts() const;

 private:
    struct Reader {
        const OnEvent* on_event = nullptr;
        std::size_t limit = 0;
        std::size_t taken = 0;
    };
    struct FreeRing {
        void operator()(ring_buffer* ring) const;
    };
    /// Ends ring_buffer__consume() behind the event that was taken.
    static constexpr int kEnough = -1;

    Tap() = default;
    static Result<Tap> open(const TapOptions& options, std::uint32_t scratch_size);
    static int on_event(void* reader, void* data, std::size_t size);
    Result<void> load_programs(const Generation& of, const StateMaps& state,
                               const LoadOptions& options);

    TapOptions options_;
    std::unique_ptr<Generation> tapped_;
    UniqueFd events_;
    UniqueFd counts_;
    UniqueFd scratches_;
    std::unique_ptr<Reader> reader_;
    std::unique_ptr<ring_buffer, FreeRing> ring_;
};

}  // namespace sluice::kernel
