// SPDX-License-Identifier: Apache-2.0
//
// Random bytes where ids may be, against a plain reader of the definitions that shares no code with
// the data plane: who is named, and whether an unknown id was counted.
#include <fmt/format.h>

#include <map>
#include <random>

#include "tests/packet/dissect.h"
#include "tests/packet/harness.h"
#include "tests/packet/quic.h"
#include "tests/packet/table.h"

namespace sluice::packet {
namespace {

constexpr const char* kConfig = "ids.yaml";

/// What a reader makes of a packet: the id as a hexadecimal number without leading zeros.
struct Reading {
    std::optional<std::string> id = {};
    bool by_server = false;
};

std::string hex(const Bytes& bytes, std::size_t from, std::size_t len) {
    std::string out;
    for (std::size_t i = from; i < from + len; ++i) out += fmt::format("{:02x}", bytes[i]);
    const std::size_t first = out.find_first_not_of('0');
    return first == std::string::npos ? "0" : out.substr(first);
}

Reading read_option(const Bytes& options) {
    std::size_t at = 0;
    while (at + 6 <= options.size()) {
        if (options[at] == 0) return {};
        if (options[at] == 1) {
            ++at;
            continue;
        }
        if (options[at] == 0xb7) {
            if (options[at + 1] != 6) return {.by_server = true};
            return {.id = hex(options, at + 2, 4), .by_server = true};
        }
        if (options[at + 1] < 2) return {};
        at += options[at + 1];
    }
    return {};
}

/// The bits of Katran's connection ids as text, which is cut where each version says.
std::optional<std::string> read_katran(const Bytes& id) {
    if (id.size() < 8) return {};
    std::string bits;
    for (const std::uint8_t byte : id)
        for (int i = 7; i >= 0; --i) bits += (byte >> i & 1) != 0 ? '1' : '0';
    const std::map<std::string, std::string> parts = {
        {"01", bits.substr(2, 16)}, {"10", bits.substr(8, 24)}, {"11", bits.substr(8, 32)}};
    const auto part = parts.find(bits.substr(0, 2));
    if (part == parts.end()) return {};
    return fmt::format("{:x}", std::stoull(part->second, nullptr, 2));
}

struct Lb {
    int rotation = 0;
    std::size_t len = 0;  ///< 0: Katran's format.
};

Reading read_quic(const Bytes& data, const Lb& lb) {
    Reading out{.by_server = true};
    if (data.empty()) return {};
    Bytes id(data.begin() + 1, data.end());
    if (data[0] >= 0x80) {
        if (data.size() < 6) return {};
        const bool second = Bytes(data.begin() + 1, data.begin() + 5) == number_bytes(kQuic2, 4);
        const int type = (data[0] / 16 % 4 + (second ? 3 : 0)) % 4;
        out.by_server = type >= 2;
        if (!out.by_server && lb.len == 0) return {};
        id.assign(data.begin() + 6, data.end());
        if (id.size() > data[5]) id.resize(data[5]);
    }
    if (lb.len == 0)
        out.id = read_katran(id);
    else if (id.size() > lb.len && id[0] / 32 == lb.rotation)
        out.id = hex(id, 1, lb.len);
    return out;
}

/// The backend's last number by id, for services whose group knows ids of `len` bytes.
int number_of(const std::string& id, std::size_t len) {
    const std::map<std::string, std::pair<int, std::size_t>> known = {
        {"1", {21, 1}},
        {"0", {25, 1}},
        {"42", {27, 1}},
        {"1234", {22, 2}},
        {"c4605e", {23, 3}},
        {"89abcdef", {24, 4}},
        {"102030405060708090a0b0c0d0e0f", {26, 15}}};
    const auto found = known.find(id);
    return found != known.end() && found->second.second <= len ? found->second.first : 0;
}

class Random {
 public:
    explicit Random(std::uint64_t seed) : random_(seed) {}
    std::size_t below(std::size_t end) { return random_() % end; }
    bool chance(std::size_t of) { return below(of) == 0; }
    std::uint8_t byte() { return static_cast<std::uint8_t>(random_()); }

    Bytes bytes(std::size_t size) {
        Bytes out(size);
        for (std::uint8_t& value : out) value = chance(3) ? std::uint8_t{1} : byte();
        return out;
    }

