// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What tests of filters in the kernel share: slots that tell where a packet went, and a comparison
/// of both interpreters.

#include <gtest/gtest.h>

#include <linux/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "cli/pcap_filter.h"
#include "kernel/packet_filter.h"
#include "tests/unit/kernel/filter_frames.h"
#include "tests/unit/kernel/filter_reference.h"
#include "tests/unit/kernel/verdict_program.h"

namespace sluice::test {

using Filter = std::vector<kernel::FilterInstruction>;

inline constexpr int kMatched = XDP_TX;
inline constexpr int kMissed = XDP_DROP;

/// A program array that tells by the action where a packet went.
class Slots {
 public:
    Slots() : array_(::bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "filter_test", 4, 4, 2, nullptr)) {
        fill(0, missed_.program_fd());
        fill(1, matched_.program_fd());
    }
    [[nodiscard]] int fd() const { return array_.get(); }
    void empty(std::uint32_t slot) { ::bpf_map_delete_elem(fd(), &slot); }

 private:
    void fill(std::uint32_t slot, int program) {
        EXPECT_EQ(::bpf_map_update_elem(fd(), &slot, &program, BPF_ANY), 0) << std::strerror(errno);
    }

    VerdictProgram missed_{static_cast<xdp_action>(kMissed)};
    VerdictProgram matched_{static_cast<xdp_action>(kMatched)};
    UniqueFd array_;
};

inline Filter compiled(const std::string& expression) {
    const auto text = cli::compile_filter(expression);
    EXPECT_TRUE(text) << text.error().what;
    if (!text) return {};
    auto filter = kernel::read_filter(*text);
    EXPECT_TRUE(filter) << filter.error().what;
    return filter ? std::move(*filter) : Filter{};
}

inline std::string hex(const Frame& frame) {
    std::string text = std::to_string(frame.size()) + " bytes:";
    char byte[8];
    for (std::size_t i = 0; i < std::min<std::size_t>(frame.size(), 160); ++i) {
        std::snprintf(byte, sizeof byte, "%s%02x", i % 2 == 0 ? " " : "", frame[i]);
        text += byte;
    }
    return text;
}

struct Tally {
    std::size_t matched = 0;
    std::size_t missed = 0;
    std::size_t wrong = 0;
};

class PacketFilterTest : public testing::Test {
 protected:
    UniqueFd load(const Filter& filter, std::vector<std::uint32_t> interfaces = {}) {
        auto loaded =
            kernel::load_filter(filter, kernel::FilterGate{std::move(interfaces), slots.fd()});
        EXPECT_TRUE(loaded) << loaded.error().what << "\n" << kernel::text_of(filter);
        return loaded ? std::move(*loaded) : UniqueFd();
    }

    /// Runs a filter both ways; tells of the first frame on which they differ.
    Tally compare(const Filter& filter, const std::vector<Frame>& frames) {
        Tally tally;
        const UniqueFd program = load(filter);
        const FilterReference reference(filter);
        for (const Frame& frame : frames) {
            const bool want = reference.matches(frame);
            const int got = verdict_of(program.get(), frame);
            ++(want ? tally.matched : tally.missed);
            if (got == (want ? kMatched : kMissed)) continue;
            if (tally.wrong++ == 0) {
                ADD_FAILURE() << "libpcap says " << (want ? "match" : "no match")
                              << ", the kernel answers " << got << "\n"
                              << hex(frame) << "\n"
                              << kernel::text_of(filter);
            }
        }
        return tally;
    }

    Slots slots;
};

}  // namespace sluice::test
