/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
#pragma once

/*
 * What a packet does to the flow table (flow.h), and where it goes.
 *
 * The includer defines before
 *   SLC_FLOW_ENV                          a type whose pointer is handed through,
 *   SLC_FLOW_MEMBER(env, member, family)  SLC_FLOW_FITS, SLC_FLOW_FOREIGN or SLC_FLOW_DEAD, and
 *   SLC_FLOW_ACCOUNT(env, member)         the account of a member's group, or NULL.
 */

#include "flow.h"

#define SLC_FLOW_FN static inline __attribute__((always_inline, unused))

/* Where a flow may be remembered. */
struct slc_flow_places {
    struct slc_flow_bucket *bucket;
    struct slc_flow_bucket *old; /* of the table that is being left, or NULL */
    struct slc_account *account; /* of the group */
    struct slc_account *pool;
    slc_u32 old_tick;    /* now, in ticks of the old table */
    slc_s32 old_coarser; /* log2 of how many ticks make one of the old table; below 0: finer */
};

/*
 * An entry of this flow that has expired must not come to life again when its age wraps because
 * nobody sweeps: its tuple may belong to another connection by then. It loses its fingerprint and
 * keeps its place, which may not be reused yet and is freed like any other.
 */
SLC_FLOW_FN void slc_flow_disown(slc_u64 *place, slc_u64 entry)
{
    if (SLC_FLOW_MEMBER_OF(entry))
        __sync_val_compare_and_swap(place, entry, entry & ~SLC_FLOW_FINGERPRINT_MASK);
}

/* Index of the live entry of this flow whose member fits, or -1. *dead becomes an entry of it whose
 * member is DOWN, and stays as it was when there is none. */
SLC_FLOW_FN int slc_flow_find(struct slc_flow_bucket *bucket, const struct slc_flow_ask *ask,
                              slc_u32 tick, SLC_FLOW_ENV *env, slc_u64 *found, slc_u64 *dead)
{
    for (int i = 0; i < SLC_FLOW_WAYS; i++) {
        slc_u64 entry = *(volatile slc_u64 *)&bucket->entry[i];
        int fit;

        if ((entry ^ ask->hash) & SLC_FLOW_FINGERPRINT_MASK)
            continue;
        if (!slc_flow_is_alive(entry, tick)) {
            slc_flow_disown(&bucket->entry[i], entry);
            continue;
        }
        fit = SLC_FLOW_MEMBER(env, SLC_FLOW_MEMBER_OF(entry), ask->family);
        if (fit == SLC_FLOW_FITS) {
            *found = entry;
            return i;
        }
        if (fit == SLC_FLOW_DEAD)
            *dead = entry;
    }
    return -1;
}

/*
 * What a packet that follows an entry does to it (slc_flow_life_after). A lost race leaves the work
 * to the next packet. `tick` is of the entry's own table, and `coarser` says how its ticks compare
 * with those of `ask`.
 */
SLC_FLOW_FN void slc_flow_touch(struct slc_flow_bucket *bucket, int at, slc_u64 entry,
                                const struct slc_flow_ask *ask, slc_u32 tick, slc_s32 coarser)
{
    slc_u32 was = SLC_FLOW_CLASS_OF(entry);
    slc_u32 now = slc_flow_next_class(ask->kind, was, ask->shared);
    slc_u8 left = slc_flow_left(entry, tick);
    slc_u8 life =
        slc_flow_rescale(slc_flow_life_after(ask, was, slc_flow_rescale(left, coarser)), -coarser);
    slc_u8 expiry = (slc_u8)(tick + life);
    slc_u64 *place = &bucket->entry[at & (SLC_FLOW_WAYS - 1)];

    if (now != was)
        __sync_val_compare_and_swap(
            place, entry,
            (entry & ~(SLC_FLOW_CLASS_MASK | 0xffull)) | ((slc_u64)now << 28) | expiry);
    else if (left < life)
        *(volatile slc_u8 *)place = expiry; /* the lowest byte of a little-endian word */
}

/* The account that pays for an entry of `member`: that of its own group, which may be one that
 * stands in for the packet's. */
