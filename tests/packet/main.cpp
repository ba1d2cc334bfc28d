// SPDX-License-Identifier: Apache-2.0
//
// 77 (skipped) with a named reason where the kernel or the privileges do not allow test runs.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/packet/harness.h"

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string missing = sluice::packet::missing_privilege();
    if (!missing.empty() && !testing::GTEST_FLAG(list_tests)) {
        std::printf("skipped: %s\n", missing.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
