// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Which clients a canary takes, said by user space: what bpf/root_canary.bpf.c computes for each
/// packet. Pure; for explanations.

#include <cstdint>
#include <optional>
#include <span>

#include "sluice/types.h"

namespace sluice::kernel {

/// What slc_canary.share is for a part of all clients, 0..1.
slc_u64 canary_share(double share);

/// The hash of the client of a frame, 32 bits: of its source, or of whom a quoted packet was sent
/// to. Nothing for what has no client that can be read; only a share of all takes that.
std::optional<std::uint32_t> canary_client_hash(std::span<const std::uint8_t> frame,
                                                const slc_u64 (&key)[2]);

}  // namespace sluice::kernel
