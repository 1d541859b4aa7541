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

struct channel_half {
    uint32_t put;     /* so many bytes it has put into its ring, modulo 2^32 */
    uint32_t taken;   /* so many it has taken out of the other side's ring */
    uint32_t wake_at; /* a doorbell is wanted when the other side's put goes past this */
    uint32_t runs;    /* not 0 while its device is there and looks into the other side's ring */
    uint8_t unused[4096 - 16];
    uint8_t ring[CHANNEL_RING];
};
#define CHANNEL_HALF ((uint64_t)sizeof(struct channel_half))
_Static_assert(sizeof(struct channel_half) % 4096 == 0, "whole pages");
