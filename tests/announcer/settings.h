// SPDX-License-Identifier: Apache-2.0
#pragma once

/// config::Announce from JSON, with the names of its members:
///   {"bird": {"socket": PATH, "include": PATH},
///    "bgp": {"as": 65001, "peers": [{"address": "10.0.0.1", "as": 65000}],
///            "communities": ["65001:7", "65001:1:2"], "med": 10},
///    "on_daemon_exit": "keep"}

#include <nlohmann/json_fwd.hpp>

#include "announce/announcement.h"
#include "config/announce.h"

namespace sluice::announcer {

/// Throws what the JSON library throws: a mistake of a test.
config::Announce settings_from(const nlohmann::json& document);
/// {"192.0.2.1/32": "announce" | "drain" | "withdraw"}
announce::PrefixWishes wishes_from(const nlohmann::json& document);

}  // namespace sluice::announcer
