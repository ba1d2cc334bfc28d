// SPDX-License-Identifier: Apache-2.0
#include "config/load.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tests/unit/config/findings.h"

namespace sluice::config {
namespace {

class Load : public testing::Test {
 protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "sluice-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        dir_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(dir_); }

    void write(const std::string& name, std::string_view content) const {
        std::ofstream(dir_ + "/" + name, std::ios::binary) << content;
    }

    std::string dir_;
};

TEST_F(Load, a_file_is_read_whole) {
    const std::string content = std::string(200'000, 'x') + '\0' + "end";
    write("f", content);
    const auto text = read_file(dir_ + "/f");
    ASSERT_TRUE(text.has_value());
    EXPECT_EQ(*text, content);
}

TEST_F(Load, a_missing_file_and_a_directory_are_named) {
    const auto missing = read_file(dir_ + "/f");
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, Errc::not_found);
    EXPECT_EQ(missing.error().what,
              "configuration: open " + dir_ + "/f: No such file or directory");
    const auto directory = read_file(dir_);
    ASSERT_FALSE(directory.has_value());
    EXPECT_EQ(directory.error().what, "read " + dir_ + ": Is a directory");
}

TEST_F(Load, a_file_without_end_is_refused) {
    const auto endless = read_file("/dev/zero");
    ASSERT_FALSE(endless.has_value());
    EXPECT_EQ(endless.error().code, Errc::limit);
    EXPECT_EQ(endless.error().what, "read /dev/zero: more than 64 MiB");
}

TEST_F(Load, the_ring_secret_comes_from_its_file) {
    write("secret", "000102030405060708090a0b0c0d0e0f\n");
    for (const std::string& name : {std::string("secret"), dir_ + "/secret"}) {
        Config config;
        config.node.ring_secret_file = name;
        const auto result = load_secrets(config, dir_);
        ASSERT_TRUE(result.has_value()) << result.error().what;
        EXPECT_TRUE(config.node.has_ring_secret);
        EXPECT_EQ(config.node.ring_secret[0], 0x0001020304050607u);
        EXPECT_EQ(config.node.ring_secret[1], 0x08090a0b0c0d0e0fu);
    }
}

TEST_F(Load, a_configuration_without_a_secret_file_stays_as_it_is) {
    Config config;
    EXPECT_TRUE(load_secrets(config, dir_).has_value());
    EXPECT_FALSE(config.node.has_ring_secret);
}

TEST_F(Load, a_bad_secret_is_not_repeated_in_the_error) {
    write("secret", "0001020304050607\n");
    Config config;
    config.node.ring_secret_file = "secret";
    const auto result = load_secrets(config, dir_);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, Errc::invalid);
    EXPECT_EQ(result.error().what,
              "node.ring_secret_file: " + dir_ + "/secret does not hold 32 hex digits");
    EXPECT_FALSE(config.node.has_ring_secret);
}

TEST_F(Load, a_missing_secret_file_is_an_error) {
    Config config;
    config.node.ring_secret_file = "secret";
    const auto result = load_secrets(config, dir_);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, Errc::not_found);
}

TEST_F(Load, relative_paths_start_at_the_configuration_file) {
    EXPECT_EQ(directory_of("/etc/sluice/sluice.yaml"), "/etc/sluice");
    EXPECT_EQ(directory_of("/sluice.yaml"), "/");
    EXPECT_EQ(directory_of("sluice.yaml"), ".");
    EXPECT_EQ(directory_of("-"), ".");
}

}  // namespace
}  // namespace sluice::config
