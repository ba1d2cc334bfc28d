// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Outer headers, built once here so that the data plane only copies and patches them.

#include <optional>

#include "base/result.h"
#include "config/model.h"
#include "plan/next_hop.h"
#include "sluice/types.h"

namespace sluice::plan {

struct TunnelSources {
    std::optional<IpPrefix> ip4;  ///< Host bits carry entropy; absent: the next hop's own source.
    std::optional<IpPrefix> ip6;
    std::uint16_t gue_port = 6080;
};

/// The template for packets of the inner family to `backend` (see slc_template). Only for a next
/// hop in state resolved. Outer TTL or hop limit 64, DF set (RFC 2003 3.1), identification 0
/// (RFC 6864), flow label 0 (patched with entropy).
/// Errors: unsupported for L2 through a gateway; internal for a header beyond SLC_TEMPLATE_LEN.
Result<slc_template> build_template(config::Forward forward, bool inner_is_ip6,
                                    const IpAddress& backend, const NextHop& hop,
                                    const TunnelSources& sources);

}  // namespace sluice::plan
