// SPDX-License-Identifier: Apache-2.0
// Where captures go: files, rings of them, and what is left when one cannot be written.
#include "cli/capture_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"
#include "cli/capture_print.h"
#include "cli/size.h"
#include "packet/pcap.h"

namespace sluice::cli {
namespace {

using packet::PcapngBlock;
using packet::PcapngType;

class CaptureFilesTest : public testing::Test {
 protected:
    CaptureFilesTest() {
        char name[] = "/tmp/sluice-capture-XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    ~CaptureFilesTest() override { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string path(const std::string& name) const {
        return directory_ + "/" + name;
    }

    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const auto& entry : std::filesystem::directory_iterator(directory_))
            out.push_back(entry.path().string());
        std::sort(out.begin(), out.end());
        return out;
    }

    /// The blocks of `bytes`, one after the other.
    static Result<void> put(CaptureFiles& files, const std::string& bytes) {
        packet::PcapngSplitter splitter;
        return splitter.take(bytes,
                             [&files](const PcapngBlock& block) { return files.put(block); });
    }

    static std::string head() {
        std::string out;
        packet::put(out, packet::PcapngSection{"x86_64", "Linux", "sluice"});
        packet::put(out, packet::PcapngInterface{"eth0", 0});
        return out;
    }

    /// As received and as sent: 1,000 bytes each.
    static std::string pair(std::uint64_t id, std::uint64_t lost = 0) {
        std::string out;
        const std::string bytes(1000, '\x02');
        packet::PcapngPacket packet;
        packet.bytes = bytes;
        packet.len = 1000;
        packet.id = id;
        if (lost > 0) packet.lost_before = lost;
        packet::put(out, packet);
        packet.lost_before.reset();
        packet::put(out, packet);
        return out;
    }

    struct Whole {
        std::vector<std::uint64_t> ids;
        std::vector<std::string> comments;  ///< Of its statistics.
        std::vector<std::string> interfaces;
    };

    /// What a file says, which must be whole.
    static Whole read(const std::string& path) {
        Whole out;
        const auto bytes = read_whole_file(path);
        EXPECT_TRUE(bytes.has_value());
        packet::PcapngSplitter splitter;
        const auto taken = splitter.take(*bytes, [&out](const PcapngBlock& block) -> Result<void> {
            if (block.type == PcapngType::packet)
                out.ids.push_back(packet::read_packet(block)->id.value_or(0));
            if (block.type == PcapngType::interface)
                out.interfaces.push_back(packet::read_interface(block)->name);
            if (block.type == PcapngType::statistics)
                out.comments.emplace_back(packet::read_statistics(block)->comment);
            return {};
        });
        EXPECT_TRUE(taken.has_value());
        EXPECT_TRUE(splitter.is_between()) << path << " ends within a block";
        EXPECT_TRUE(packet::read_capture_file(path).has_value());
        return out;
    }

    std::string directory_;
};

TEST_F(CaptureFilesTest, one_file_holds_it_all_and_the_streams_own_statistics) {
    CaptureFiles files({.path = path("a.pcapng")});
    std::string all = head() + pair(1) + pair(2);
    packet::PcapngStatistics statistics;
    statistics.comment = "matched=2";
    packet::put(all, statistics);
    ASSERT_TRUE(put(files, all).has_value());
    ASSERT_TRUE(files.finish().has_value());
    EXPECT_EQ(*read_whole_file(path("a.pcapng")), all);
    EXPECT_EQ(files.packets(), 2u);
}

TEST_F(CaptureFilesTest, a_stream_that_was_cut_short_gets_statistics_of_what_there_is) {
    CaptureFiles files({.path = path("a.pcapng")});
    ASSERT_TRUE(put(files, head() + pair(1) + pair(9, 7)).has_value());
    ASSERT_TRUE(files.finish().has_value());
    const Whole whole = read(path("a.pcapng"));
    EXPECT_EQ(whole.ids, (std::vector<std::uint64_t>{1, 1, 9, 9}));
    EXPECT_EQ(whole.comments, std::vector<std::string>{"written=2 lost=7 of=this_file"});
}

