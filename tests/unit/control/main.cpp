// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/unit/control/fixture.h"
#include "tests/unit/kernel/private_bpffs.h"

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    std::string why = sluice::test::namespaces_refused();
    if (why.empty()) sluice::control::g_bpffs = sluice::test::private_bpffs(why);
    if (sluice::control::g_bpffs.empty()) {
        std::printf("skipped: unit_controller: %s\n", why.c_str());
        return 77;
    }
    return RUN_ALL_TESTS();
}
