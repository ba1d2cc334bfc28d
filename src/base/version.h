// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace sluice {

/// The release this was built from, "0.1.0": the project version of CMakeLists.txt.
const char* version();

}  // namespace sluice
