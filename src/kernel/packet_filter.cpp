// SPDX-License-Identifier: Apache-2.0
#include "kernel/packet_filter.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/filter.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <string_view>

#include "kernel/bpf_object.h"

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1U << 5)  // Linux 5.18
#endif

namespace sluice::kernel {
namespace {

// Registers. A and X keep their upper halves zero: everything that writes them is of 32 bits.
constexpr int kContext = BPF_REG_6;
constexpr int kA = BPF_REG_7;
constexpr int kX = BPF_REG_8;

// The stack: four bytes for what a helper reads, then the words of memory.
constexpr int kLoaded = -8;
constexpr int kMemory = -16;

/// Bytes up to here are read where they lie, when they lie in the frame's first buffer, which is no
/// longer. A bound that the verifier can add to a pointer.
constexpr std::uint32_t kDirectReach = 0x4000;
constexpr int kOwnOrder = std::endian::native == std::endian::little ? BPF_TO_LE : BPF_TO_BE;
/// bpf_xdp_load_bytes() takes no larger offset.
constexpr std::uint32_t kReach = 0xffff;

/// Jumps have 16 bits. One that is open for this long is led on by an island of jumps; the rest is
/// room for what one instruction becomes and for the longest island.
constexpr std::size_t kIslandEvery = std::size_t{1} << 14;
static_assert(kIslandEvery + kMaxFilterInstructions + kMaxFilterInterfaces + 64 < 1u << 15);

bpf_insn make(int code, int to, int from, int offset, std::uint32_t number) {
    bpf_insn out{};
    out.code = static_cast<__u8>(code);
    out.dst_reg = static_cast<__u8>(to) & 0xf;
    out.src_reg = static_cast<__u8>(from) & 0xf;
    out.off = static_cast<__s16>(offset);
    out.imm = static_cast<__s32>(number);
    return out;
}

int place_of(std::uint32_t word) {
    return kMemory - 4 * static_cast<int>(word);
}

class Translator {
 public:
    Translator(std::span<const FilterInstruction> filter, const FilterGate& gate)
        : filter_(filter), gate_(gate), reached_(filter.size() + 1) {}

    std::vector<bpf_insn> run();

 private:
    /// An instruction of the filter, or how it ends.
    using Target = std::uint32_t;
    static constexpr Target kMatch = kMaxFilterInstructions + 1;
    static constexpr Target kNoMatch = kMaxFilterInstructions + 2;
    /// A jump whose target is not written yet.
    struct Open {
        std::size_t at;
        Target to;
    };

    void mark_reached();
    [[nodiscard]] bool reads_memory(std::uint32_t word) const;

    void put(const bpf_insn& one) { out_.push_back(one); }
    void copy(int to, int from) { put(make(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)); }
    void set(int to, std::uint32_t number) {
        put(make(BPF_ALU | BPF_MOV | BPF_K, to, 0, 0, number));
    }
    void call(int helper) { put(make(BPF_JMP | BPF_CALL, 0, 0, 0, helper)); }
    /// Of 32 bits, against `number` or a register: a code of BPF_JMP32.
    void branch(int code, int left, int right, std::uint32_t number, Target to);
    void go_to(Target to);
    /// A jump over instructions that follow, until land() says where it ends.
    std::size_t skip(const bpf_insn& jump);
    void land(std::size_t jump);
    void bind(Target to);
    void lead_on();

    void begin();
    void end();
    void tail_call(std::uint32_t slot);

    void instruction(std::uint32_t at);
    void load(const FilterInstruction& one);
    void load_bytes(int to, const FilterInstruction& one);
    void load_direct(int to, int size, bool indirect, std::uint32_t offset);
    void load_by_helper(int to, int size, bool indirect, std::uint32_t offset);
    void load_length(int to);
    void arithmetic(const FilterInstruction& one);
    void shift_by_x(int operation);
    void compare(std::uint32_t at);

