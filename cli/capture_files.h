// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Where the blocks of a capture go: one file, a ring of files, standard output. Each file is a
/// complete pcapng: it begins with the section and the interfaces known so far, and ends with
/// statistics, its own or those of the whole capture. Whatever goes wrong, what was written ends
/// with a whole block, so that it can be read.

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "packet/pcapng.h"

namespace sluice::cli {

struct CaptureFileOptions {
    std::string path;                    ///< "-": standard output.
    std::uint64_t rotate_len = 0;        ///< Bytes of a file; 0: any.
    std::chrono::seconds rotate_time{};  ///< 0: any.
    std::uint32_t files = 0;             ///< Of a ring, the newest.
};

class CaptureFiles {
 public:
    explicit CaptureFiles(CaptureFileOptions options) : options_(std::move(options)) {}

    /// The next block of the stream. Errors: those of files.
    Result<void> put(const packet::PcapngBlock& block);
    /// What was put is in the file; and the next one begins if it is time.
    Result<void> flush();
    /// The end: with statistics of its own where the stream brought none.
    Result<void> finish();

    /// Packets in all files, as received and as sent counted once.
    [[nodiscard]] std::uint64_t packets() const { return packets_; }
    /// The file that is being written, or was last; empty: none yet.
    [[nodiscard]] const std::string& path() const { return current_; }

    /// "dir/web_00007_20261121T130000Z.pcapng" for "dir/web.pcapng".
    static std::string numbered(const std::string& path, std::uint32_t number,
                                std::chrono::system_clock::time_point time);

 private:
    using Clock = std::chrono::steady_clock;
    struct Interface {
        std::uint64_t packets = 0;  ///< In this file.
        std::uint64_t lost = 0;
    };

    Result<void> put_packet(const packet::PcapngBlock& block);
    Result<void> open_next();
    Result<void> close();
    Result<void> write_out();
    /// `written` bytes of `buffer_` are there, and there will be no more.
    void cut_after(std::size_t written);
    [[nodiscard]] bool is_ring() const {
        return options_.rotate_len > 0 || options_.rotate_time.count() > 0;
    }
    [[nodiscard]] bool is_due(std::size_t more) const;

    CaptureFileOptions options_;
    UniqueFd file_;
    int fd_ = -1;
    std::string head_;    ///< Section and interfaces.
    std::string buffer_;  ///< Whole blocks, to be written.
    std::uint64_t file_len_ = 0;
    Clock::time_point opened_;
    std::uint64_t opened_ns_ = 0;  ///< Since 1970.
    std::uint64_t packets_ = 0;
    std::uint64_t file_packets_ = 0;
    std::optional<std::uint64_t> last_id_;
    std::vector<Interface> interfaces_;
    bool has_statistics_ = false;
    std::uint32_t number_ = 0;
    std::string current_;
    std::deque<std::string> ring_;
};

}  // namespace sluice::cli
