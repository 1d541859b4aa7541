/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guests of each kind of kernel share: the CPU's state at the first instruction, which
 * entry.S keeps, and TAP on the serial line. Compiled for 32 and for 64 bits.
 */
#ifndef GUESTS_KINDS_KINDS_H
#define GUESTS_KINDS_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* In the order in which entry.S pushes it, from the last. */
struct first_state {
    uintptr_t cr4, cr0, flags, gs, fs, es, ds, ss, cs;
    uintptr_t di, si, bp, sp, bx, dx, cx, ax;
};

/* What the test's configuration gives each of them. */
#define KINDS_CMDLINE "kinds one two"
#define KINDS_MODULE  "a file for the guests\n"
#define KINDS_PATH    "guests/module.txt"

/* One for each kind: prints its lines; the machine is switched off behind it. */
void kind_main(const struct first_state *s);

void tap(bool ok, const char *text, uint64_t seen);
bool text_equal(const char *a, const char *b);

/* The file, at this address and of this size. */
void tap_module(uint64_t address, uint64_t size);

/* The registers that the kinds agree on: interrupts off, going up, flat data segments. */
void tap_common(const struct first_state *s);

/*
 * Entries of base, size and type, so many bytes from one to the next: RAM below 640 KiB and from
 * 1 MiB on, none in what a PC has between them or at its APICs; ascending.
 */
void tap_map(const uint8_t *map, uint64_t count, unsigned step);

/* A call of the BIOS, in a free place below 1 MiB; only with 32 bits. Registers are of 16. */
struct real_call {
    uint32_t vector, ax, bx, flags;
};
#define REAL_CALL ((volatile struct real_call *)0x7000)
void real_mode_int(void);

void kinds_start(const struct first_state *s); /* called by entry.S */

#endif
