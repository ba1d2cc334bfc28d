// SPDX-License-Identifier: Apache-2.0
#include "tests/packet/quic.h"

namespace sluice::packet {
namespace {

constexpr std::size_t kBody = 40;

void append(Bytes& to, const Bytes& from) {
    to.insert(to.end(), from.begin(), from.end());
}

/// What no test looks for.
Bytes body() {
    return Bytes(kBody, 0xee);
}

}  // namespace

Bytes quic_long(QuicType type, const Bytes& dcid, std::uint32_t version) {
    auto bits = static_cast<std::uint8_t>(type);
    if (version == kQuic2) bits = (bits + 1) & 3;
    Bytes out = {static_cast<std::uint8_t>(0xc0 | bits << 4)};
    append(out, number_bytes(version, 4));
    out.push_back(static_cast<std::uint8_t>(dcid.size()));
    append(out, dcid);
    append(out, {4, 0xc1, 0xc2, 0xc3, 0xc4});  // the source's connection id
    append(out, body());
    return out;
}

Bytes quic_short(const Bytes& dcid) {
    Bytes out = {0x41};
    append(out, dcid);
    append(out, body());
    return out;
}

Bytes quic_lb_id(std::uint8_t rotation, const Bytes& server_id, const Bytes& nonce) {
    Bytes out = {static_cast<std::uint8_t>(rotation << 5 | (server_id.size() + nonce.size()))};
    append(out, server_id);
    append(out, nonce);
    return out;
}

Bytes katran_id(std::uint8_t version, std::uint32_t server_id) {
    Bytes out(8, 0x55);
    out[0] = static_cast<std::uint8_t>(version << 6 | 0x15);
    const Bytes id = number_bytes(server_id, 4);
    switch (version) {
        case 1:  // bits 2..17 of the whole
            out[0] = static_cast<std::uint8_t>(0x40 | id[2] >> 2);
            out[1] = static_cast<std::uint8_t>(id[2] << 6 | id[3] >> 2);
            out[2] = static_cast<std::uint8_t>(id[3] << 6 | 0x15);
            break;
        case 2:
            std::copy(id.begin() + 1, id.end(), out.begin() + 1);
            break;
        default:
            std::copy(id.begin(), id.end(), out.begin() + 1);
            break;
    }
    return out;
}

Bytes number_bytes(std::uint64_t number, std::size_t len) {
    Bytes out(len);
    for (std::size_t i = 0; i < len; ++i)
        out[len - 1 - i] = i < 8 ? static_cast<std::uint8_t>(number >> (8 * i)) : std::uint8_t{0};
    return out;
}

Bytes server_id_option(std::uint32_t server_id) {
    Bytes out = {0xb7, 6};
    append(out, number_bytes(server_id, 4));
    return out;
}

Bytes join(std::initializer_list<Bytes> parts) {
    Bytes out;
    for (const Bytes& part : parts) append(out, part);
    return out;
}

}  // namespace sluice::packet
