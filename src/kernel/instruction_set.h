// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"

namespace sluice::kernel {

/// Which BPF instructions the kernel takes: v3 since Linux 5.1, v4 since 6.6. Every object is built
/// for both, and the loader takes the one that probe_instruction_set() finds.
enum class InstructionSet { v3, v4 };

inline const char* name_of(InstructionSet value) {
    return value == InstructionSet::v4 ? "v4" : "v3";
}

/// Loads a program of three instructions, one of them new in v4, and if that is refused one that is
/// old. Errors: denied when no program may be loaded at all; unsupported without bpf(2).
Result<InstructionSet> probe_instruction_set();

}  // namespace sluice::kernel