    /// One that somebody has, in `len` bytes, or anything.
    Bytes id(std::size_t len) {
        constexpr std::uint64_t kKnown[] = {0, 1, 0x42, 0x1234, 0xc4605e, 0x89abcdef};
        if (len == 15 && chance(3)) return {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        return chance(4) ? bytes(len) : number_bytes(kKnown[below(std::size(kKnown))], len);
    }

    Bytes options() {
        Bytes out;
        while (out.size() < 40 && !chance(8)) {
            const std::size_t kind = below(8);
            if (kind < 3) out.push_back(1);
            if (kind == 3) out = join({out, {0xb7, 6}, id(4)});
            if (kind == 4) out = join({out, {0xb7, byte()}, id(4)});
            if (kind == 5) out = join({out, bytes(1 + below(4))});
            if (kind >= 6) {
                const std::size_t len = 2 + below(12);
                out = join({out, {8, static_cast<std::uint8_t>(len)}, bytes(len - 2)});
            }
        }
        out.resize(std::min<std::size_t>((out.size() + 3) / 4 * 4, 40), 1);
        return out;
    }

    Bytes datagram(const Lb& lb) {
        Bytes id_bytes = chance(6) ? bytes(below(21)) : quic_id(lb);
        Bytes out = chance(2) ? quic_short(id_bytes)
                              : quic_long(static_cast<QuicType>(below(4)), id_bytes,
                                          chance(2) ? kQuic1 : kQuic2);
        if (chance(4)) out.resize(below(out.size() + 1));
        if (chance(6) && out.size() > 8) out[below(8)] = byte();
        return out;
    }

 private:
    Bytes quic_id(const Lb& lb) {
        if (lb.len != 0)
            return quic_lb_id(static_cast<std::uint8_t>(chance(5) ? below(8) : lb.rotation),
                              id(lb.len), bytes(below(5)));
        const Bytes number = id(4);
        return katran_id(static_cast<std::uint8_t>(below(4)),
                         static_cast<std::uint32_t>(number[0] << 24 | number[1] << 16 |
                                                    number[2] << 8 | number[3]));
    }

    std::mt19937_64 random_;
};

/// Runs a packet and compares with what a reading of it says.
void expect_reading(Bench& bench, const Packet& packet, bool six, const Reading& reading,
                    std::size_t len, const std::string& what) {
    const int named = reading.id ? number_of(*reading.id, len) : 0;
    const std::string to = fmt::format("{}{}", six ? "fd00::" : "10.0.0.", named == 0 ? 5 : named);
    const Outcome got = bench.run(packet.bytes());
    const auto destination = destination_of(got.run.frame);
    ASSERT_TRUE(destination);
    ASSERT_EQ(destination->text(), to) << what << hexdump(packet.bytes());
    ASSERT_EQ(got.counts, (FlowCounts{.ids_unknown = named == 0 && reading.by_server ? 1U : 0U}))
        << what << text_of(got.counts) << "\n"
        << hexdump(packet.bytes());
}

TEST(RandomIds, TcpOptionsAreReadAsDefined) {
    Bench& bench = bench_for(kConfig);
    Random random(11);
    for (int i = 0; i < 1500; ++i) {
        const bool six = i % 2 != 0;
        const Bytes options = random.options();
        const Packet packet = eth() / (six ? ip6() : ip4()) /
                              tcp({.dport = 7001, .flags = kAck, .options = options}) / payload(9);
        expect_reading(bench, packet, six, read_option(options), 4, "options\n");
    }
}

TEST(RandomIds, ConnectionIdsAreReadAsDefined) {
    Bench& bench = bench_for(kConfig);
    Random random(12);
    const std::pair<std::uint16_t, Lb> services[] = {{7002, {}},     {7011, {0, 1}},
                                                     {7012, {3, 2}}, {7013, {0, 3}},
                                                     {7014, {6, 4}}, {7015, {1, 15}}};
    for (int i = 0; i < 3000; ++i) {
        const bool six = i % 2 != 0;
        const auto& [port, lb] = services[random.below(std::size(services))];
        const Bytes data = random.datagram(lb);
        const Packet packet = eth() / (six ? ip6() : ip4()) / udp({.dport = port}) / raw(data);
        expect_reading(bench, packet, six, read_quic(data, lb), lb.len == 0 ? 4 : lb.len,
                       fmt::format("port {}\n", port));
    }
}

}  // namespace
}  // namespace sluice::packet
