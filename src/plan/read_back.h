// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A configuration out of the tables that packets read and the meta beside them: proof that the
/// kernel holds what was configured. Where both say something, the tables win. Pure; who reads the
/// pins is kernel/pinned_generation.h.

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "config/model.h"
#include "plan/image.h"
#include "plan/meta.h"
#include "sluice/types.h"

namespace sluice::plan {

/// The tables of one generation as values.
struct KernelTables {
    slc_node node{};
    std::vector<slc_vip> vips;  ///< The table, then the records of prefixes.
    std::vector<slc_port_bucket> ports;
    std::vector<slc_ranges> ranges;
    std::vector<slc_service> services;
    std::vector<ImagePrefix> prefixes;
    std::vector<IpPrefix> peers;
    std::vector<std::uint64_t> rings;
    std::vector<slc_member> members;
    std::vector<slc_account> accounts;
    std::vector<ImageServerId> server_ids;
};

/// The tables as they are filled from an image, without a kernel.
KernelTables tables_of(const Image& image);

/// Errors: conflict when meta and tables do not belong together, or a table contradicts itself;
/// the message names the record.
Result<config::Config> read_back(const KernelTables& tables, const Meta& meta);

}  // namespace sluice::plan
