// SPDX-License-Identifier: Apache-2.0

/// Classic BPF as text, and what of it is a program.

#include <linux/filter.h>

#include <charconv>
#include <limits>

#include "kernel/packet_filter.h"

namespace sluice::kernel {
namespace {

constexpr std::string_view kBetween = " \t\r\n,";

/// What is known of an instruction from its code alone.
enum class Kind {
    unknown,
    plain,     ///< Any operand will do.
    packet,    ///< The operand is an offset into the frame.
    memory,    ///< The operand is a word of memory.
    shift,     ///< By the operand.
    division,  ///< By the operand.
    branch,
    jump,
    end,
};

/// The list of Linux: bpf_check_classic() in net/core/filter.c.
Kind kind_of(std::uint16_t code) {
    switch (code) {
        case BPF_LD | BPF_W | BPF_ABS:
        case BPF_LD | BPF_H | BPF_ABS:
        case BPF_LD | BPF_B | BPF_ABS:
        case BPF_LD | BPF_W | BPF_IND:
        case BPF_LD | BPF_H | BPF_IND:
        case BPF_LD | BPF_B | BPF_IND:
        case BPF_LDX | BPF_B | BPF_MSH:
            return Kind::packet;
        case BPF_LD | BPF_MEM:
        case BPF_LDX | BPF_MEM:
        case BPF_ST:
        case BPF_STX:
            return Kind::memory;
        case BPF_ALU | BPF_LSH | BPF_K:
        case BPF_ALU | BPF_RSH | BPF_K:
            return Kind::shift;
        case BPF_ALU | BPF_DIV | BPF_K:
        case BPF_ALU | BPF_MOD | BPF_K:
            return Kind::division;
        case BPF_LD | BPF_W | BPF_LEN:
        case BPF_LD | BPF_IMM:
        case BPF_LDX | BPF_W | BPF_LEN:
        case BPF_LDX | BPF_IMM:
        case BPF_ALU | BPF_ADD | BPF_K:
        case BPF_ALU | BPF_ADD | BPF_X:
        case BPF_ALU | BPF_SUB | BPF_K:
        case BPF_ALU | BPF_SUB | BPF_X:
        case BPF_ALU | BPF_MUL | BPF_K:
        case BPF_ALU | BPF_MUL | BPF_X:
        case BPF_ALU | BPF_DIV | BPF_X:
        case BPF_ALU | BPF_MOD | BPF_X:
        case BPF_ALU | BPF_AND | BPF_K:
        case BPF_ALU | BPF_AND | BPF_X:
        case BPF_ALU | BPF_OR | BPF_K:
        case BPF_ALU | BPF_OR | BPF_X:
        case BPF_ALU | BPF_XOR | BPF_K:
        case BPF_ALU | BPF_XOR | BPF_X:
        case BPF_ALU | BPF_LSH | BPF_X:
        case BPF_ALU | BPF_RSH | BPF_X:
        case BPF_ALU | BPF_NEG:
        case BPF_MISC | BPF_TAX:
        case BPF_MISC | BPF_TXA:
            return Kind::plain;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JEQ | BPF_X:
        case BPF_JMP | BPF_JGE | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_X:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_X:
        case BPF_JMP | BPF_JSET | BPF_K:
        case BPF_JMP | BPF_JSET | BPF_X:
            return Kind::branch;
        case BPF_JMP | BPF_JA:
            return Kind::jump;
        case BPF_RET | BPF_K:
        case BPF_RET | BPF_A:
            return Kind::end;
        default:
            return Kind::unknown;
    }
}

/// What is wrong with one instruction that `behind` others follow; empty when nothing is.
std::string fault_of(const FilterInstruction& one, std::size_t behind) {
    switch (kind_of(one.code)) {
        case Kind::unknown:
            return "code " + std::to_string(one.code) + " is not known";
        case Kind::packet:
            if (one.operand > std::numeric_limits<std::int32_t>::max())
                return "loads at a negative offset, which is no byte of a frame";
            return {};
        case Kind::memory:
            if (one.operand >= BPF_MEMWORDS)
                return "memory has 16 words, and none is " + std::to_string(one.operand);
            return {};
        case Kind::shift:
            if (one.operand >= 32)
                return "shifts by " + std::to_string(one.operand) + " of 32 bits";
            return {};
        case Kind::division:
            return one.operand == 0 ? "divides by zero" : "";
        case Kind::branch:
            if (one.if_true >= behind || one.if_false >= behind)
                return "jumps beyond the last instruction";
            return {};
        case Kind::jump:
            return one.operand >= behind ? "jumps beyond the last instruction" : "";
        case Kind::plain:
        case Kind::end:
            return {};
    }
    return {};
}

Result<std::vector<std::uint32_t>> read_numbers(std::string_view text) {
    std::vector<std::uint32_t> numbers;
    for (;;) {
        const auto start = text.find_first_not_of(kBetween);
        if (start == std::string_view::npos) return numbers;
        text.remove_prefix(start);
        const std::string_view word = text.substr(0, text.find_first_of(kBetween));
        std::uint32_t number = 0;
        const auto [end, error] = std::from_chars(word.begin(), word.end(), number);
        if (error != std::errc() || end != word.end())
            return fail(Errc::invalid,
                        "filter: '" + std::string(word.substr(0, 20)) + "' is no number of 32 bits",
                        "write the program as `tcpdump -ddd` prints it");
        numbers.push_back(number);
        text.remove_prefix(word.size());
    }
}

Error too_long(std::size_t instructions) {
    return make_error(Errc::limit,
                      "filter: " + std::to_string(instructions) + " instructions, and " +
                          std::to_string(kMaxFilterInstructions) + " is the most",
                      "networks take fewer instructions than lists of hosts");
}

}  // namespace

Result<std::vector<FilterInstruction>> read_filter(std::string_view text) {
    // Nobody's text makes us store more numbers than a filter has.
    constexpr std::size_t kMaxText = (1 + 4 * kMaxFilterInstructions) * 12;
    if (text.size() > kMaxText)
        return fail(Errc::limit, "filter: a text of " + std::to_string(text.size()) +
                                     " bytes, and " + std::to_string(kMaxText) + " is the most");
    auto read = read_numbers(text);
    if (!read) return fail(std::move(read).error());
    const std::vector<std::uint32_t>& numbers = *read;
    if (numbers.empty())
        return fail(Errc::invalid, "filter: no number of instructions",
                    "write the program as `tcpdump -ddd` prints it");
    if (numbers[0] > kMaxFilterInstructions) return fail(too_long(numbers[0]));
    if (numbers.size() != 1 + std::size_t{4} * numbers[0])
        return fail(Errc::invalid,
                    "filter: " + std::to_string(numbers[0]) + " instructions are announced, and " +
                        std::to_string(numbers.size() - 1) + " numbers follow",
                    "four numbers make an instruction");
    std::vector<FilterInstruction> filter;
    for (std::size_t at = 1; at < numbers.size(); at += 4) {
        if (numbers[at] > std::numeric_limits<std::uint16_t>::max() || numbers[at + 1] > 255 ||
            numbers[at + 2] > 255)
            return fail(Errc::invalid, "filter: instruction " + std::to_string(filter.size()) +
                                           ": a code has 16 bits, and a jump 8");
        filter.push_back({static_cast<std::uint16_t>(numbers[at]),
                          static_cast<std::uint8_t>(numbers[at + 1]),
                          static_cast<std::uint8_t>(numbers[at + 2]), numbers[at + 3]});
    }
    if (auto checked = check_filter(filter); !checked) return fail(std::move(checked).error());
    return filter;
}

std::string text_of(std::span<const FilterInstruction> filter) {
    std::string text = std::to_string(filter.size());
    for (const FilterInstruction& one : filter)
        text += " " + std::to_string(one.code) + " " + std::to_string(one.if_true) + " " +
                std::to_string(one.if_false) + " " + std::to_string(one.operand);
    return text;
}

Result<void> check_filter(std::span<const FilterInstruction> filter) {
    if (filter.empty()) return {};
    if (filter.size() > kMaxFilterInstructions) return fail(too_long(filter.size()));
    for (std::size_t i = 0; i < filter.size(); ++i) {
        const std::string fault = fault_of(filter[i], filter.size() - 1 - i);
        if (!fault.empty())
            return fail(Errc::invalid, "filter: instruction " + std::to_string(i) + ": " + fault);
    }
    if (kind_of(filter.back().code) != Kind::end)
        return fail(Errc::invalid, "filter: the last instruction is no return");
    return {};
}

}  // namespace sluice::kernel
