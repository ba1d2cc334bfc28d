// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace sluice {
namespace {

Result<std::unique_ptr<int>> make(bool good) {
    if (!good) return fail(Errc::limit, "out of numbers", "free some");
    return std::make_unique<int>(7);
}

Result<int> read(bool good) {
    const std::unique_ptr<int> value = SLC_TRY(make(good), "make one");
    return *value + 1;
}

Result<void> check(bool good) {
    SLC_CHECK(read(good), std::string("check ") + "all");
    return {};
}

TEST(Result, carries_a_value_through_layers) {
    const auto result = read(true);
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(*result, 8);
    EXPECT_TRUE(check(true).has_value());
}

TEST(Result, every_layer_adds_the_name_that_it_alone_knows) {
    const auto result = check(false);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, Errc::limit);
    EXPECT_EQ(result.error().what, "check all: make one: out of numbers");
    EXPECT_EQ(result.error().hint, "free some");
    EXPECT_EQ(result.error().sys, 0);
}

TEST(Error, the_deepest_hint_wins) {
    EXPECT_EQ(make_error(Errc::denied, "x").advise("be root").hint, "be root");
    EXPECT_EQ(make_error(Errc::denied, "x", "be yourself").advise("be root").hint, "be yourself");
}

TEST(Error, errno_becomes_what_callers_branch_on) {
    const std::pair<int, Errc> kCodes[] = {
        {EPERM, Errc::denied},     {EACCES, Errc::denied},          {ENOENT, Errc::not_found},
        {ENODEV, Errc::not_found}, {ENXIO, Errc::not_found},        {ENOMEM, Errc::limit},
        {E2BIG, Errc::limit},      {ENOSPC, Errc::limit},           {EMFILE, Errc::limit},
        {ENFILE, Errc::limit},     {EOPNOTSUPP, Errc::unsupported}, {ENOSYS, Errc::unsupported},
        {EEXIST, Errc::conflict},  {EBUSY, Errc::conflict},         {EINVAL, Errc::system},
        {EIO, Errc::system},
    };
    for (const auto& [number, code] : kCodes) {
        const Error error = sys_error(number, "open f");
        EXPECT_EQ(error.code, code) << number;
        EXPECT_EQ(error.sys, number);
    }
    EXPECT_EQ(sys_error(ENOENT, "open f").what, "open f: No such file or directory");
    EXPECT_EQ(sys_error(ENOENT, "open f").in("load").what,
              "load: open f: No such file or directory");
}

}  // namespace
}  // namespace sluice