TEST_F(CaptureFilesTest, a_ring_keeps_the_newest_files_and_tears_no_packet_apart) {
    CaptureFiles files({.path = path("a.pcapng"), .rotate_len = 5000, .files = 3});
    ASSERT_TRUE(put(files, head()).has_value());
    for (std::uint64_t id = 1; id <= 11; ++id) ASSERT_TRUE(put(files, pair(id)).has_value());
    ASSERT_TRUE(files.finish().has_value());
    const auto left = names();
    ASSERT_EQ(left.size(), 3u);
    std::uint64_t next = 7;
    for (const std::string& name : left) {
        SCOPED_TRACE(name);
        const Whole whole = read(name);
        EXPECT_EQ(whole.interfaces, std::vector<std::string>{"eth0"});
        EXPECT_EQ(whole.comments.size(), 1u);
        EXPECT_LE(std::filesystem::file_size(name), 5200u);
        for (std::size_t i = 0; i < whole.ids.size(); ++i) EXPECT_EQ(whole.ids[i], next + i / 2);
        next += whole.ids.size() / 2;
    }
    EXPECT_EQ(next, 12u);
    EXPECT_EQ(files.packets(), 11u);
}

TEST_F(CaptureFilesTest, an_interface_met_in_the_first_file_is_in_every_later_one) {
    CaptureFiles files({.path = path("a.pcapng"), .rotate_len = 2500, .files = 9});
    std::string other;
    packet::put(other, packet::PcapngInterface{"eth1", 0});
    ASSERT_TRUE(put(files, head() + pair(1) + other + pair(2) + pair(3)).has_value());
    ASSERT_TRUE(files.finish().has_value());
    ASSERT_EQ(names().size(), 3u);
    EXPECT_EQ(read(names()[2]).interfaces, (std::vector<std::string>{"eth0", "eth1"}));
}

