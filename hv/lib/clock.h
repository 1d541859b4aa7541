/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source of time for device models: a TSC with an offset of its own, and its frequency. A
 * VM's clock starts at 0 when the VM is made and is not for the guest to set; a local APIC's is the
 * TSC as its vCPU reads it. A device never reads hardware; it asks this.
 */
#pragma once

#include "hv/lib/types.h"

struct dev_clock {
    uint64_t (*host_tsc)(void);
    uint64_t offset; /* added to the host's TSC, modulo 2^64 */
    uint64_t tsc_hz;
    uint64_t wall_at_zero; /* Unix seconds (UTC) when this clock was 0 */
};

/*
 * a * b / c, exact for every a as long as (c - 1) * b fits 64 bits, which holds for any two
 * frequencies up to 4 GHz and for a device's (up to 100 MHz) with any TSC's; the result wraps at
 * 2^64. In this form because a division of 128 bits would need the compiler's run-time library.
 */
static inline uint64_t mul_div_u64(uint64_t a, uint64_t b, uint64_t c) {
    return a / c * b + a % c * b / c;
}

static inline uint64_t clock_now(const struct dev_clock *clock) {
    return clock->host_tsc() + clock->offset;
}

/* Ticks of a clock of hz from when this one was 0 up to a moment of it. */
static inline uint64_t clock_ticks_at(const struct dev_clock *clock, uint64_t moment, uint64_t hz) {
    return mul_div_u64(moment, hz, clock->tsc_hz);
}

/* The same, up to now. */
static inline uint64_t clock_ticks(const struct dev_clock *clock, uint64_t hz) {
    return clock_ticks_at(clock, clock_now(clock), hz);
}

/* What this clock shows when clock_ticks() has reached ticks; never 0. */
static inline uint64_t clock_when(const struct dev_clock *clock, uint64_t ticks, uint64_t hz) {
    return mul_div_u64(ticks, clock->tsc_hz, hz) + 1;
}

/* The timers of a PC: the host's, by which the TSC is measured, and the guests'. */
#define PIT_HZ      1193182ull
#define PM_TIMER_HZ 3579545ull

/* A guest cannot ask for periodic interrupts faster than this and so keep its CPU out of itself. */
#define TIMER_MIN_PERIOD_HZ 50000

/* The earlier of two moments; 0 is never, and less 1 it is the last of all. */
static inline uint64_t clock_earlier(uint64_t a, uint64_t b) {
    return min_u64(a - 1, b - 1) + 1;
}
