/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest starts with instead of a PC's BIOS: it runs inside the guest's walls, on the guest's
 * CPU, and has no privilege. hv/abi.h says what the hypervisor leaves in memory. memory is address
 * 0 of the guest: NULL in the guest, a buffer in the host tests.
 */
#ifndef GUESTS_FIRMWARE_FIRMWARE_H
#define GUESTS_FIRMWARE_FIRMWARE_H

#include <stddef.h>
#include <stdint.h>

#include "hv/abi.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Below 640 KiB: stack, boot_params and page tables, also named in start.S. */
#define PARAMS_GPA     0x7000u
#define LOW_RAM_END    0x9fc00u
#define ACPI_RSDP_SCAN 0xe0000u /* a second copy of the RSDP, for guests that search for it */
#define PAGE           0x1000u
#define HIGH_RAM       0x100000000ull /* where memory goes on behind the devices */

/* Provided by main.c, in the host tests by libc. */
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/*
 * Puts the kernel where it wants to run and the initrd where it can reach it, fills boot_params at
 * PARAMS_GPA, and zeroes what is left of the files; *entry is the kernel's 64-bit entry point. NULL
 * or, with nothing changed, what is wrong with the kernel as a sentence part.
 */
const char *linux_load(uint8_t *memory, const struct bulkhead_start *start, uint64_t *entry);

/*
 * Adds the TSC's frequency to the kernel's command line, unless it is there, khz is 0 or the line
 * gets too long. The text needs room behind it: 32 bytes.
 */
void linux_tell_clock(uint8_t *memory, struct bulkhead_start *start, uint32_t khz);

/*
 * Writes RSDP, XSDT, FADT, MADT, DSDT and FACS into the BULKHEAD_TABLES_SIZE bytes at base; the
 * RSDP comes first and once more at ACPI_RSDP_SCAN, the FACS has the last page for itself. One
 * enabled local APIC for each of 0 .. cpu_count - 1 (254 at most), that number being its ID.
 */
void acpi_write_tables(uint8_t *memory, uint64_t base, uint32_t cpu_count);

/* dsdt.S */
extern const uint8_t dsdt_aml[];
extern const uint32_t dsdt_aml_size;

uint64_t firmware_main(uint8_t *memory); /* called by start.S; returns where to go on */

#endif
