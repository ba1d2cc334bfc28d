/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#pragma once

/*
 * The keyed hashes, in one place: the data plane computes them for packets, user space for tables
 * and explanations, and both must agree bit by bit, on every node of a fleet.
 *
 * A chain of multiply and xor-shift steps over 64-bit words, keyed at both ends (the finaliser is
 * that of MurmurHash3, Appleby 2011). It is not a cryptographic hash. It is keyed so that nobody
 * who does not know the secret can aim many flows at one slot or bucket without seeing where they
 * land, and it costs 3.5 ns where SipHash-1-3 costs 17.
 */

#include "types.h"

#ifdef __cplusplus
#define SLC_HASH_FN inline
#else
#define SLC_HASH_FN static __attribute__((always_inline)) inline
#endif

SLC_HASH_FN slc_u64 slc_mix(slc_u64 state, slc_u64 word)
{
    state = (state ^ word) * 0x9fb21c651e98df25ull;
    return state ^ (state >> 32);
}

SLC_HASH_FN slc_u64 slc_finish(slc_u64 state, slc_u64 secret)
{
    state = (state ^ secret) * 0xff51afd7ed558ccdull;
    state ^= state >> 33;
    state *= 0xc4ceb9fe1a85ec53ull;
    return state ^ (state >> 33);
}

/*
 * The flow hash. Addresses and ports in network byte order as loaded from the packet on a
 * little-endian machine; IPv4 addresses in word 3 with words 0 to 2 zero. By affinity the caller
 * leaves out what must not count:
 *   five_tuple   everything; source_port   dst = 0, dport = 0, proto = 0;
 *   source       dst = 0, ports = 0, proto = 0.
 */
SLC_HASH_FN slc_u64 slc_flow_hash4(slc_u64 key0, slc_u64 key1, slc_u32 src_be, slc_u32 dst_be,
                                   slc_u16 sport_be, slc_u16 dport_be, slc_u8 proto)
{
    slc_u64 hash = slc_mix(key0, ((slc_u64)src_be << 32) | dst_be);

    hash = slc_mix(hash, ((slc_u64)sport_be << 32) | ((slc_u64)dport_be << 16) | proto);
    return slc_finish(hash, key1);
}

SLC_HASH_FN slc_u64 slc_flow_hash6(slc_u64 key0, slc_u64 key1, const slc_u32 *src_be,
                                   const slc_u32 *dst_be, slc_u16 sport_be, slc_u16 dport_be,
                                   slc_u8 proto)
{
    slc_u64 hash = slc_mix(key0, ((slc_u64)src_be[0] << 32) | src_be[1]);

    hash = slc_mix(hash, ((slc_u64)src_be[2] << 32) | src_be[3]);
    hash = slc_mix(hash, ((slc_u64)dst_be[0] << 32) | dst_be[1]);
    hash = slc_mix(hash, ((slc_u64)dst_be[2] << 32) | dst_be[3]);
    hash = slc_mix(hash, ((slc_u64)sport_be << 32) | ((slc_u64)dport_be << 16) | proto);
    return slc_finish(hash, key1);
}

/* Slot of a ring with 2^log2 slots: the low bits, so that a ring of twice the size splits slot i
 * into i and i + 2^log2. Bits 30..49 of the hash, which the fingerprint of the flow table holds and
 * its bucket does not: the flows of one slot spread over the whole table. */
SLC_HASH_FN slc_u32 slc_slot_of(slc_u64 hash, slc_u32 log2)
{
    return (slc_u32)(hash >> 30) & ((1u << log2) - 1);
}

/* Entropy of an outer header: bits that the slot does not use first. */
SLC_HASH_FN slc_u32 slc_entropy_of(slc_u64 hash)
{
    return (slc_u32)hash ^ (slc_u32)(hash >> 48);
}

/*
 * The VIP and port tables. One multiplication, because every packet waits for it: user space has
 * placed each key before a packet asks, and keys that collide cost a comparison, so nothing here
 * needs to withstand an adversary. The second place, which few keys need, mixes once more.
 */
SLC_HASH_FN slc_u64 slc_vip_hash(slc_u64 key0, slc_u64 key1, const slc_u32 *addr_be)
{
    slc_u64 hash = slc_mix(key0, ((slc_u64)addr_be[0] << 32) | addr_be[1]);

    return (hash ^ (((slc_u64)addr_be[2] << 32) | addr_be[3])) * (key1 | 1);
}

SLC_HASH_FN slc_u64 slc_vip_hash4(slc_u64 key0, slc_u64 key1, slc_u32 addr_be)
{
    return (key0 ^ addr_be) * (key1 | 1);
}

SLC_HASH_FN slc_u64 slc_port_hash(slc_u64 key0, slc_u64 key1, slc_u32 vip, slc_u8 proto,
                                  slc_u16 port_be)
{
    return (key0 ^ (((slc_u64)vip << 32) | ((slc_u64)proto << 16) | port_be)) * (key1 | 1);
}

/* First and second place of a key in a table of two choices. */
SLC_HASH_FN slc_u32 slc_first_of(slc_u64 hash, slc_u32 mask)
{
    return (slc_u32)(hash >> 32) & mask;
}

SLC_HASH_FN slc_u32 slc_second_of(slc_u64 hash, slc_u32 mask)
{
    return (slc_u32)slc_finish(hash, 0x243f6a8885a308d3ull) & mask;
}

/* The fragment table; `id_be` is 16 bits for IPv4, 32 for IPv6, whose `proto` is 0 (RFC 8200 4.5).
 */
SLC_HASH_FN slc_u64 slc_frag_hash(slc_u64 key0, slc_u64 key1, const slc_u32 *src_be,
                                  const slc_u32 *dst_be, slc_u32 id_be, slc_u8 proto)
{
    return slc_flow_hash6(key0 ^ id_be, key1, src_be, dst_be, 0, 0, proto);
}
