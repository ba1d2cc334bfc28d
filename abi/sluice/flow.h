/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#pragma once

/*
 * The flow table: where flows go that a ring alone cannot decide. One implementation for both
 * sides: the data plane asks and writes it per packet, user space sweeps, lists and purges it, and
 * the model in the tests drives the very same functions with a clock of its own.
 *
 *   bucket = 8 entries = one cache line; nothing is searched beyond one bucket.
 *   entry  = | fingerprint 34 | class 2 | member 20 | expiry 8 |        bit 63 .. bit 0
 *   flow hash -> bucket: its bits 30 - log2 .. 29;   fingerprint: bits 30 .. 63
 *
 * The slot of a flow (slc_slot_of) is made of bits 30..49: it follows from the fingerprint, and the
 * flows of one slot spread over all buckets. Bucket and fingerprint together hold bits 24..63
 * (log2 >= 6): slc_flow_hash_of.
 *
 * Invariants
 *   - Member 0 means free. No unexpired entry is ever replaced, but for one whose member is DOWN.
 *   - Identity (fingerprint, member) and class change by compare-and-exchange of the whole word;
 *     the expiry is a byte of its own, stored plainly, and only when it has changed.
 *   - An entry says itself when it expires, so that nobody needs to know its service to judge it.
 *
 * Time. A tick is 2^shift nanoseconds of CLOCK_MONOTONIC. The byte holds the last tick, modulo 256,
 * in which the entry lives. 0..SLC_FLOW_MAX_TICKS ticks left: alive. Else it expired 1..31 ticks
 * ago, and a sweeper must free it before that many have passed, or it seems alive again for one
 * more lifetime. Nobody may follow it then: a packet that meets an expired entry of its own flow
 * takes its fingerprint away (slc_flow_disown). A place is reused only when it expired at least two
 * ticks ago, so that no CPU which still saw it alive renews another's entry.
 *
 * False matches. A flow that is not there is taken for one that is with a probability of at most
 * 8 / 2^34 (4.7e-10) per packet, and then only within its own family of groups: another backend of
 * the same service, or of what that falls back on.
 *
 * What a packet does to it is in flow_decide.h.
 */

#include "hash.h"
#include "types.h"

enum slc_flow_class {
    SLC_FLOW_EMBRYONIC = 0,   /* a SYN made it */
    SLC_FLOW_ESTABLISHED = 1, /* TCP, any later packet */
    SLC_FLOW_CLOSING = 2,     /* a FIN or RST was seen last */
    SLC_FLOW_DATAGRAM = 3,    /* UDP */
};

/* What a packet is to the table. */
enum slc_flow_kind {
    SLC_FLOW_SYN = 0,    /* TCP, SYN without ACK */
    SLC_FLOW_PACKET = 1, /* any other TCP */
    SLC_FLOW_END = 2,    /* TCP with FIN or RST */
    SLC_FLOW_UDP = 3,
    SLC_FLOW_LOOK = 4, /* an ICMP error about the flow: never inserts or renews */
};

enum slc_flow_member {
    SLC_FLOW_FITS = 0,
    SLC_FLOW_FOREIGN = 1, /* of another family of groups: a false match, or not ours */
    SLC_FLOW_DEAD = 2,
};

struct slc_flow_bucket {
    slc_u64 entry[SLC_FLOW_WAYS];
};
SLC_ASSERT_SIZE(struct slc_flow_bucket, 64);

#define SLC_FLOW_EXPIRY(entry) ((slc_u8)(entry))
#define SLC_FLOW_MEMBER_OF(entry) ((slc_u32)((entry) >> 8) & 0xfffffu)
#define SLC_FLOW_CLASS_OF(entry) ((slc_u32)((entry) >> 28) & 3u)
#define SLC_FLOW_FINGERPRINT_SHIFT 30
#define SLC_FLOW_FINGERPRINT_MASK (~0ull << SLC_FLOW_FINGERPRINT_SHIFT)
#define SLC_FLOW_CLASS_MASK (3ull << 28)

SLC_HASH_FN slc_u64 slc_flow_entry(slc_u64 hash, slc_u32 flow_class, slc_u32 member, slc_u8 expiry)
{
    return (hash & SLC_FLOW_FINGERPRINT_MASK) | ((slc_u64)flow_class << 28) |
           ((slc_u64)member << 8) | expiry;
}

SLC_HASH_FN slc_u32 slc_flow_bucket_of(slc_u64 hash, slc_u32 log2)
{
    return (slc_u32)(hash >> (SLC_FLOW_FINGERPRINT_SHIFT - log2)) & ((1u << log2) - 1);
}

/* Bits 24..63 of the hash of an entry in `bucket`; the bits below are zero. */
SLC_HASH_FN slc_u64 slc_flow_hash_of(slc_u64 entry, slc_u32 bucket, slc_u32 log2)
{
    slc_u64 hash = (entry & SLC_FLOW_FINGERPRINT_MASK) |
                   ((slc_u64)bucket << (SLC_FLOW_FINGERPRINT_SHIFT - log2));

    return hash & (~0ull << 24);
}

