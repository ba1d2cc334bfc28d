// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Outer headers, built once here so that the data plane only copies and patches them.
///
///   | Ethernet | VLAN 0..2 | IPv4 or IPv6 | GRE, or UDP and GUE | inner packet ...
///   '------- l2_len -------'
///   '----------------------- len -----------------------------'

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
/// Errors: unsupported for L2 through a gateway and for a node without any address that could be
/// the outer source; internal for a next hop that is not resolved, for local delivery, and for a
/// header beyond SLC_TEMPLATE_LEN.
Result<slc_template> build_template(config::Forward forward, bool inner_is_ip6,
                                    const IpAddress& backend, const NextHop& hop,
                                    const TunnelSources& sources);

/// The bits of an outer source that carry entropy, for slc_node: the host bits of the configured
/// prefix. Zero without one, because the next hop's own source is an address that must stay whole.
/// In IPv6 only the low 64 bits take part, whatever the prefix length.
std::uint32_t entropy_mask4_be(const TunnelSources& sources);
std::uint64_t entropy_mask6_be(const TunnelSources& sources);

}  // namespace sluice::plan
