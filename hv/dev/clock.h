/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one source of time for device models: the TSC as the guest sees it, and its frequency.
 * A device never reads hardware; it asks this.
 */
#ifndef HV_DEV_CLOCK_H
#define HV_DEV_CLOCK_H

#include "hv/lib/types.h"

struct dev_clock {
    uint64_t (*tsc)(void *ctx); /* guest TSC now */
    void *ctx;
    uint64_t tsc_hz;
    uint64_t wall_at_zero; /* Unix seconds (UTC) when the guest TSC was 0 */
};

/*
 * a * b / c, exact for every a as long as (c - 1) * b fits 64 bits, which holds for any two
 * frequencies up to 4 GHz and for a device's (up to 100 MHz) with any TSC's; the result wraps at
 * 2^64. In this form because a division of 128 bits would need the compiler's run-time library.
 */
static inline uint64_t mul_div_u64(uint64_t a, uint64_t b, uint64_t c) {
    return a / c * b + a % c * b / c;
}

/* Ticks of a clock of hz that have passed at guest TSC value tsc. */
static inline uint64_t clock_ticks_at(const struct dev_clock *clock, uint64_t tsc, uint64_t hz) {
    return mul_div_u64(tsc, hz, clock->tsc_hz);
}

static inline uint64_t clock_ticks(const struct dev_clock *clock, uint64_t hz) {
    return clock_ticks_at(clock, clock->tsc(clock->ctx), hz);
}

#endif
