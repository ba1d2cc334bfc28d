// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace sluice::kernel {

/// Which BPF instructions the kernel takes: v3 since Linux 5.1, v4 since 6.6. Every object is built
/// for both; kernel/probe.h finds out which one to load.
enum class InstructionSet { v3, v4 };

inline const char* name_of(InstructionSet value) {
    return value == InstructionSet::v4 ? "v4" : "v3";
}

}  // namespace sluice::kernel