/* Ticks left, modulo 256: alive when at most SLC_FLOW_MAX_TICKS. */
SLC_HASH_FN slc_u8 slc_flow_left(slc_u64 entry, slc_u32 tick)
{
    return (slc_u8)(SLC_FLOW_EXPIRY(entry) - tick);
}

SLC_HASH_FN int slc_flow_is_alive(slc_u64 entry, slc_u32 tick)
{
    return SLC_FLOW_MEMBER_OF(entry) && slc_flow_left(entry, tick) <= SLC_FLOW_MAX_TICKS;
}

/* Whether the place may be taken: free, or expired for at least two ticks. */
SLC_HASH_FN int slc_flow_is_free(slc_u64 entry, slc_u32 tick)
{
    slc_u8 left = slc_flow_left(entry, tick);

    return !SLC_FLOW_MEMBER_OF(entry) || (left > SLC_FLOW_MAX_TICKS && left != 255);
}

/* Ticks of one table as ticks of another, 2^finer of which make one: rounded up, at most
 * SLC_FLOW_MAX_TICKS. */
SLC_HASH_FN slc_u8 slc_flow_rescale(slc_u32 ticks, slc_s32 finer)
{
    if (finer >= 0)
        ticks <<= finer & 15;
    else
        ticks = (ticks + (1u << (-finer & 15)) - 1) >> (-finer & 15);
    return (slc_u8)(ticks < SLC_FLOW_MAX_TICKS ? ticks : SLC_FLOW_MAX_TICKS);
}

/* A packet's question. */
struct slc_flow_ask {
    slc_u64 hash;
    slc_u64 slot;   /* the slot's word */
    slc_u32 tick;   /* now, in ticks of the table */
    slc_u32 family; /* of the service's group (types.h) */
    slc_u8 lifetime[SLC_FLOW_CLASSES];
    slc_u8 kind;   /* enum slc_flow_kind */
    slc_u8 shared; /* the hash is shared by connections (source affinity): none ends the flow */
    slc_u8 always; /* remember in slots that are not open too */
    slc_u8 zero;
};

enum slc_flow_how {
    SLC_FLOW_BY_RING = 0,     /* `current` */
    SLC_FLOW_BY_MEMORY = 1,   /* an entry */
    SLC_FLOW_BY_PREVIOUS = 2, /* old, or new and not to be remembered */
};

enum slc_flow_insert {
    SLC_FLOW_NOT_ASKED = 0,
    SLC_FLOW_INSERTED = 1,
    SLC_FLOW_REFUSED_FULL = 2,
    SLC_FLOW_REFUSED_CEILING = 3,
};

struct slc_flow_answer {
    slc_u32 member;
    slc_u8 how;    /* enum slc_flow_how */
    slc_u8 insert; /* enum slc_flow_insert */
    slc_u8 held;   /* a new flow that went to `previous` because others were refused */
    slc_u8 zero;
};

/* The class that a packet of `kind` leaves an entry of `was` in. */
SLC_HASH_FN slc_u32 slc_flow_next_class(slc_u32 kind, slc_u32 was, slc_u8 shared)
{
    if (kind == SLC_FLOW_SYN || kind == SLC_FLOW_LOOK)
        return was;
    if (kind == SLC_FLOW_UDP)
        return SLC_FLOW_DATAGRAM;
    return kind == SLC_FLOW_END && !shared ? SLC_FLOW_CLOSING : SLC_FLOW_ESTABLISHED;
}

/* The class of a new entry. One that no SYN made lives the full idle lifetime. */
SLC_HASH_FN slc_u32 slc_flow_first_class(slc_u32 kind)
{
    if (kind == SLC_FLOW_UDP)
        return SLC_FLOW_DATAGRAM;
    return kind == SLC_FLOW_SYN ? SLC_FLOW_EMBRYONIC : SLC_FLOW_ESTABLISHED;
}

/* Without an index into the array: it would keep the whole question on the stack, of which a BPF
 * program has 512 bytes. */
SLC_HASH_FN slc_u8 slc_flow_lifetime(const struct slc_flow_ask *ask, slc_u32 flow_class)
{
    slc_u32 all = ask->lifetime[0] | (slc_u32)ask->lifetime[1] << 8 |
                  (slc_u32)ask->lifetime[2] << 16 | (slc_u32)ask->lifetime[3] << 24;

    return (slc_u8)(all >> ((flow_class & 3) * 8));
}

/*
 * Ticks that an entry of class `was` with `left` ticks has after a packet. A later packet renews;
 * FIN and RST shorten, any later packet restores. A SYN gives any entry that it follows at least
 * the embryonic lifetime: it may begin a connection with the ports of an older one, and must be
 * followed by its own handshake. Within a class life is never shortened, and never where
 * connections share the entry: the packet may be another's.
 */
SLC_HASH_FN slc_u8 slc_flow_life_after(const struct slc_flow_ask *ask, slc_u32 was, slc_u8 left)
{
    slc_u32 now = slc_flow_next_class(ask->kind, was, ask->shared);
    slc_u8 life =
        slc_flow_lifetime(ask, ask->kind == SLC_FLOW_SYN ? (slc_u32)SLC_FLOW_EMBRYONIC : now);

    if (ask->kind == SLC_FLOW_LOOK)
        return left;
    return left > life && (now == was || ask->shared) ? left : life;
}
