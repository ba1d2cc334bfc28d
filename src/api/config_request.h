// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the requests about configurations carry: `POST /api/v1/config/plan|apply|drift|confirm|
/// rollback` with a JSON object. Pure; the CLI writes what the server reads.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/configurations.h"

namespace sluice::api {

/// Longest body of a request that carries a configuration. 100,000 backends are some 10 MiB.
inline constexpr std::size_t kMaxConfigBodyLen = std::size_t{64} << 20;
/// Longest time within which a change may want to be confirmed: 30 days.
inline constexpr std::chrono::seconds kMaxConfirmWithin{30LL * 86400};

/// Of plan and apply, and of drift, which takes only text and file.
///   {"text": "version: 2\n...", "file": "/etc/sluice/new.yaml", "directory": "/etc/sluice",
///   "author": "ada",
///    "message": "more weight", "confirm_within_s": 300, "road": "map", "dry_run": false,
///    "canary": {"interfaces": ["eth1"]}   or   {"share": 0.05}}
struct ConfigBody {
    control::ApplyRequest request;
    bool has_text = false;  ///< Else the daemon's own file is meant.
};
/// Errc::invalid names the key that is unknown, given twice, of another type or out of bounds.
Result<ConfigBody> parse_apply(std::string_view body);
Result<ConfigBody> parse_drift(std::string_view body);
/// What a client sends for it: the same again. Errc::limit beyond kMaxConfigBodyLen.
Result<std::string> apply_body(const ConfigBody& body);

/// Of confirm and rollback; an empty body is one that says nothing.
struct GenerationBody {
    std::optional<std::uint32_t> generation;
    std::string author;
    std::string message;
};
Result<GenerationBody> parse_generation(std::string_view body);
std::string generation_body(const GenerationBody& body);

/// "file=/etc/sluice/new.yaml bytes=1234 road=map", for the log.
std::string text_of(const ConfigBody& body);
std::string text_of(const GenerationBody& body);

}  // namespace sluice::api
