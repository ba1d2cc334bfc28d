/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/*
 * The Internet checksum, RFC 1071. A sum is a number of any width that is congruent to the sum of
 * 16-bit words as loaded; only slc_csum_fold brings it to 16 bits, so no carry is ever lost.
 */

#include "lib/packet.h"

/* One's-complement sum to 16 bits, not inverted. */
SLC_INLINE __u16 slc_csum_fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)sum;
}

/* The same for a sum below 2^32 of at most 65,536 words: half the steps, for the steady path. */
SLC_INLINE __u16 slc_csum_fold32(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)((sum & 0xffff) + (sum >> 16));
}

SLC_INLINE __u64 slc_csum_word32(__u32 word)
{
    return (__u64)(word & 0xffff) + (word >> 16);
}

/* RFC 1624 equation 3: the checksum after one 16-bit word has changed. */
SLC_INLINE __u16 slc_csum_replace(__u16 csum, __u16 old_word, __u16 new_word)
{
    return ~slc_csum_fold((__u64)(__u16)~csum + (__u16)~old_word + new_word);
}
