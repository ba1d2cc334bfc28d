/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The only way to touch bytes of a frame. A cursor is taken from the context, and taken again after
 * everything that may move the frame (adjust_head, adjust_tail, a tail call).
 */

#include "lib/packet.h"

struct slc_cursor {
    void *pos;
    void *end;
};

SLC_INLINE struct slc_cursor slc_cursor_start(struct xdp_md *ctx)
{
    struct slc_cursor cur = {
        .pos = (void *)(long)ctx->data,
        .end = (void *)(long)ctx->data_end,
    };

    return cur;
}

/* A cursor at `offset`, which must be below `limit`, a power of two: the bound the verifier sees.
 */
SLC_INLINE struct slc_cursor slc_cursor_at(struct xdp_md *ctx, __u32 offset, __u32 limit)
{
    struct slc_cursor cur;

    offset &= limit - 1;
    SLC_BARRIER(offset);
    cur.end = (void *)(long)ctx->data_end;
    cur.pos = (void *)(long)ctx->data + (offset & (limit - 1));
    return cur;
}

/* The next `size` bytes, or NULL where the frame (its linear part) ends before. */
SLC_INLINE void *slc_take(struct slc_cursor *cur, __u32 size)
{
    void *hdr = cur->pos;

    if (hdr + size > cur->end)
        return NULL;
    cur->pos = hdr + size;
    return hdr;
}

/* Copies a constant number of bytes, even and at most 64, eight at a time: clang copies byte by
 * byte what it thinks unaligned, and all kernels that run XDP here load unaligned words. */
SLC_INLINE void slc_copy(void *to, const void *from, __u32 size)
{
#pragma unroll
    for (__u32 i = 0; i < 8; i++)
        if (i * 8 + 8 <= size)
            ((volatile __u64 *)to)[i] = ((const __u64 *)from)[i];
    if (size & 4)
        *(volatile __u32 *)(to + (size & ~7u)) = *(const __u32 *)(from + (size & ~7u));
    if (size & 2)
        *(volatile __u16 *)(to + (size & ~3u)) = *(const __u16 *)(from + (size & ~3u));
}
