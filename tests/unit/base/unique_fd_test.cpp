// SPDX-License-Identifier: Apache-2.0
#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <type_traits>

namespace sluice {
namespace {

static_assert(!std::is_copy_constructible_v<UniqueFd> && !std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);
static_assert(!std::is_convertible_v<UniqueFd, int> && !std::is_convertible_v<int, UniqueFd>);

int open_null() {
    return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(UniqueFd, owns_nothing_at_first) {
    const UniqueFd empty;
    EXPECT_FALSE(empty.valid());
    EXPECT_EQ(empty.get(), -1);
}

TEST(UniqueFd, closes_when_it_goes) {
    const int fd = open_null();
    {
        const UniqueFd owner(fd);
        EXPECT_TRUE(owner.valid());
        EXPECT_EQ(owner.get(), fd);
        EXPECT_TRUE(is_open(fd));
    }
    EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, a_move_hands_over_and_closes_what_it_overwrites) {
    const int first = open_null();
    const int second = open_null();
    UniqueFd owner(first);
    UniqueFd other(second);
    owner = std::move(other);
    EXPECT_FALSE(is_open(first));
    EXPECT_TRUE(is_open(second));
    EXPECT_EQ(owner.get(), second);
    const UniqueFd last(std::move(owner));
    EXPECT_EQ(last.get(), second);
    EXPECT_TRUE(is_open(second));
}

TEST(UniqueFd, a_move_to_itself_keeps_the_descriptor) {
    UniqueFd owner(open_null());
    UniqueFd& same = owner;
    const int fd = owner.get();
    owner = std::move(same);
    EXPECT_EQ(owner.get(), fd);
    EXPECT_TRUE(is_open(fd));
}

TEST(UniqueFd, release_gives_up_without_closing) {
    const int fd = open_null();
    UniqueFd owner(fd);
    EXPECT_EQ(owner.release(), fd);
    EXPECT_FALSE(owner.valid());
    EXPECT_TRUE(is_open(fd));
    owner.reset(fd);
    owner.reset();
    EXPECT_FALSE(is_open(fd));
}

}  // namespace
}  // namespace sluice
