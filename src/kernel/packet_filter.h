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
/// frame ends the filter without a match, as there.

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace sluice::kernel {

/// One instruction of classic BPF.
struct FilterInstruction {
    std::uint16_t code = 0;
    std::uint8_t if_true = 0;
    std::uint8_t if_false = 0;
    std::uint32_t operand = 0;
};

inline constexpr std::size_t kMaxFilterInstructions = 2048;

/// "3 40 0 0 12 21 0 1 2048 ...": a count, then four numbers an instruction, between blanks or
/// commas. Errors: invalid for what is no program: too long, jumps beyond its end, no return, an
/// instruction that Linux does not know, or one of its ancillary loads.
Result<std::vector<FilterInstruction>> read_filter(std::string_view text);
std::string text_of(std::span<const FilterInstruction> filter);

/// What a match depends on beside the frame.
struct FilterGate {
    std::vector<std::uint32_t> interfaces;  ///< ifindex; empty: any. Others never match.
    int programs_fd = -1;  ///< Program array. Slot 0: for what does not match; 1: for what does.
};

/// The translated program: XDP with fragments. Pure, for tests and for load_filter().
std::vector<bpf_insn> translate(std::span<const FilterInstruction> filter, const FilterGate& gate);

/// Loads it. An empty filter matches everything. Packets that find their slot empty are passed to
/// Linux. Errors: limit when the verifier finds it too long; denied.
Result<UniqueFd> load_filter(std::span<const FilterInstruction> filter, const FilterGate& gate);

}  // namespace sluice::kernel
