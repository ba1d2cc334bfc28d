// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/packet_mutate.h"

#include <algorithm>

#include "tests/packet/dissect.h"

namespace sluice::packet {
namespace {

constexpr std::size_t kShortest = 14;
constexpr std::size_t kLongest = 9500;

class Mutator {
 public:
    Mutator(Bytes frame, const Bytes& other, std::mt19937_64& random)
        : frame_(std::move(frame)), other_(other), random_(random) {}

    Bytes run() {
        for (std::size_t i = 1 + below(6); i > 0; --i) step();
        if (below(2) == 0) mend_ip4();
        if (frame_.size() > kLongest) frame_.resize(kLongest);
        if (frame_.size() < kShortest) frame_.resize(kShortest);
        return std::move(frame_);
    }

 private:
    std::size_t below(std::size_t bound) {
        return static_cast<std::size_t>(random_() % std::max<std::size_t>(bound, 1));
    }
    std::uint8_t byte() { return static_cast<std::uint8_t>(random_()); }

    /// Headers are what is interesting: most places are among the first hundred bytes.
    std::size_t place() {
        const std::size_t end =
            below(8) == 0 ? frame_.size() : std::min<std::size_t>(100, frame_.size());
        return below(end);
    }

    void step() {
        switch (below(12)) {
            case 0:
            case 1:
                return flip_bit();
            case 2:
                return set_byte();
            case 3:
            case 4:
                return set_field();
            case 5:
                return cut();
            case 6:
                return extend();
            case 7:
                return splice();
            case 8:
                return swap_ip_header();
            case 9:
                return remove_part();
            case 10:
                return repeat_part();
            default:
                return change_protocol();
        }
    }

    void flip_bit() {
        if (!frame_.empty()) frame_[place()] ^= static_cast<std::uint8_t>(1U << below(8));
    }

    void set_byte() {
        static constexpr std::uint8_t kValues[] = {0,    1,    4,    6,    0x40, 0x45,
                                                   0x4f, 0x60, 0x7f, 0x80, 0xfe, 0xff};
        if (frame_.empty()) return;
        frame_[place()] = below(2) == 0 ? kValues[below(std::size(kValues))] : byte();
    }

    void put16(std::size_t at, std::uint16_t value) {
        if (at + 2 > frame_.size()) return;
        frame_[at] = static_cast<std::uint8_t>(value >> 8);
        frame_[at + 1] = static_cast<std::uint8_t>(value);
    }

    [[nodiscard]] std::uint16_t get16(std::size_t at) const {
        return at + 2 > frame_.size()
                   ? 0
                   : static_cast<std::uint16_t>(frame_[at] << 8 | frame_[at + 1]);
    }

    /// A length or an offset, a little or a lot wrong.
    void set_field() {
        const std::size_t l3 = head_of(frame_).l3;
        static constexpr std::size_t kFields[] = {2, 4, 6, 16, 24, 42, 44, 58, 60};
        const std::size_t at = l3 + kFields[below(std::size(kFields))];
        const std::uint16_t now = get16(at);
        const std::uint16_t values[] = {0,
                                        1,
                                        8,
                                        20,
                                        0x2000,
                                        0x7fff,
                                        0xffff,
                                        static_cast<std::uint16_t>(now + 1),
                                        static_cast<std::uint16_t>(now - 1),
                                        static_cast<std::uint16_t>(now + 8),
                                        static_cast<std::uint16_t>(now - 8),
                                        static_cast<std::uint16_t>(frame_.size() - l3),
                                        static_cast<std::uint16_t>(random_())};
        put16(at, values[below(std::size(values))]);
    }

    void cut() {
        const std::size_t size = below(3) == 0 ? below(frame_.size()) : place();
        frame_.resize(std::max(kShortest, size));
    }

    void extend() {
        const std::size_t size = below(8) == 0 ? below(4000) : below(64);
        for (std::size_t i = 0; i < size; ++i) frame_.push_back(byte());
    }

    void splice() {
        const std::size_t here = place();
        const std::size_t there = below(std::min<std::size_t>(other_.size(), 100));
        frame_.resize(here);
        frame_.insert(frame_.end(), other_.begin() + static_cast<long>(there), other_.end());
    }

    /// The other frame's network header in front of this one's rest.
    void swap_ip_header() {
        const Head mine = head_of(frame_);
        const Head theirs = head_of(other_);
        const std::size_t size = theirs.ether_type == 0x86dd ? 40 : 20;
        if (!mine.readable || !theirs.readable || other_.size() < theirs.l3 + size) return;
        const std::size_t own = mine.ether_type == 0x86dd ? 40 : 20;
        if (frame_.size() < mine.l3 + own) return;
        Bytes out(frame_.begin(), frame_.begin() + static_cast<long>(mine.l3));
        out.insert(out.end(), other_.begin() + static_cast<long>(theirs.l3),
                   other_.begin() + static_cast<long>(theirs.l3 + size));
        out.insert(out.end(), frame_.begin() + static_cast<long>(mine.l3 + own), frame_.end());
        frame_ = std::move(out);
        put16(mine.l3 - 2, theirs.ether_type);
    }

    void remove_part() {
        const std::size_t from = place();
        const std::size_t size = std::min(1 + below(40), frame_.size() - from);
        frame_.erase(frame_.begin() + static_cast<long>(from),
                     frame_.begin() + static_cast<long>(from + size));
    }

    void repeat_part() {
        const std::size_t from = place();
        const std::size_t size = std::min(1 + below(40), frame_.size() - from);
        const Bytes part(frame_.begin() + static_cast<long>(from),
                         frame_.begin() + static_cast<long>(from + size));
        frame_.insert(frame_.begin() + static_cast<long>(from), part.begin(), part.end());
    }

    void change_protocol() {
        static constexpr std::uint8_t kProtocols[] = {0,  1,  4,  6,  17, 41, 43,  44,
                                                      47, 50, 51, 58, 59, 60, 132, 255};
        const Head head = head_of(frame_);
        const std::size_t at = head.l3 + (head.ether_type == 0x86dd ? 6 : 9);
        if (at < frame_.size()) frame_[at] = kProtocols[below(std::size(kProtocols))];
    }

    /// A right IPv4 header sum, and a length that fits: lets a mutation reach what lies deeper.
    void mend_ip4() {
        const Head head = head_of(frame_);
        if (!head.readable || head.ether_type != 0x0800 || frame_.size() < head.l3 + 20) return;
        if (below(2) == 0) put16(head.l3 + 2, static_cast<std::uint16_t>(frame_.size() - head.l3));
        const std::size_t len = (frame_[head.l3] & 0xfU) * 4U;
        if (len < 20 || frame_.size() < head.l3 + len) return;
        put16(head.l3 + 10, 0);
        const Bytes header(frame_.begin() + static_cast<long>(head.l3),
                           frame_.begin() + static_cast<long>(head.l3 + len));
        put16(head.l3 + 10, static_cast<std::uint16_t>(~ones_sum(header)));
    }

    Bytes frame_;
    const Bytes& other_;
    std::mt19937_64& random_;
};

}  // namespace

Bytes mutate(Bytes frame, const Bytes& other, std::mt19937_64& random) {
    return Mutator(std::move(frame), other, random).run();
}

}  // namespace sluice::packet
