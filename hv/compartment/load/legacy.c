/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is searched for below 1 MiB by those who know no better way: the real-mode interrupt table,
 * the BIOS data area, and a coreboot table, by which boot loaders without a BIOS (GRUB's
 * i386-coreboot images) find memory. SMBIOS is smbios.c's.
 * Source: coreboot documentation "coreboot tables".
 */
#include "hv/compartment/load/start.h"

enum { CB_HEADER = 24, CB_MEMORY = 1, CB_RECORD = 8 };

#define BIOS_SEGMENT 0xf000u

/* The Internet's: the complement of a sum with end-around carry, of even size. */
static uint16_t coreboot_checksum(const uint8_t *at, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i += 2) {
        sum += (uint32_t)number_at(at, i, 2);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static void coreboot_write(struct load *l) {
    const struct bulkhead_piece *map = &l->start.memory_map;
    uint8_t *to = load_known(l, LEGACY_TABLES);
    uint8_t *record = to + CB_HEADER;
    uint32_t size = CB_RECORD + (uint32_t)map->size;

    number_put(record, CB_MEMORY, 4);
    number_put(record + 4, size, 4);
    memcpy(record + CB_RECORD, load_known(l, map->gpa), map->size); /* same layout */
    memcpy(to, "LBIO", 4);
    number_put(to + 4, CB_HEADER, 4);
    number_put(to + 12, size, 4);
    number_put(to + 16, coreboot_checksum(record, size), 4);
    number_put(to + 20, 1, 4); /* one record */
    number_put(to + 8, coreboot_checksum(to, CB_HEADER), 4);
}

/* The real-mode interrupt table: offset and segment of each vector's entry in the firmware. */
static void vectors_write(struct load *l) {
    uint32_t offset = FIRMWARE_GPA - (BIOS_SEGMENT << 4);

    for (uint32_t i = 0; i < BIOS_VECTORS; i++) {
        number_put(load_known(l, 4 * i), offset + BIOS_ENTRY_SIZE * i, 2);
        number_put(load_known(l, 4 * i + 2), BIOS_SEGMENT, 2);
    }
}

void legacy_write_tables(struct load *l) {
    vectors_write(l);
    number_put(load_known(l, 0x400), 0x3f8, 2);            /* COM1 */
    number_put(load_known(l, 0x40e), LOW_RAM_END >> 4, 2); /* extended BIOS data area */
    number_put(load_known(l, 0x413), LOW_RAM_END >> 10, 2);
    *load_known(l, LOW_RAM_END) = 1; /* its size in KiB */
    coreboot_write(l);
}