SLC_FLOW_FN struct slc_account *slc_flow_payer(const struct slc_flow_places *at, SLC_FLOW_ENV *env,
                                               slc_u32 member)
{
    struct slc_account *own = SLC_FLOW_ACCOUNT(env, member);

    return own ? own : at->account;
}

/* Whether the account may take one more entry. Compared as signed numbers: a count that user space
 * has just corrected below zero is no reason to refuse. */
SLC_FLOW_FN int slc_flow_may_take(const struct slc_account *account, const struct slc_account *pool)
{
    slc_s64 used = *(volatile slc_s64 *)&account->used;

    if (used < (slc_s64)account->share)
        return 1;
    return used < (slc_s64)account->ceiling &&
           *(volatile slc_s64 *)&pool->used < (slc_s64)pool->ceiling;
}

/* One entry more on an account. Beyond its share it is one of the pool's too: by what each CPU saw
 * its own addition begin from, so that the pool stays the exact sum of what groups use beyond their
 * shares, whoever adds and releases at the same time. */
SLC_FLOW_FN void slc_flow_charge(struct slc_account *account, struct slc_account *pool)
{
    slc_s64 before = (slc_s64)__sync_fetch_and_add(&account->used, 1);

    if (before >= (slc_s64)account->share)
        __sync_fetch_and_add(&pool->used, 1);
}

/* Puts `entry` into a free place of the bucket, or into that of `dead`. A place lost to another CPU
 * is that CPU's progress: the next one is tried, and no try means full. */
SLC_FLOW_FN int slc_flow_place(struct slc_flow_bucket *bucket, slc_u64 entry, slc_u32 tick,
                               slc_u64 dead, slc_u64 *replaced)
{
    for (int i = 0; i < SLC_FLOW_WAYS; i++) {
        slc_u64 old = *(volatile slc_u64 *)&bucket->entry[i];

        if (!slc_flow_is_free(old, tick) && old != dead)
            continue;
        if (__sync_val_compare_and_swap(&bucket->entry[i], old, entry) != old)
            continue;
        *replaced = old;
        return 1;
    }
    return 0;
}

/* One entry less on the account of whoever had `entry`. */
SLC_FLOW_FN void slc_flow_release(SLC_FLOW_ENV *env, struct slc_account *pool, slc_u64 entry)
{
    struct slc_account *account;

    if (!SLC_FLOW_MEMBER_OF(entry))
        return;
    account = SLC_FLOW_ACCOUNT(env, SLC_FLOW_MEMBER_OF(entry));
    if (account && (slc_s64)__sync_fetch_and_add(&account->used, -1) > (slc_s64)account->share)
        __sync_fetch_and_add(&pool->used, -1);
}

/* enum slc_flow_insert */
SLC_FLOW_FN slc_u8 slc_flow_remember(const struct slc_flow_places *at,
                                     const struct slc_flow_ask *ask, SLC_FLOW_ENV *env,
                                     slc_u32 member, slc_u32 flow_class, slc_u64 dead)
{
    slc_u8 expiry = (slc_u8)(ask->tick + slc_flow_lifetime(ask, flow_class));
    slc_u64 entry = slc_flow_entry(ask->hash, flow_class, member, expiry);
    struct slc_account *account = slc_flow_payer(at, env, member);
    slc_u64 replaced = 0;

    if (!slc_flow_may_take(account, at->pool))
        return SLC_FLOW_REFUSED_CEILING;
    if (!slc_flow_place(at->bucket, entry, ask->tick, dead, &replaced))
        return SLC_FLOW_REFUSED_FULL;
    slc_flow_charge(account, at->pool);
    slc_flow_release(env, at->pool, replaced);
    return SLC_FLOW_INSERTED;
}

/* A flow that the table being left remembers, there in place `i`, moves over with its first packet,
 * ceiling or not: it is no entry more. Where there is no room it stays, and is renewed there. */
