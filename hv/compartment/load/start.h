/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of this room share: struct load, the start of one guest as it grows. A loader of
 * some kind of kernel reads the file, notes what is to be moved where and how the kernel is entered
 * (move.c, entry); what moves it is load.c, in pieces. Nothing is written before all of it was
 * found good, but for the command line.
 */
#pragma once

#include "hv/abi.h"
#include "hv/abi/bus.h"
#include "hv/abi/device.h"
#include "hv/abi/guest_memory.h"
#include "hv/abi/load.h"
#include "hv/compartment/load/layout.h"
#include "hv/lib/str.h"

/* What is below the page tables, down to the BIOS data area, a kernel may be loaded to. */
#define LOW_FREE       0x1000u
#define LOW_FREE_END   ((uint64_t)TABLES_GPA)
#define LOW_RAM_END    0x9fc00u
#define RESERVED_END   0x100000u /* what is reserved above that */
#define ACPI_RSDP_SCAN 0xe0000u  /* a second copy of the RSDP, for guests that search for it */
#define LEGACY_TABLES  0xf0000u  /* coreboot table */
#define SMBIOS_TABLES  0xf0200u
#define KERNEL_LEAST   MIB       /* no kernel runs lower */
#define HIGH_RAM       (4 * GIB) /* where memory goes on behind the devices */
#define IOAPIC_ADDRESS 0xfec00000u
#define LAPIC_ADDRESS  0xfee00000u

struct e820_entry {
    uint64_t base, size;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "e820 entry");
enum { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4, E820_PMEM = 12 };

/* How the guest goes on, known to guests/firmware: the other registers are 0. */
struct entry {
    uint32_t mode; /* MODE_PROTECTED or MODE_LONG */
    uint32_t eax, ebx, esi, edi;
    uint64_t address;
};
_Static_assert(offsetof(struct entry, mode) == ENTRY_MODE, "layout.h");
_Static_assert(offsetof(struct entry, eax) == ENTRY_EAX, "layout.h");
_Static_assert(offsetof(struct entry, ebx) == ENTRY_EBX, "layout.h");
_Static_assert(offsetof(struct entry, esi) == ENTRY_ESI, "layout.h");
_Static_assert(offsetof(struct entry, edi) == ENTRY_EDI, "layout.h");
_Static_assert(offsetof(struct entry, address) == ENTRY_ADDRESS, "layout.h");
_Static_assert(sizeof(struct entry) == ENTRY_SIZE, "layout.h");

/* What CPUID says of the processors. */
struct processor {
    uint32_t model, features; /* leaf 1, EAX and EDX */
    uint32_t khz;             /* of the TSC */
    char maker[13], name[49];
};

/* Bytes that go from one place of the guest's memory to another, which may overlap, or zeros. */
struct move {
    uint64_t to, from, size;
    bool zero;
};

/* A part of the file that is to lie in memory; what it has more there than in the file is zero. */
struct segment {
    uint64_t address, memory_size, offset, file_size;
};
#define SEGMENTS_MOST 16u
#define MOVES_MOST    (SEGMENTS_MOST + 6u) /* the kernel, three of each file */

struct load {
    enum load_status status; /* LOAD_NO_ANSWER: not begun */
    const struct abi_devices *devices;
    struct guest_region low; /* the guest's memory from 0 on, */
    struct guest_memory memory;
    struct bulkhead_start start; /* as the core has filled it in, and as it grows */
    struct processor cpu;
    const uint8_t *file; /* the kernel's, start.kernel.size bytes */
    struct entry entry;
    struct move moves[MOVES_MOST];
    uint32_t move_count, move_at; /* of them done */
    uint64_t moved;               /* bytes of the next one */
    bool outside;                 /* one was refused */
};

/* load.c */
/*
 * Begins the start of a guest whose memory from 0 on is at ram, with struct bulkhead_start and the
 * files in it; cpuid is by enum load_leaf. devices: what it has by the config. Moves nothing yet.
 * LOAD_MORE, or what is wrong.
 */
enum load_status load_begin(struct load *l, uint8_t *ram, const struct abi_devices *devices,
                            const uint32_t cpuid[LOAD_LEAVES][4]);
/* Goes on with it: moves up to LOAD_PIECE bytes, or finishes. Its status. */
enum load_status load_go_on(struct load *l);

