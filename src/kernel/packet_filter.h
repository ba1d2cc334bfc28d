// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Filters in the syntax of pcap, run by the data plane before a packet is copied anywhere. The
/// command compiles the text with libpcap, which may ask for names and is no business of the
/// daemon's; what travels is classic BPF, as `tcpdump -ddd` prints it, and is translated here to
/// instructions of an XDP program of its own: a packet that matches goes on to one program, any
/// other to another one.
///
/// Classic BPF is that of McCanne and Jacobson (USENIX 1993) as Linux has it
/// (Documentation/networking/filter.rst), over frames of DLT_EN10MB. A load beyond the end of the
/// frame ends the filter without a match, as there. Where Linux leaves a corner open or differs
/// from libpcap, it is as in libpcap:
///   - A, X and the sixteen words of memory are 0 at first;
///   - an indirect load beyond 2^32 does not come round to the frame's beginning;
///   - a shift by X of 32 or more gives 0, a division by an X of 0 ends without a match.
/// Bytes behind the first 65,536 of a frame are out of the kernel's reach: loads of them do not
/// match.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

/// Of <linux/bpf.h>, which cannot be included beside <pcap/pcap.h>: both define the name.
struct bpf_insn;

namespace sluice::kernel {

/// One instruction of classic BPF.
struct FilterInstruction {
    std::uint16_t code = 0;
    std::uint8_t if_true = 0;
    std::uint8_t if_false = 0;
    std::uint32_t operand = 0;
};

inline constexpr std::size_t kMaxFilterInstructions = 2048;
inline constexpr std::size_t kMaxFilterInterfaces = 1024;

/// "3 40 0 0 12 21 0 1 2048 ...": a count, then four numbers an instruction, between blanks or
/// commas. "0" is the empty filter. Errors: those of check_filter(); invalid for another text.
Result<std::vector<FilterInstruction>> read_filter(std::string_view text);
std::string text_of(std::span<const FilterInstruction> filter);

/// Whether it can be translated; read_filter() asks. Errors: limit beyond kMaxFilterInstructions;
/// invalid for what is no program: jumps beyond its end, no return at its end, an instruction that
/// Linux does not know, or one of its ancillary loads.
Result<void> check_filter(std::span<const FilterInstruction> filter);

/// What a match depends on beside the frame.
struct FilterGate {
    std::vector<std::uint32_t> interfaces;  ///< ifindex; empty: any. Others never match.
    int programs_fd = -1;                   ///< Program array. Slot 0 is for what does not match.
    std::uint32_t match_slot = 1;           ///< For what does; where that is empty, slot 0.
};

/// The translated program: XDP with fragments, of instructions that Linux 6.1 knows. `filter` must
/// have passed check_filter() and `gate` name no more than kMaxFilterInterfaces. Pure, for tests
/// and for load_filter().
std::vector<bpf_insn> translate(std::span<const FilterInstruction> filter, const FilterGate& gate);

/// Loads it. An empty filter matches everything. Packets that find their slot empty are passed to
/// Linux. Errors: those of check_filter(); limit for too many interfaces, and when the verifier
/// finds no end; denied.
Result<UniqueFd> load_filter(std::span<const FilterInstruction> filter, const FilterGate& gate);

}  // namespace sluice::kernel