SLC_FLOW_FN void slc_flow_move(const struct slc_flow_places *at, const struct slc_flow_ask *ask,
                               SLC_FLOW_ENV *env, int i, slc_u64 entry, slc_u64 dead)
{
    slc_u32 was = SLC_FLOW_CLASS_OF(entry);
    slc_u8 life = slc_flow_life_after(
        ask, was, slc_flow_rescale(slc_flow_left(entry, at->old_tick), at->old_coarser));
    slc_u64 moved = slc_flow_entry(ask->hash, slc_flow_next_class(ask->kind, was, ask->shared),
                                   SLC_FLOW_MEMBER_OF(entry), (slc_u8)(ask->tick + life));
    slc_u64 replaced = 0;

    if (ask->kind == SLC_FLOW_LOOK)
        return;
    if (!slc_flow_place(at->bucket, moved, ask->tick, dead, &replaced)) {
        slc_flow_touch(at->old, i, entry, ask, at->old_tick, at->old_coarser);
        return;
    }
    if (__sync_val_compare_and_swap(&at->old->entry[i & (SLC_FLOW_WAYS - 1)], entry, 0) != entry)
        /* It is still there, or was freed and released. */
        slc_flow_charge(slc_flow_payer(at, env, SLC_FLOW_MEMBER_OF(entry)), at->pool);
    slc_flow_release(env, at->pool, replaced);
}

/*
 * Where a packet of a marked slot, or of a service that is tracked always, goes:
 *
 *   remembered                             there
 *   slot not open                          current
 *   open, SYN, and it could be remembered  current
 *   open, SYN, no room, or held            previous
 *   open, any other                        previous, and it is remembered
 *
 * Where connections share a flow (source affinity) a SYN is any other packet: an older connection
 * of the same client may be silent, and must find its backend when it speaks again.
 *
 * A slot is held from the first refusal on until refusals have ceased for as long as a handshake
 * may be in flight: a SYN that was refused, went to `previous` and comes again must not find room
 * and go elsewhere while the first answer is on its way.
 */
SLC_FLOW_FN void slc_flow_decide(const struct slc_flow_places *at, const struct slc_flow_ask *ask,
                                 SLC_FLOW_ENV *env, struct slc_flow_answer *answer)
{
    slc_u32 current = SLC_SLOT_CURRENT(ask->slot), previous = SLC_SLOT_PREVIOUS(ask->slot);
    slc_u64 entry = 0, old_entry = 0, dead = 0, ignored = 0;
    slc_u32 first_class = slc_flow_first_class(ask->kind);
    int i, old_i = -1, is_new = ask->kind == SLC_FLOW_SYN && !ask->shared;

    /* The old table first: a flow that another CPU moves is in the new one before it leaves. */
    if (at->old)
        old_i = slc_flow_find(at->old, ask, at->old_tick, env, &old_entry, &ignored);
    i = slc_flow_find(at->bucket, ask, ask->tick, env, &entry, &dead);
    if (i >= 0 || old_i >= 0) {
        if (i >= 0)
            slc_flow_touch(at->bucket, i, entry, ask, ask->tick, 0);
        else
            slc_flow_move(at, ask, env, old_i, old_entry, dead);
        answer->member = SLC_FLOW_MEMBER_OF(i >= 0 ? entry : old_entry);
        answer->how = SLC_FLOW_BY_MEMORY;
        return;
    }
    answer->member = current;
    answer->how = SLC_FLOW_BY_RING;
    if (!(ask->slot & SLC_SLOT_OPEN) || !previous) {
        if (ask->always && current && ask->kind != SLC_FLOW_LOOK)
            answer->insert = slc_flow_remember(at, ask, env, current, first_class, dead);
        return;
    }
    answer->held = is_new && (ask->slot & (SLC_SLOT_REFUSED | SLC_SLOT_HELD)) != 0;
    if (is_new && !answer->held) {
        if (!current)
            return;
        answer->insert = slc_flow_remember(at, ask, env, current, first_class, dead);
        if (answer->insert == SLC_FLOW_INSERTED)
            return;
    } else if (ask->kind != SLC_FLOW_LOOK) {
        answer->insert = slc_flow_remember(at, ask, env, previous, first_class, dead);
    }
    answer->member = previous;
    answer->how = SLC_FLOW_BY_PREVIOUS;
}
