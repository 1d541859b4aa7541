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

/*
 * Below 640 KiB, from above: stack, memory map, what the kernel is handed, page tables; also in
 * start.S. What is below them, down to the BIOS data area, a kernel may be loaded to.
 */
#define MAP_GPA        0x97000u
#define PARAMS_GPA     0x96000u
#define LOW_FREE       0x1000u
#define LOW_FREE_END   0x90000u
#define LOW_RAM_END    0x9fc00u
#define ACPI_RSDP_SCAN 0xe0000u /* a second copy of the RSDP, for guests that search for it */
#define LEGACY_TABLES  0xf0000u /* coreboot table */
#define SMBIOS_TABLES  0xf0200u
#define PAGE           0x1000u
#define KERNEL_LEAST   0x100000u      /* no kernel runs lower */
#define HIGH_RAM       0x100000000ull /* where memory goes on behind the devices */

struct e820_entry {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "e820 entry");
enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

/* How the guest goes on, known to start.S: in 64-bit mode, or in protected mode without paging. */
struct entry {
    uint64_t address;
    uint32_t protected_mode;
    uint32_t eax, ebx, esi, edi; /* the other registers are 0 */
};
_Static_assert(offsetof(struct entry, protected_mode) == 8, "as in start.S");
_Static_assert(offsetof(struct entry, edi) == 24, "as in start.S");

/* Provided by main.c, in the host tests by libc. */
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* load.c */
/* The little-endian number of bytes at an offset. */
uint64_t number_at(const uint8_t *at, uint64_t offset, unsigned bytes);
/* Moves size bytes from skip on in the piece, which may overlap; what is left of it is zeroed. */
void piece_move(uint8_t *memory, uint64_t to, const struct bulkhead_piece *piece, uint64_t skip,
                uint64_t size);
/* Writes the memory map to MAP_GPA and says so in *start. */
void map_write(uint8_t *memory, struct bulkhead_start *start);
/*
 * Puts the kernel where it wants to run by the rules of its kind and fills *entry; khz is the TSC's
 * frequency, for kernels that are to be told it, or 0. NULL or, with nothing but the command line
 * changed, what is wrong with the kernel as a sentence part.
 */
const char *kernel_load(uint8_t *memory, struct bulkhead_start *start, uint32_t khz,
                        struct entry *entry);

/*
 * The kinds, for kernel_load(): whether a file looks like one, from its first bytes; and loading as
 * above. linux_load() also puts the initrd where the kernel can reach it.
 */
int linux_is(const uint8_t *file, uint64_t size);
int multiboot_is(const uint8_t *file, uint64_t size);
int elf_is(const uint8_t *file, uint64_t size);
const char *linux_load(uint8_t *memory, const struct bulkhead_start *start, struct entry *entry);
const char *multiboot_load(uint8_t *memory, const struct bulkhead_start *start,
                           struct entry *entry);
const char *elf_load(uint8_t *memory, const struct bulkhead_start *start, struct entry *entry);

/* A part of the file that is to lie in memory; what it has more there than in the file is zero. */
struct segment {
    uint64_t address, memory_size, offset, file_size;
};
/*
 * The loadable segments of an executable ELF file of this class (1: 32 bits, 2: 64 bits, 0: any)
 * and its physical entry point; their number, or 0.
 */
#define SEGMENTS_MOST 16u
unsigned elf_read(const uint8_t *file, uint64_t size, unsigned class, struct segment *segments,
                  uint64_t *entry);
/* Copies them and zeroes the file, if all lie where memory is free, below the file, and apart. */
const char *segments_load(uint8_t *memory, const struct bulkhead_start *start,
                          const struct segment *segments, unsigned count);

/*
 * Adds the TSC's frequency to a Linux kernel's command line, unless it is there, khz is 0 or the
 * line gets too long. The text needs room behind it: 32 bytes.
 */
void linux_tell_clock(uint8_t *memory, struct bulkhead_start *start, uint32_t khz);

/*
 * Writes RSDP, XSDT, FADT, MADT, DSDT and FACS into the BULKHEAD_TABLES_SIZE bytes at base; the
 * RSDP comes first and once more at ACPI_RSDP_SCAN, the FACS has the last page for itself. One
 * enabled local APIC for each of 0 .. cpu_count - 1 (254 at most), that number being its ID.
 */
void acpi_write_tables(uint8_t *memory, uint64_t base, uint32_t cpu_count);

/*
 * What is looked for below 1 MiB: the real-mode interrupt table, the BIOS data area's few words, at
 * LEGACY_TABLES the coreboot table with the memory map. Needs map_write().
 */
void legacy_write_tables(uint8_t *memory, const struct bulkhead_start *start);

/* What CPUID says of the processors. */
struct processor {
    uint32_t model, features; /* leaf 1, EAX and EDX */
    uint32_t khz;
    char maker[13], name[49];
};
/* Writes SMBIOS at SMBIOS_TABLES: the machine, its identity, processors and memory. */
void smbios_write_tables(uint8_t *memory, const struct bulkhead_start *start,
                         const struct processor *cpu);

/* bios.S: one entry of 4 bytes for each vector of the real-mode interrupt table. */
#define BIOS_ENTRY_SIZE 4u
#define BIOS_VECTORS    256u
extern const uint8_t bios_entries[];

/* dsdt.S */
extern const uint8_t dsdt_aml[];
extern const uint32_t dsdt_aml_size;

const struct entry *firmware_main(uint8_t *memory); /* called by start.S, which goes on there */

#endif
