/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest's first instruction finds: the firmware (guests/firmware), what it is to do, and
 * page tables for those who are entered in 64-bit mode.
 */
#include "hv/compartment/load/start.h"

#define ENTRIES     512u
#define ENTRY_TABLE 0x03u
#define ENTRY_LARGE 0x83u
#define GIBS        4u /* are mapped one to one */

static void tables_put(struct load *l, uint64_t table, uint64_t entry, uint64_t value) {
    number_put(load_known(l, TABLES_GPA + table * PAGE_SIZE + entry * sizeof(value)), value,
               sizeof(value));
}

/* PML4, PDPT, then a page directory for each GiB. */
static void tables_write(struct load *l) {
    enum { PML4, PDPT, DIRECTORIES };

    memset(load_known(l, TABLES_GPA), 0, (DIRECTORIES + GIBS) * PAGE_SIZE);
    tables_put(l, PML4, 0, (TABLES_GPA + PDPT * PAGE_SIZE) | ENTRY_TABLE);
    for (uint64_t g = 0; g < GIBS; g++) {
        tables_put(l, PDPT, g, (TABLES_GPA + (DIRECTORIES + g) * PAGE_SIZE) | ENTRY_TABLE);
    }
    for (uint64_t i = 0; i < GIBS * ENTRIES; i++) {
        tables_put(l, DIRECTORIES, i, i * 2 * MIB | ENTRY_LARGE);
    }
}
_Static_assert(TABLES_GPA + (2 + GIBS) * PAGE_SIZE <= PARAMS_GPA, "tables reach too far");

void firmware_write(struct load *l) {
    tables_write(l);
    memcpy(load_known(l, FIRMWARE_GPA), guest_firmware, FIRMWARE_SIZE);
    memcpy(load_known(l, ENTRY_GPA), &l->entry, sizeof(l->entry));
}
