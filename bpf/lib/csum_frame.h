/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The checksum over the bytes of a frame, for the few places where nothing inside tells it.
 */

#include "lib/csum.h"
#include "lib/maps.h"

#define SLC_SUM_CHUNK 512

/* Words, because clang clears bytes one by one. */
struct slc_chunk {
    __u64 words[SLC_SUM_CHUNK / 8];
};
SLC_MAP(slc_chunks, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct slc_chunk, 0);

/*
 * The sum of `len` bytes of the frame from `offset` on, across the buffers of a jumbo frame. The
 * rare way, 50 ns for each chunk of 512 bytes: for echo requests, and where no checksum inside
 * covers the packet. At most SLC_MAX_FRAME_LEN bytes. Returns a negative number when the frame ends
 * before. Not static: the verifier then judges it once, and not again for each of its callers'
 * states (Linux 6.1 otherwise "processed 1000001 insns").
 */
__noinline __s64 slc_csum_frame(struct xdp_md *ctx, __u32 offset, __u32 len)
{
    __u32 zero = 0;
    __u64 sum = 0;
    struct slc_chunk *chunk;

    chunk = bpf_map_lookup_elem(&slc_chunks, &zero);
    if (!chunk)
        return -1;
    for (__u32 i = 0; i < SLC_MAX_FRAME_LEN / SLC_SUM_CHUNK; i++) {
        __u32 size = len < SLC_SUM_CHUNK ? len : SLC_SUM_CHUNK;
        __s64 part;

        if (!len)
            break;
        if (size < SLC_SUM_CHUNK)
            __builtin_memset(chunk->words, 0, sizeof chunk->words);
        /* 1..512 as it is. Linux 6.1 learns no lower bound from "size != 0" ("invalid access to map
         * value, value_size=512 off=0 size=0"), so the arithmetic shows it. */
        size--;
        SLC_BARRIER(size);
        size = (size & (SLC_SUM_CHUNK - 1)) + 1;
        if (bpf_xdp_load_bytes(ctx, offset, chunk->words, size))
            return -1;
        part = bpf_csum_diff(NULL, 0, (__be32 *)chunk->words, SLC_SUM_CHUNK, 0);
        if (part < 0)
            return -1;
        sum += (__u32)part;
        offset += size;
        len -= size;
    }
    return len ? -1 : (__s64)slc_csum_fold(sum);
}
