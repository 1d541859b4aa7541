/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is searched for below 1 MiB by those who know no better way: the real-mode interrupt table,
 * the BIOS data area, and a coreboot table, by which boot loaders without a BIOS (GRUB's
 * i386-coreboot images) find memory. SMBIOS is smbios.c's.
 * Source: coreboot documentation "coreboot tables".
 */
#include "guests/firmware/firmware.h"

enum { CB_HEADER = 24, CB_MEMORY = 1, CB_RECORD = 8 };

#define BIOS_SEGMENT 0xf000u

static void put(uint8_t *at, uint64_t value, size_t bytes) {
    memcpy(at, &value, bytes);
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
    vectors_write(memory);
    put(memory + 0x400, 0x3f8, 2);            /* COM1 */
    put(memory + 0x40e, LOW_RAM_END >> 4, 2); /* extended BIOS data area */
    put(memory + 0x413, LOW_RAM_END >> 10, 2);
    memory[LOW_RAM_END] = 1; /* its size in KiB */
    coreboot_write(memory + LEGACY_TABLES, memory, start);
}
