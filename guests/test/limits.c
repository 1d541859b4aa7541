/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that uses as much as it gets of what others pay for: exits, bytes on its console, lines
 * in the log. tests/system knows the limits, and judges the numbers by them; and a guest that works
 * beside such a one.
 */
#include "guests/test/guest.h"

#define NO_MSR     0x9e
#define LINE       64
#define LINES      200
#define MOST_BYTES 1000000

static bool is_over(uint64_t start, uint64_t seconds) {
    return read_tsc() - start >= seconds * machine.tsc_hz;
}

void storm_exits(void) {
    uint64_t count = 0;
    uint32_t r[4];

    for (uint64_t start = read_tsc(); !is_over(start, 2); count++) {
        cpuid(0, 0, r);
    }
    tap_note("exits", count);
    tap_line(true, "two seconds of exits");
}

void storm_console(void) {
    uint64_t count = 0;

    for (uint64_t start = read_tsc(); !is_over(start, 2) && count < MOST_BYTES; count++) {
        put_char(count % LINE == LINE - 1 ? '\n' : '.');
    }
    put_text("\n");
    tap_note("bytes", count);
    tap_line(true, "two seconds of writing");
}

void storm_log(void) {
    uint64_t value;

    for (unsigned i = 0; i < LINES; i++) {
        (void)try_read_msr(NO_MSR, &value);
    }
    tap_note("violations", LINES);
    tap_line(true, "reached for what is not there");
}

/* All of it, for ever. */
void storm_all(void) {
    uint64_t value;
    uint32_t r[4];

    for (;;) {
        cpuid(0, 0, r);
        (void)try_read_msr(NO_MSR, &value);
        put_char('.');
    }
}

/* What a second is good for. */
void work(void) {
    uint64_t count = 0;

    for (uint64_t start = read_tsc(); !is_over(start, 1); count++) {
        __asm__ volatile("");
    }
    tap_note("turns", count);
    tap_line(true, "a second of work");
}
