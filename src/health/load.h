// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a backend says of its own load. Only reading: what follows is the controller's.

#include <optional>
#include <string>
#include <string_view>

namespace sluice::health {

/// A decimal number from 0 to 100: "37", "12.5". Anything else says nothing.
std::optional<double> load_of_text(std::string_view text);

/// The same of the member `field` of a JSON object, as a number or as text; members of members are
/// not looked at.
std::optional<double> load_of_json(std::string_view body, const std::string& field);

}  // namespace sluice::health
