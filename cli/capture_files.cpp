// SPDX-License-Identifier: Apache-2.0
#include "cli/capture_files.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace sluice::cli {
namespace {

using packet::PcapngBlock;
using packet::PcapngType;

constexpr std::size_t kBufferLen = std::size_t{1} << 20;
constexpr mode_t kMode = 0640;  // What is in it is other people's.

std::uint64_t since_1970_ns() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// An empty file, or what is there and is no file: a pipe, a device. Names of a ring can be
/// guessed: a link that somebody has laid there would have another file overwritten.
Result<UniqueFd> open_for_writing(const std::string& path) {
    UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, kMode));
    int saved_errno = errno;
    std::error_code error;
    if (!fd.valid() && saved_errno == ELOOP && std::filesystem::is_symlink(path, error))
        return fail(Errc::invalid, path + ": is a symbolic link",
                    "captures follow none: name the file that it leads to, or - for standard "
                    "output");
    if (!fd.valid()) return fail(sys_error(saved_errno, path));
    struct stat status{};
    const int failed = ::fstat(fd.get(), &status);
    saved_errno = errno;
    if (failed != 0) return fail(sys_error(saved_errno, path));
    if (!S_ISREG(status.st_mode)) return fd;
    // What was more open than ours is closed before anything is in it. Where a file system refuses
    // that, its mount says who may read.
    if (status.st_uid == ::geteuid() && (status.st_mode & 07777 & ~kMode) != 0)
        (void)::fchmod(fd.get(), status.st_mode & kMode);
    const int not_cut = ::ftruncate(fd.get(), 0);
    saved_errno = errno;
    if (not_cut != 0) return fail(sys_error(saved_errno, path));
    return fd;
}

}  // namespace

std::string CaptureFiles::numbered(const std::string& path, std::uint32_t number,
                                   std::chrono::system_clock::time_point time) {
    const std::filesystem::path whole(path);
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    const std::string name = fmt::format("{}_{:05}_{:%Y%m%dT%H%M%SZ}{}", whole.stem().string(),
                                         number, fmt::gmtime(seconds), whole.extension().string());
    return (whole.parent_path() / name).string();
}

Result<void> CaptureFiles::put(const PcapngBlock& block) {
    if (block.type == PcapngType::section || block.type == PcapngType::interface)
        head_ += block.bytes;
    if (fd_ < 0) {
        if (block.type != PcapngType::section)
            return fail(Errc::invalid, "pcapng: it does not begin with a section");
        auto opened = open_next();
        if (!opened) return opened;
    } else if (block.type == PcapngType::packet) {
        return put_packet(block);
    } else {
        buffer_ += block.bytes;
    }
    if (block.type == PcapngType::interface) interfaces_.emplace_back();
    has_statistics_ = has_statistics_ || block.type == PcapngType::statistics;
    return {};
}

Result<void> CaptureFiles::put_packet(const PcapngBlock& block) {
    const auto packet = packet::read_packet(block);
    if (!packet) return fail(packet.error());
    const bool is_new = !packet->id || packet->id != last_id_;
    // A packet as received and as sent stays together.
    if (is_new && file_packets_ > 0 && is_due(block.bytes.size())) {
        auto rotated = close();
        if (rotated) rotated = open_next();
        if (!rotated) return rotated;
    }
    last_id_ = packet->id;
    if (packet->interface < interfaces_.size()) {
        interfaces_[packet->interface].packets += is_new;
        interfaces_[packet->interface].lost += packet->lost_before.value_or(0);
    }
    packets_ += is_new;
    file_packets_ += is_new;
    buffer_ += block.bytes;
    return buffer_.size() < kBufferLen ? Result<void>() : write_out();
}

bool CaptureFiles::is_due(std::size_t more) const {
    if (options_.rotate_len > 0 && file_len_ + buffer_.size() + more > options_.rotate_len)
        return true;
    return options_.rotate_time.count() > 0 && Clock::now() - opened_ >= options_.rotate_time;
}

Result<void> CaptureFiles::flush() {
    if (fd_ >= 0 && file_packets_ > 0 && is_due(0)) {
        auto rotated = close();
        if (rotated) rotated = open_next();
        if (!rotated) return rotated;
    }
    return write_out();
}

Result<void> CaptureFiles::finish() {
    return fd_ < 0 ? Result<void>() : close();
}

Result<void> CaptureFiles::open_next() {
    ++number_;
    std::string path = options_.path;
    if (path == "-") {
        fd_ = STDOUT_FILENO;
        path = "standard output";
    } else {
        if (is_ring()) path = numbered(path, number_, std::chrono::system_clock::now());
        auto opened = open_for_writing(path);
        if (!opened) return fail(std::move(opened).error());
        file_ = std::move(*opened);
        fd_ = file_.get();
        if (is_ring()) ring_.push_back(path);
    }
    current_ = std::move(path);
    while (options_.files > 0 && ring_.size() > options_.files) {
        (void)::unlink(ring_.front().c_str());  // Somebody may have taken it away.
        ring_.pop_front();
    }
    file_len_ = 0;
    file_packets_ = 0;
    opened_ = Clock::now();
    opened_ns_ = since_1970_ns();
    for (Interface& interface : interfaces_) interface = {};
    buffer_ = head_;
    return {};
}

Result<void> CaptureFiles::close() {
    for (std::size_t i = 0; i < interfaces_.size() && !has_statistics_; ++i) {
        packet::PcapngStatistics statistics;
        statistics.interface = static_cast<std::uint32_t>(i);
        statistics.start_ns = opened_ns_;
        statistics.end_ns = since_1970_ns();
        statistics.delivered = interfaces_[i].packets;
        statistics.lost = interfaces_[i].lost;
        const std::string comment = fmt::format("written={} lost={} of=this_file",
                                                interfaces_[i].packets, interfaces_[i].lost);
        statistics.comment = comment;
        packet::put(buffer_, statistics);
    }
    auto written = write_out();
    fd_ = -1;
    if (!written || !file_.valid()) return written;
    // Of a file on a network, or over a quota, the end says what became of it.
    const int failed = ::close(file_.release());
    const int saved_errno = errno;
    if (failed != 0) return fail(sys_error(saved_errno, current_));
    return {};
}

Result<void> CaptureFiles::write_out() {
    std::size_t at = 0;
    while (at < buffer_.size()) {
        const ssize_t written = ::write(fd_, buffer_.data() + at, buffer_.size() - at);
        const int saved_errno = errno;
        if (written > 0) {
            at += static_cast<std::size_t>(written);
        } else if (written == 0 || saved_errno != EINTR) {
            cut_after(at);
            return fail(sys_error(written == 0 ? ENOSPC : saved_errno, current_));
        }
    }
    file_len_ += buffer_.size();
    buffer_.clear();
    return {};
}

void CaptureFiles::cut_after(std::size_t written) {
    std::size_t whole = 0;
    while (whole + 8 <= written) {
        std::uint32_t len = 0;
        std::memcpy(&len, buffer_.data() + whole + 4, sizeof len);
        if (len == 0 || whole + len > written) break;
        whole += len;
    }
    file_len_ += whole;
    buffer_.clear();
    // Neither call can do anything about a pipe, nor need it.
    if (::ftruncate(fd_, static_cast<off_t>(file_len_)) == 0)
        (void)::lseek(fd_, static_cast<off_t>(file_len_), SEEK_SET);
}

}  // namespace sluice::cli
