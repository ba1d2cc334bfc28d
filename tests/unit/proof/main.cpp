// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/unit/kernel/twin_rig.h"

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const std::string why = sluice::test::missing_privilege();
    if (!why.empty()) {
        std::printf("skipped: unit_proof: %s\n", why.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
