/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A channel: memory of exactly two VMs' compartments, a half for each. Each writes its own half
 * alone (the other's is mapped read-only) and reads both. What the other side has written is
 * hostile: its words are read once, checked and then used, its bytes copied before they are looked
 * at. The core maps the halves and carries doorbells, and looks into neither.
 */
#pragma once

#include "hv/lib/types.h"

#define CHANNEL_RING (256 * KIB) /* bytes, a power of two */

/*
 * What goes through a ring: this, and then length bytes, up to the next multiple of its own size.
 * So it lies in one piece; the bytes go on at the ring's beginning where it ends.
 */
struct channel_record {
    uint32_t length;
    uint32_t about[3]; /* what sender and receiver have agreed on */
};
#define CHANNEL_RECORD (uint32_t)sizeof(struct channel_record)

#define CHANNEL_LINE 64u /* bytes; a CPU's cache line */

/*
 * Words of the two directions lie in lines of their own: whoever sends writes put and reads the
 * other half's taken and wake_at, and whoever receives does the other way round. put, taken and
 * wake_at are multiples of CHANNEL_RECORD, modulo 2^32.
 */
struct channel_half {
    uint32_t put;    /* so many bytes it has put into its ring */
    uint32_t awaits; /* not 0: a doorbell is wanted once the other side has taken something */
    uint8_t rest_of_line[CHANNEL_LINE - 8];
    uint32_t taken;   /* so many it has taken out of the other side's ring */
    uint32_t wake_at; /* a doorbell is wanted when the other side's put goes past this */
    uint32_t starts;  /* how often it has begun to run; not 0 while it does */
    uint32_t state;   /* of its device: what the two kinds of device have agreed on */
    uint8_t rest_of_second[CHANNEL_LINE - 16];
    /* Not 0 while its device is there and looks into the other side's ring. The core clears this
     * line when the VM's run has ended, and rings. */
    uint32_t runs;
    uint8_t rest_of_third[CHANNEL_LINE - 4];
    uint8_t unused[4096 - 3 * CHANNEL_LINE];
    uint8_t ring[CHANNEL_RING];
};
#define CHANNEL_HALF ((uint64_t)sizeof(struct channel_half))
_Static_assert(offsetof(struct channel_half, runs) == 2ull * CHANNEL_LINE, "a line of its own");
_Static_assert(sizeof(struct channel_half) % 4096 == 0, "whole pages");
_Static_assert(offsetof(struct channel_half, ring) == 4096, "the ring has pages of its own");