    std::span<const FilterInstruction> filter_;
    const FilterGate& gate_;
    std::vector<bool> reached_;
    std::vector<bpf_insn> out_;
    std::vector<Open> open_;                  ///< By age.
    std::vector<std::size_t> direct_misses_;  ///< Of the load at hand, to its second half.
};

std::vector<bpf_insn> Translator::run() {
    mark_reached();
    begin();
    for (std::uint32_t at = 0; at < filter_.size(); ++at) {
        // The verifier refuses what is never reached.
        if (!reached_[at]) continue;
        lead_on();
        bind(at);
        instruction(at);
    }
    lead_on();
    end();
    assert(open_.empty());
    return std::move(out_);
}

/// One pass: all jumps lead forward.
void Translator::mark_reached() {
    reached_[0] = true;
    for (std::size_t at = 0; at < filter_.size(); ++at) {
        const FilterInstruction& one = filter_[at];
        if (!reached_[at] || BPF_CLASS(one.code) == BPF_RET) continue;
        if (BPF_CLASS(one.code) != BPF_JMP) {
            reached_[at + 1] = true;
        } else if (BPF_OP(one.code) == BPF_JA) {
            reached_[at + 1 + one.operand] = true;
        } else {
            reached_[at + 1 + one.if_true] = true;
            reached_[at + 1 + one.if_false] = true;
        }
    }
}

bool Translator::reads_memory(std::uint32_t word) const {
    for (std::size_t at = 0; at < filter_.size(); ++at) {
        const FilterInstruction& one = filter_[at];
        const bool reads = one.code == (BPF_LD | BPF_MEM) || one.code == (BPF_LDX | BPF_MEM);
        if (reached_[at] && reads && one.operand == word) return true;
    }
    return false;
}

// ---- jumps ----

void Translator::branch(int code, int left, int right, std::uint32_t number, Target to) {
    open_.push_back({out_.size(), to});
    put(make(BPF_JMP32 | code, left, right, 0, number));
}

void Translator::go_to(Target to) {
    open_.push_back({out_.size(), to});
    put(make(BPF_JMP | BPF_JA, 0, 0, 0, 0));
}

std::size_t Translator::skip(const bpf_insn& jump) {
    put(jump);
    return out_.size() - 1;
}

void Translator::land(std::size_t jump) {
    const std::size_t distance = out_.size() - jump - 1;
    assert(distance <= std::size_t{std::numeric_limits<__s16>::max()});
    out_[jump].off = static_cast<__s16>(distance);
}

/// What is open to `to` leads here.
void Translator::bind(Target to) {
    std::erase_if(open_, [&](const Open& one) {
        if (one.to != to) return false;
        land(one.at);
        return true;
    });
}

/// Writes an island when the oldest open jump could otherwise become too long: one jump for each
/// target, which what is open to it reaches.
void Translator::lead_on() {
    if (open_.empty() || out_.size() - open_.front().at < kIslandEvery) return;
    // Whether what comes before runs into the island. Nothing else leads there: jumps to the next
    // instruction are bound behind it.
    constexpr __u8 jump = BPF_JMP | BPF_JA;
    const bool runs_in = out_.back().code != jump;
    const std::size_t over = runs_in ? skip(make(jump, 0, 0, 0, 0)) : 0;
    std::vector<Open> led;
    while (!open_.empty()) {
        const Target to = open_.front().to;
        bind(to);
        led.push_back({out_.size(), to});
        put(make(jump, 0, 0, 0, 0));
    }
    open_ = std::move(led);
    if (runs_in) land(over);
}

// ---- beginning and end ----

void Translator::begin() {
    copy(kContext, BPF_REG_1);
    if (!gate_.interfaces.empty()) {
        const Target inside = filter_.empty() ? kMatch : 0;
        put(make(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, kContext, offsetof(xdp_md, ingress_ifindex),
                 0));
        for (const std::uint32_t ifindex : gate_.interfaces)
            branch(BPF_JEQ | BPF_K, BPF_REG_1, 0, ifindex, inside);
        go_to(kNoMatch);
        bind(inside);
    }
    if (filter_.empty()) {
        go_to(kMatch);
        return;
    }
    set(kA, 0);
    set(kX, 0);
    for (std::uint32_t word = 0; word < BPF_MEMWORDS; ++word)
        if (reads_memory(word))
            put(make(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, place_of(word), 0));
}

void Translator::tail_call(std::uint32_t slot) {
    copy(BPF_REG_1, kContext);
    put(make(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_2, BPF_PSEUDO_MAP_FD, 0,
             static_cast<std::uint32_t>(gate_.programs_fd)));
    put(make(0, 0, 0, 0, 0));
    set(BPF_REG_3, slot);
    call(BPF_FUNC_tail_call);
}

void Translator::end() {
    const bool matches =
        std::any_of(open_.begin(), open_.end(), [](const Open& one) { return one.to == kMatch; });
    if (matches) {
        bind(kMatch);
        tail_call(gate_.match_slot);
    }
    // A tail call returns when its slot is empty.
    bind(kNoMatch);
    tail_call(0);
    set(BPF_REG_0, XDP_PASS);
    put(make(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

// ---- the filter ----

void Translator::instruction(std::uint32_t at) {
    const FilterInstruction& one = filter_[at];
    switch (BPF_CLASS(one.code)) {
        case BPF_LD:
        case BPF_LDX:
            load(one);
            break;
        case BPF_ST:
            put(make(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, kA, place_of(one.operand), 0));
            break;
        case BPF_STX:
            put(make(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, kX, place_of(one.operand), 0));
            break;
        case BPF_ALU:
            arithmetic(one);
            break;
        case BPF_JMP:
            compare(at);
            break;
        case BPF_RET:
            if (BPF_RVAL(one.code) == BPF_A) branch(BPF_JNE | BPF_K, kA, 0, 0, kMatch);
            go_to(BPF_RVAL(one.code) == BPF_K && one.operand != 0 ? kMatch : kNoMatch);
            break;
        default:  // BPF_MISC
            if (BPF_MISCOP(one.code) == BPF_TAX)
                copy(kX, kA);
            else
                copy(kA, kX);
            break;
    }
}

void Translator::load(const FilterInstruction& one) {
    const int to = BPF_CLASS(one.code) == BPF_LD ? kA : kX;
    switch (BPF_MODE(one.code)) {
        case BPF_IMM:
            set(to, one.operand);
            break;
        case BPF_MEM:
            put(make(BPF_LDX | BPF_MEM | BPF_W, to, BPF_REG_10, place_of(one.operand), 0));
            break;
        case BPF_LEN:
            load_length(to);
            break;
        default:
            load_bytes(to, one);
            break;
    }
}

void Translator::load_bytes(int to, const FilterInstruction& one) {
    const int size = BPF_SIZE(one.code);
    const bool indirect = BPF_MODE(one.code) == BPF_IND;
    if (indirect || one.operand < kDirectReach) load_direct(to, size, indirect, one.operand);
    const std::size_t loaded =
        direct_misses_.empty() ? 0 : skip(make(BPF_JMP | BPF_JA, 0, 0, 0, 0));
    for (const std::size_t miss : direct_misses_) land(miss);
    load_by_helper(to, size, indirect, one.operand);
    if (!direct_misses_.empty()) land(loaded);
    direct_misses_.clear();
    if (size != BPF_B) put(make(BPF_ALU | BPF_END | BPF_TO_BE, to, 0, 0, size == BPF_H ? 16 : 32));
    if (BPF_MODE(one.code) == BPF_MSH) {
        put(make(BPF_ALU | BPF_AND | BPF_K, to, 0, 0, 0xf));
        put(make(BPF_ALU | BPF_LSH | BPF_K, to, 0, 0, 2));
    }
}

int bytes_of(int size) {
    if (size == BPF_W) return 4;
    return size == BPF_H ? 2 : 1;
}

/// Reads in place what lies in the first buffer of the frame. Pointers are taken anew each time, so
/// that the verifier has nothing to tell apart behind a load but what the filter itself does.
void Translator::load_direct(int to, int size, bool indirect, std::uint32_t offset) {
    const int bytes = bytes_of(size);
    if (indirect) {
        // Of 64 bits, so that the sum does not come round. The conversion changes nothing but what
        // the verifier knows: bounds of X that contradict each other, because the branch at hand
        // never happens, would take the pointer away (6.1: "R1 invalid mem access 'scalar'").
        copy(BPF_REG_2, kX);
        put(make(BPF_ALU | BPF_END | kOwnOrder, BPF_REG_2, 0, 0, 32));
        if (offset != 0) put(make(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, offset));
        direct_misses_.push_back(
            skip(make(BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, 0, 0, kDirectReach)));
    }
    put(make(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, kContext, offsetof(xdp_md, data), 0));
    put(make(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, kContext, offsetof(xdp_md, data_end), 0));
    if (indirect) put(make(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0));
    const std::uint32_t in_place = indirect ? 0 : offset;
    copy(BPF_REG_4, BPF_REG_1);
    put(make(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_4, 0, 0,
             in_place + static_cast<std::uint32_t>(bytes)));
    direct_misses_.push_back(skip(make(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_4, BPF_REG_3, 0, 0)));
    put(make(BPF_LDX | BPF_MEM | size, to, BPF_REG_1, static_cast<int>(in_place), 0));
}

/// From anywhere in the frame, through the stack.
void Translator::load_by_helper(int to, int size, bool indirect, std::uint32_t offset) {
    if (indirect) {
        open_.push_back({out_.size(), kNoMatch});  // load_direct() has left the sum there.
        put(make(BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, 0, 0, kReach));
    } else {
        set(BPF_REG_2, offset);
    }
    copy(BPF_REG_1, kContext);
    copy(BPF_REG_3, BPF_REG_10);
    put(make(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, static_cast<std::uint32_t>(kLoaded)));
    set(BPF_REG_4, static_cast<std::uint32_t>(bytes_of(size)));
    call(BPF_FUNC_xdp_load_bytes);
    branch(BPF_JNE | BPF_K, BPF_REG_0, 0, 0, kNoMatch);
    put(make(BPF_LDX | BPF_MEM | size, to, BPF_REG_10, kLoaded, 0));
}

void Translator::load_length(int to) {
    copy(BPF_REG_1, kContext);
    call(BPF_FUNC_xdp_get_buff_len);
    put(make(BPF_ALU | BPF_MOV | BPF_X, to, BPF_REG_0, 0, 0));
}

/// Operations are numbered alike in both instruction sets; eBPF's own of 32 bits clear the rest.
void Translator::arithmetic(const FilterInstruction& one) {
    const int operation = BPF_OP(one.code);
    const int by = operation == BPF_NEG ? BPF_K : BPF_SRC(one.code);
    if (by == BPF_X && (operation == BPF_DIV || operation == BPF_MOD))
        branch(BPF_JEQ | BPF_K, kX, 0, 0, kNoMatch);
    if (by == BPF_X && (operation == BPF_LSH || operation == BPF_RSH)) {
        shift_by_x(operation);
        return;
    }
    const std::uint32_t number = by == BPF_K && operation != BPF_NEG ? one.operand : 0;
    put(make(BPF_ALU | operation | by, kA, by == BPF_X ? kX : 0, 0, number));
}

void Translator::shift_by_x(int operation) {
    // eBPF would shift by X modulo 32.
    const std::size_t wide = skip(make(BPF_JMP32 | BPF_JGT | BPF_K, kX, 0, 0, 31));
    put(make(BPF_ALU | operation | BPF_X, kA, kX, 0, 0));
    const std::size_t done = skip(make(BPF_JMP | BPF_JA, 0, 0, 0, 0));
    land(wide);
    set(kA, 0);
    land(done);
}

/// The comparison that holds when `operation` does not; 0 for BPF_JSET, which has none.
int inverse_of(int operation) {
    switch (operation) {
        case BPF_JEQ:
            return BPF_JNE;
        case BPF_JGT:
            return BPF_JLE;
        case BPF_JGE:
            return BPF_JLT;
        default:
            return 0;
    }
}

void Translator::compare(std::uint32_t at) {
    const FilterInstruction& one = filter_[at];
    const Target next = at + 1;
    const int operation = BPF_OP(one.code);
    const Target yes = next + (operation == BPF_JA ? one.operand : one.if_true);
    const Target no = operation == BPF_JA ? yes : next + one.if_false;
    const int source = BPF_SRC(one.code);
    const int right = source == BPF_X ? kX : 0;
    const std::uint32_t number = source == BPF_K ? one.operand : 0;
    if (yes != no && yes == next && inverse_of(operation) != 0) {
        branch(inverse_of(operation) | source, kA, right, number, no);
    } else {
        if (yes != no) branch(operation | source, kA, right, number, yes);
        if (no != next) go_to(no);
    }
}

constexpr const char* kPrivilegeHint =
    "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; sluice doctor says what is "
    "missing";

UniqueFd load_program(std::span<const bpf_insn> program, std::string* log) {
    bpf_prog_load_opts options{};
    options.sz = sizeof options;
    options.expected_attach_type = BPF_XDP;
    options.prog_flags = BPF_F_XDP_HAS_FRAGS;
    if (log != nullptr) {
        options.log_level = 1;
        options.log_buf = log->data();
        options.log_size = static_cast<__u32>(log->size());
    }
    return UniqueFd(::bpf_prog_load(BPF_PROG_TYPE_XDP, "slc_filter", "Dual BSD/GPL", program.data(),
                                    program.size(), &options));
}

}  // namespace

std::vector<bpf_insn> translate(std::span<const FilterInstruction> filter, const FilterGate& gate) {
    return Translator(filter, gate).run();
}

Result<UniqueFd> load_filter(std::span<const FilterInstruction> filter, const FilterGate& gate) {
    if (auto checked = check_filter(filter); !checked) return fail(std::move(checked).error());
    if (gate.interfaces.size() > kMaxFilterInterfaces)
        return fail(Errc::limit, "load filter: " + std::to_string(gate.interfaces.size()) +
                                     " interfaces, and " + std::to_string(kMaxFilterInterfaces) +
                                     " is the most");
    const std::vector<bpf_insn> program = translate(filter, gate);
    UniqueFd loaded = load_program(program, nullptr);
    const int saved = errno;
    if (loaded.valid()) return loaded;
    Error failure = sys_error(saved, "load filter");
    if (saved == EPERM) return fail(std::move(failure).advise(kPrivilegeHint));
    if (saved == E2BIG)
        return fail(Errc::limit,
                    "load filter: the verifier finds no end to " + std::to_string(filter.size()) +
                        " instructions",
                    "a filter with fewer alternatives before it computes where to read is easier");
    // Again, for what the verifier says of it.
    std::string log(std::size_t{1} << 20, '\0');
    const UniqueFd again = load_program(program, &log);
    const std::string telling = telling_line(std::string_view(log).substr(0, log.find('\0')));
    if (telling.empty()) return fail(std::move(failure));
    failure.code = Errc::unsupported;
    failure.what += ": verifier: " + telling;
    failure.hint = "this kernel refuses the program: please report it with the filter's text";
    return fail(std::move(failure));
}

}  // namespace sluice::kernel