/* The same for the one guest that a compartment has: begins at the first call. */
void load_answer(struct exchange_load *e, uint8_t *ram, const struct abi_devices *devices);

/* Size bytes of the guest's memory, which are there; NULL if they are not. */
static inline uint8_t *load_at(const struct load *l, uint64_t gpa, uint64_t size) {
    return guest_memory_at(&l->memory, GPA(gpa), size);
}

/* In the first MiB and in the tables' area below the end of RAM, which load_begin() has seen. */
static inline uint8_t *load_known(const struct load *l, uint64_t gpa) {
    return l->low.at + gpa;
}

/* The little-endian number of up to 8 bytes at an offset, and back: so are x86 and all tables. */
static inline uint64_t number_at(const uint8_t *at, uint64_t offset, unsigned bytes) {
    uint64_t value = 0;
    memcpy(&value, at + offset, bytes);
    return value;
}
static inline void number_put(uint8_t *at, uint64_t value, unsigned bytes) {
    memcpy(at, &value, bytes);
}

/* move.c */
/* Notes that bytes go somewhere, or that zeros do. */
void move_bytes(struct load *l, uint64_t to, uint64_t from, uint64_t size);
void move_zeros(struct load *l, uint64_t at, uint64_t size);
/* The same for size bytes of a file from skip on; what else there was of it becomes zero. */
void move_file(struct load *l, uint64_t to, const struct bulkhead_piece *file, uint64_t skip,
               uint64_t size);

/* Up to most bytes of the next one, which there is; returns how many. */
uint64_t move_some(struct load *l, uint64_t most);

/* map.c: the memory map at MAP_GPA, and l->start says so. */
void map_write(struct load *l);

/*
 * kernel.c: what kind of kernel it is, and what that kind asks for. LOAD_MORE, or what is wrong.
 * khz is the TSC's frequency, for kernels that are to be told it, or 0.
 */
enum load_status kernel_load(struct load *l, uint32_t khz);

/*
 * The kinds, for kernel_load(): whether a file looks like one, from its first bytes; and loading as
 * above. linux_load() also puts the initrd where the kernel can reach it.
 */
bool linux_knows(const uint8_t *file, uint64_t size);
bool multiboot_knows(const uint8_t *file, uint64_t size);
bool elf_knows(const uint8_t *file, uint64_t size);
enum load_status linux_load(struct load *l);
enum load_status multiboot_load(struct load *l);
enum load_status elf_load(struct load *l);

/*
 * The loadable segments of an executable ELF file of this class (1: 32 bits, 2: 64 bits, 0: any)
 * and its physical entry point; their number, or 0.
 */
unsigned elf_read(const uint8_t *file, uint64_t size, unsigned class, struct segment *segments,
                  uint64_t *entry);
/* Has them moved and the file zeroed, if all lie where memory is free, below the file, and apart.
 */
enum load_status segments_load(struct load *l, const struct segment *segments, unsigned count);

/*
 * Adds the TSC's frequency to a Linux kernel's command line, unless it is there, khz is 0 or the
 * line gets too long. The text needs room behind it: COMMAND_ROOM bytes.
 */
#define COMMAND_ROOM 32u
void linux_tell_clock(struct load *l, uint32_t khz);

/*
 * Writes RSDP, XSDT, FADT, MADT, DSDT and FACS into the BULKHEAD_TABLES_SIZE bytes at
 * l->start.rsdp; the RSDP comes first and once more at ACPI_RSDP_SCAN, the FACS has the last page
 * for itself. One enabled local APIC for each vCPU (254 at most), its number being its ID.
 */
void acpi_write_tables(struct load *l);

/*
 * What is looked for below 1 MiB: the real-mode interrupt table, the BIOS data area's few words, at
 * LEGACY_TABLES the coreboot table with the memory map. Needs map_write().
 */
void legacy_write_tables(struct load *l);

/* Writes SMBIOS at SMBIOS_TABLES: the machine, its identity, processors and memory. */
void smbios_write_tables(struct load *l);

/* firmware.c: what the first instruction finds: page tables, guests/firmware, l->entry. */
void firmware_write(struct load *l);

/* blobs.S */
extern const uint8_t guest_firmware[FIRMWARE_SIZE], dsdt_aml[];
extern const uint32_t dsdt_aml_size;
