/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is searched for below 1 MiB by those who know no better way: the BIOS data area, SMBIOS with
 * both its entry points, and a coreboot table, by which boot loaders without a BIOS (GRUB's
 * i386-coreboot images) find memory. All in reserved memory but for the BIOS data area.
 * Sources: System Management BIOS Specification 3.2 "Accessing SMBIOS information", "Structure
 * definitions"; coreboot documentation "coreboot tables".
 */
#include "guests/firmware/firmware.h"

/* Places at LEGACY_TABLES; searchers go in steps of 16 bytes, some in steps of 24 from its start.
 */
enum { COREBOOT_AT = 0, ENTRY_3_AT = 0x180, ENTRY_2_AT = 0x1a0, STRUCTURES_AT = 0x1c0 };
enum { CB_HEADER = 24, CB_MEMORY = 1, CB_RECORD = 8 };
enum { ENTRY_3_SIZE = 24, ENTRY_2_SIZE = 31, ENTRY_2_SECOND = 16 };

#define BIOS_SEGMENT 0xf000u
#define NAME         "Bulkhead"

#define STRINGS(text) text "\0", sizeof(text "\0")

/* Each structure with its strings behind it; a second NUL ends them. The handle is its number. */
static const struct {
    uint8_t bytes[28];
    const char strings[36];
    uint8_t strings_size;
} structures[] = {
    /* BIOS: vendor, version, at F000h, date, 64 KiB, PCI; ACPI, a virtual machine; release 1.0. */
    {{0, 26, 0, 0, 1, 2, 0, 0xf0, 3, 0, 0x80, [18] = 1, 0x10, 1, 0, 0xff, 0xff},
     STRINGS(NAME "\0001.0\00001/01/2026")},
    /* System: manufacturer, product; no UUID; woken by the power switch. */
    {{1, 27, 1, 0, 1, 1, [24] = 6}, STRINGS(NAME)},
    /* Chassis: manufacturer, type other; states safe, security none. */
    {{3, 22, 3, 0, 1, 1, [9] = 3, 3, 3, 3}, STRINGS(NAME)},
    {{32, 11, 32}, STRINGS("")}, /* boot status: no errors */
    {{127, 4, 127}, STRINGS("")},
};

static void put(uint8_t *at, uint64_t value, size_t bytes) {
    memcpy(at, &value, bytes);
}

static uint8_t checksum(const uint8_t *at, size_t n) {
    uint8_t sum = 0;
    while (n-- > 0) {
        sum = (uint8_t)(sum - at[n]);
    }
    return sum;
}

/* Size of all structures. */
static uint32_t smbios_write_structures(uint8_t *to) {
    uint8_t *at = to;
    for (size_t i = 0; i < COUNT(structures); i++) {
        memcpy(at, structures[i].bytes, structures[i].bytes[1]);
        at += structures[i].bytes[1];
        memcpy(at, structures[i].strings, structures[i].strings_size);
        at += structures[i].strings_size;
    }
    return (uint32_t)(at - to);
}

static void smbios_write(uint8_t *base, uint64_t address) {
    uint8_t *new = base + ENTRY_3_AT, *old = base + ENTRY_2_AT;
    uint32_t size = smbios_write_structures(base + STRUCTURES_AT);

    memcpy(new, "_SM3_\0\x18\3\2\0\1", 11); /* length, version 3.2.0, revision of the entry */
    put(new + 12, size, 4);
    put(new + 16, address + STRUCTURES_AT, 8);
    new[5] = checksum(new, ENTRY_3_SIZE);

    memcpy(old, "_SM_\0\x1f\3\2", 8);
    put(old + 8, 64, 2); /* no structure is larger */
    memcpy(old + ENTRY_2_SECOND, "_DMI_", 5);
    put(old + 22, size, 2);
    put(old + 24, address + STRUCTURES_AT, 4);
    put(old + 28, COUNT(structures), 2);
    old[30] = 0x32;
    old[21] = checksum(old + ENTRY_2_SECOND, ENTRY_2_SIZE - ENTRY_2_SECOND);
    old[4] = checksum(old, ENTRY_2_SIZE);
}

/* The Internet's: the complement of a sum with end-around carry, of even size. */
static uint16_t coreboot_checksum(const uint8_t *at, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i += 2) {
        sum += (uint32_t)number_at(at, i, 2);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static void coreboot_write(uint8_t *to, const uint8_t *memory, const struct bulkhead_start *s) {
    uint8_t *record = to + CB_HEADER;
    uint32_t size = CB_RECORD + (uint32_t)s->memory_map.size;
    put(record, CB_MEMORY, 4);
    put(record + 4, size, 4);
    memcpy(record + CB_RECORD, memory + s->memory_map.gpa, s->memory_map.size); /* same layout */
    memcpy(to, "LBIO", 4);
    put(to + 4, CB_HEADER, 4);
    put(to + 12, size, 4);
    put(to + 16, coreboot_checksum(record, size), 4);
    put(to + 20, 1, 4); /* one record */
    put(to + 8, coreboot_checksum(to, CB_HEADER), 4);
}

/* The real-mode interrupt table: offset and segment of each vector's entry in bios.S. */
static void vectors_write(uint8_t *memory) {
    for (uint32_t i = 0; i < BIOS_VECTORS; i++) {
        uint32_t offset = (uint16_t)((uintptr_t)bios_entries + BIOS_ENTRY_SIZE * i);
        put(memory + 4 * i, offset | BIOS_SEGMENT << 16, 4);
    }
}

void legacy_write_tables(uint8_t *memory, const struct bulkhead_start *start) {
    uint8_t *base = memory + LEGACY_TABLES;
    vectors_write(memory);
    put(memory + 0x400, 0x3f8, 2);            /* COM1 */
    put(memory + 0x40e, LOW_RAM_END >> 4, 2); /* extended BIOS data area */
    put(memory + 0x413, LOW_RAM_END >> 10, 2);
    memory[LOW_RAM_END] = 1; /* its size in KiB */
    coreboot_write(base + COREBOOT_AT, memory, start);
    smbios_write(base, LEGACY_TABLES);
}
