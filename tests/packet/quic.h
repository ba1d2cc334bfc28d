// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The parts of QUIC that a load balancer sees (RFC 8999, RFC 9000 17, RFC 9369), connection ids
/// that carry a server id, and the TCP option that does; as bytes for raw() and Tcp::options.

#include <cstdint>

#include "tests/packet/packet.h"

namespace sluice::packet {

/// As version 1 numbers them.
enum class QuicType : std::uint8_t { initial = 0, zero_rtt = 1, handshake = 2, retry = 3 };

inline constexpr std::uint32_t kQuic1 = 1;
inline constexpr std::uint32_t kQuic2 = 0x6b3343cf;

/// A packet of at least 40 bytes behind the connection ids.
Bytes quic_long(QuicType type, const Bytes& dcid, std::uint32_t version = kQuic1);
Bytes quic_short(const Bytes& dcid);

/// draft-ietf-quic-load-balancers: first octet (the lower bits say the length that follows), server
/// id, nonce.
Bytes quic_lb_id(std::uint8_t rotation, const Bytes& server_id,
                 const Bytes& nonce = {0x45, 0x04, 0xcc, 0x4f});
/// Katran's versions 0..3, 8 bytes.
Bytes katran_id(std::uint8_t version, std::uint32_t server_id);

/// `number` in `len` bytes, network byte order.
Bytes number_bytes(std::uint64_t number, std::size_t len);

/// Kind 0xB7.
Bytes server_id_option(std::uint32_t server_id);
/// Options one behind the other, up to 40 bytes.
Bytes join(std::initializer_list<Bytes> parts);

}  // namespace sluice::packet
