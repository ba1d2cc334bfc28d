// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The arithmetic of rings, apart from the tables, so that tests can hold a plain reference beside
/// the fast builders. Everything is integer arithmetic: a ring is the same on every machine, every
/// compiler and every libm, which is what lets a fleet agree without talking.

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::plan::ring_math {

/// A bijection of 64 bits (the finaliser of MurmurHash3). Keys come from addresses, which are often
/// consecutive; after this they are spread, and distinct keys stay distinct.
constexpr std::uint64_t spread(std::uint64_t value) {
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdull;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ull;
    return value ^ (value >> 33);
}

/// Half of a draw that depends on the slot only (the finaliser of 32-bit MurmurHash3).
constexpr std::uint32_t slot_word(std::uint32_t slot) {
    slot += 0x9e3779b9u;
    slot ^= slot >> 16;
    slot *= 0x85ebca6bu;
    slot ^= slot >> 13;
    slot *= 0xc2b2ae35u;
    return slot ^ (slot >> 16);
}

/// u(slot, key) as 32 uniform bits; `word` is slot_word(slot), `spread_key` is spread(key). 32-bit
/// steps only, because 16 of them fit in one vector instruction.
constexpr std::uint32_t draw(std::uint32_t word, std::uint64_t spread_key) {
    std::uint32_t value = word ^ static_cast<std::uint32_t>(spread_key);
    value *= 0xed5ad4bbu;
    value ^= value >> 16;
    value += static_cast<std::uint32_t>(spread_key >> 32);
    value *= 0xac4c1b51u;
    value ^= value >> 15;
    value *= 0x31848babu;
    return value ^ (value >> 16);
}

inline constexpr int kLnFractionBits = 44;
inline constexpr std::uint32_t kLnSteps = 512;

/// ln(1 + i / 512) for i = 0..512 in units of 2^-60, by ln((n+1)/n) = 2 atanh(1 / (2n + 1)).
constexpr std::array<std::uint64_t, kLnSteps + 1> make_ln_table() {
    std::array<std::uint64_t, kLnSteps + 1> table{};
    for (std::uint32_t i = 0; i < kLnSteps; ++i) {
        const std::uint64_t odd = 2ull * (kLnSteps + i) + 1;
        const std::uint64_t z = (1ull << 61) / odd;  // 2 / odd
        const std::uint64_t z3 = z / (odd * odd);
        const std::uint64_t z5 = z3 / (odd * odd);
        table[i + 1] = table[i] + z + z3 / 3 + z5 / 5;
    }
    return table;
}

inline constexpr auto kLnTable = make_ln_table();

/// -ln((2 u + 1) / 2^33) in units of 2^-44: from 2^11 to below 23 * 2^44. Strictly falling in `u`;
/// the error is below 2^-37.
constexpr std::uint64_t minus_ln(std::uint32_t u) {
    constexpr std::uint64_t kLn2 = 0xb17217f7d1cf79abull >> 4;  // units of 2^-60
    const std::uint64_t x = 2ull * u + 1;
    const int exponent = 63 - __builtin_clzll(x);
    // x = 2^exponent * (1 + fraction / 2^32)
    const auto fraction = static_cast<std::uint32_t>((x << (63 - exponent) << 1) >> 32);
    const std::uint32_t step = fraction >> 23;
    const std::uint64_t rest = fraction & 0x7fffff;
    // ln(1 + r) = r - r^2 / 2 + r^3 / 3 with r = rest / (2^23 * (512 + step)) < 2^-9
    const std::uint64_t r = (rest << 37) / (kLnSteps + step);  // units of 2^-60
    const std::uint64_t r30 = r >> 20;                         // units of 2^-40
    const std::uint64_t r2 = (r30 * r30) >> 20;                // units of 2^-60
    const std::uint64_t r3 = ((r2 >> 20) * r30) >> 20;
    const std::uint64_t ln_mantissa = kLnTable[step] + r - r2 / 2 + r3 / 3;
    // 33 ln 2 does not fit in 64 bits of 2^-60: leave the whole powers of two at 2^-44.
    constexpr int kDrop = 60 - kLnFractionBits;
    const std::uint64_t whole = (static_cast<std::uint64_t>(33 - exponent) * (kLn2 >> 8)) >> 8;
    return whole - (ln_mantissa >> kDrop);
}

}  // namespace sluice::plan::ring_math