TEST_F(CaptureFilesTest, names_of_a_ring_have_number_and_time_before_their_ending) {
    const auto time = std::chrono::system_clock::from_time_t(1'795'266'000);
    EXPECT_EQ(CaptureFiles::numbered("/var/tmp/web.pcapng", 7, time),
              "/var/tmp/web_00007_20261121T130000Z.pcapng");
    EXPECT_EQ(CaptureFiles::numbered("web", 123456, time), "web_123456_20261121T130000Z");
}

/// Files of this process end here, as on a disk that is full.
class FileSizeLimit {
 public:
    explicit FileSizeLimit(rlim_t bytes) {
        ::getrlimit(RLIMIT_FSIZE, &former_);
        handler_ = std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{bytes, former_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &former_);
        std::signal(SIGXFSZ, handler_);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
    rlimit former_{};
    void (*handler_)(int) = nullptr;
};

TEST_F(CaptureFilesTest, a_file_that_may_not_grow_ends_with_a_whole_packet) {
    CaptureFiles files({.path = path("a.pcapng")});
    std::string all = head();
    for (std::uint64_t id = 1; id <= 10; ++id) all += pair(id);
    {
        const FileSizeLimit limit(7777);
        ASSERT_TRUE(put(files, all).has_value());
        const auto flushed = files.flush();
        ASSERT_FALSE(flushed.has_value());
        EXPECT_EQ(flushed.error().what, path("a.pcapng") + ": File too large");
    }
    // Room again: what was lost stays lost, and what comes now follows what is there.
    ASSERT_TRUE(files.finish().has_value());
    const Whole whole = read(path("a.pcapng"));
    EXPECT_EQ(whole.ids, (std::vector<std::uint64_t>{1, 1, 2, 2, 3, 3, 4}));
    EXPECT_EQ(whole.comments.size(), 1u);
}

TEST_F(CaptureFilesTest, a_file_that_cannot_be_made_is_named) {
    CaptureFiles files({.path = path("none/a.pcapng")});
    EXPECT_EQ(put(files, head()).error().what,
              path("none/a.pcapng") + ": No such file or directory");
    CaptureFiles odd({.path = path("a.pcapng")});
    EXPECT_EQ(put(odd, pair(1)).error().what, "pcapng: it does not begin with a section");
    EXPECT_TRUE(names().empty());
}

TEST_F(CaptureFilesTest, a_link_is_not_followed_and_what_it_leads_to_is_left_alone) {
    ASSERT_TRUE(write_file(path("secret"), "mine").has_value());
    std::filesystem::create_symlink(path("secret"), path("a.pcapng"));
    std::filesystem::create_symlink(path("nowhere"), path("b.pcapng"));
    for (const char* name : {"a.pcapng", "b.pcapng"}) {
        CaptureFiles files({.path = path(name)});
        const auto refused = put(files, head());
        ASSERT_FALSE(refused) << name;
        EXPECT_EQ(refused.error().what, path(name) + ": is a symbolic link");
        EXPECT_EQ(refused.error().hint,
                  "captures follow none: name the file that it leads to, or - for standard output");
    }
    EXPECT_EQ(read_whole_file(path("secret")).value_or(""), "mine");
    EXPECT_FALSE(std::filesystem::exists(path("nowhere")));
}

TEST_F(CaptureFilesTest, a_ring_does_not_follow_a_link_with_a_name_that_was_guessed) {
    ASSERT_TRUE(write_file(path("secret"), "mine").has_value());
    CaptureFiles files({.path = path("a.pcapng"), .rotate_len = 2500, .files = 3});
    ASSERT_TRUE(put(files, head() + pair(1)).has_value());
    // The second file's, for every second in which it may begin.
    const auto now = std::chrono::system_clock::now();
    for (int second = -1; second < 600; ++second)
        std::filesystem::create_symlink(
            path("secret"),
            CaptureFiles::numbered(path("a.pcapng"), 2, now + std::chrono::seconds(second)));
    const auto refused = put(files, head() + pair(2));
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().what.ends_with(": is a symbolic link")) << refused.error().what;
    EXPECT_EQ(read_whole_file(path("secret")).value_or(""), "mine");
}

struct ModeCase {
    mode_t before, after;
};

TEST_F(CaptureFilesTest, a_file_that_is_written_again_is_no_more_open_than_a_new_one) {
    constexpr ModeCase kCases[] = {{0666, 0640}, {0644, 0640}, {0755, 0640},
                                   {0640, 0640}, {0600, 0600}, {04640, 0640}};
    for (const ModeCase& test : kCases) {
        SCOPED_TRACE(test.before);
        const std::string name = path("a.pcapng");
        ASSERT_TRUE(write_file(name, std::string(100'000, 'x')).has_value());
        ASSERT_EQ(::chmod(name.c_str(), test.before), 0);
        CaptureFiles files({.path = name});
        ASSERT_TRUE(put(files, head() + pair(1)).has_value());
        ASSERT_TRUE(files.finish().has_value());
        struct stat status{};
        ASSERT_EQ(::stat(name.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, test.after);
        EXPECT_EQ(read(name).ids, (std::vector<std::uint64_t>{1, 1}));
    }
}

TEST_F(CaptureFilesTest, a_pipe_and_a_device_take_a_capture_as_they_are) {
    ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0666), 0);
    ASSERT_EQ(::chmod(path("pipe").c_str(), 0666), 0);
    const UniqueFd reader(::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(reader.valid());
    for (const std::string& name : {path("pipe"), std::string("/dev/null")}) {
        struct stat before{};
        ASSERT_EQ(::stat(name.c_str(), &before), 0);
        CaptureFiles files({.path = name});
        ASSERT_TRUE(put(files, head()).has_value()) << name;
        ASSERT_TRUE(files.finish().has_value()) << name;
        struct stat after{};
        ASSERT_EQ(::stat(name.c_str(), &after), 0);
        EXPECT_EQ(after.st_mode, before.st_mode) << name;
    }
    std::string got(4096, '\0');
    const ssize_t len = ::read(reader.get(), got.data(), got.size());
    ASSERT_GT(len, 0);
    EXPECT_EQ(got.substr(0, head().size()), head());
}

TEST(CapturePrint, a_word_of_a_comment_is_found_whole) {
    constexpr std::string_view kComment = "matched=20 written=3 unwritten=9 ended=the written=4";
    EXPECT_EQ(word_of(kComment, "matched"), "20");
    EXPECT_EQ(word_of(kComment, "written"), "3");
    EXPECT_EQ(word_of(kComment, "ended"), "the");
    EXPECT_EQ(word_of(kComment, "match"), "");
    EXPECT_EQ(word_of("", "matched"), "");
}

struct SizeCase {
    const char* text;
    std::uint64_t bytes;  ///< 0: refused.
};

TEST(Size, is_a_number_with_a_unit_or_without) {
    constexpr SizeCase kCases[] = {
        {"1", 1},           {"65536", 65536},   {"512K", 524288},
        {"32m", 33554432},  {"1G", 1073741824}, {"8589934592G", std::uint64_t{1} << 63},
        {"8589934593G", 0}, {"0", 0},           {"", 0},
        {"K", 0},           {"-1", 0},          {"1.5M", 0},
        {"1T", 0},          {"1 M", 0},         {"18446744073709551616", 0},
    };
    for (const SizeCase& test : kCases)
        EXPECT_EQ(parse_size(test.text).value_or(0), test.bytes) << test.text;
    EXPECT_EQ(parse_size("x").error().what, "is not a size, as in 65536, 512K, 32M or 1G");
}

}  // namespace
}  // namespace sluice::cli
