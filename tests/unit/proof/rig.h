// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A configuration with a twin of it, and how its ids are called.

#include <string>

#include "proof/proof.h"
#include "tests/unit/kernel/twin_rig.h"

namespace sluice::proof {

inline Names names_of(const test::TwinRig& rig) {
    Names out;
    out.service = [&rig](std::uint32_t id) -> std::string {
        for (std::size_t i = 0; i < rig.image.service_ids.size(); ++i)
            if (rig.image.service_ids[i] == id) return rig.config.services[i].name;
        return {};
    };
    out.backend = [&rig](std::uint32_t id) -> std::optional<IpAddress> {
        return IpAddress::parse(rig.backend_of(id));
    };
    out.member = [&rig](std::uint32_t id) -> std::string {
        for (const auto& member : rig.image.members)
            if (member.id == id)
                return rig.config.groups[member.group].name + "/" + member.address.text();
        return {};
    };
    return out;
}

}  // namespace sluice::proof
