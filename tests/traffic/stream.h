// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What client and server say to each other. Each side's bytes follow from a number that the client
/// chose, so that both can check every byte that arrives and any that is missing shows.
///
///   TCP  client: Hello, then its stream          server: its name, then its stream
///   UDP  client: Datagram with its stream        server: its name, Datagram with its stream
///
/// Both ends run on one machine: numbers are in its byte order.

#include <cstdint>
#include <cstring>
#include <span>

namespace sluice::traffic {

inline constexpr std::size_t kNameLen = 16;  ///< Of a backend, padded with zeros.

/// How the server behaves.
enum class Manner : std::uint32_t {
    talk = 0,    ///< Sends of its own accord all the while.
    answer = 1,  ///< Sends a byte for each that it gets.
};

struct Hello {
    std::uint64_t seed = 0;
    Manner manner = Manner::talk;
    std::uint32_t zero = 0;
};

struct Datagram {
    std::uint64_t seed = 0;
    std::uint64_t number = 0;  ///< 0, 1, ... within the flow.
    std::uint8_t bytes[48] = {};
};

/// A pseudo-random sequence of bytes that can be read anywhere.
class Stream {
 public:
    explicit Stream(std::uint64_t seed = 0) : seed_(seed) {}
    /// The server's side of a connection.
    static Stream down(std::uint64_t seed) { return Stream(~seed); }

    void fill(std::uint64_t offset, std::span<std::uint8_t> out) const {
        for (std::uint8_t& byte : out) byte = at(offset++);
    }
    [[nodiscard]] bool matches(std::uint64_t offset, std::span<const std::uint8_t> in) const {
        for (const std::uint8_t byte : in)
            if (byte != at(offset++)) return false;
        return true;
    }

 private:
    [[nodiscard]] std::uint8_t at(std::uint64_t offset) const {
        // The finaliser of MurmurHash3 over the number of the eight bytes.
        std::uint64_t word = seed_ + (offset / 8 + 1) * 0x9e3779b97f4a7c15ull;
        word = (word ^ (word >> 33)) * 0xff51afd7ed558ccdull;
        word = (word ^ (word >> 33)) * 0xc4ceb9fe1a85ec53ull;
        return static_cast<std::uint8_t>((word ^ (word >> 33)) >> (8 * (offset % 8)));
    }

    std::uint64_t seed_;
};

}  // namespace sluice::traffic
