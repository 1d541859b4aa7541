/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the firmware's page tables, and changes them once the firmware is gone; see no_firmware.h.
 * Must not call the firmware. Source: Intel SDM, "4-Level Paging and 5-Level Paging".
 */
#include "boot/no_firmware.h"
#include "hv/lib/phys.h"

#define ENTRY_PRESENT BIT(0)
#define ENTRY_WRITE   BIT(1)
#define ENTRY_LARGE   BIT(7) /* a page instead of a table, at levels 2 and 3 */
#define ENTRY_ADDRESS 0x000ffffffffff000ull
#define ENTRY_NX      BIT(63)
#define INDEX_BITS    9u
#define LEVEL_LARGEST 3u

/* Returns the bytes that the page has, from its own beginning; 0 if nothing is mapped there. open:
 * it is made writable and executable. */
static uint64_t tables_walk(hpa_t root, unsigned levels, uint64_t address, bool open) {
    uint64_t *table = phys_pointer(root);
    for (unsigned level = levels; level > 0; level--) {
        unsigned shift = PAGE_SHIFT + (level - 1) * INDEX_BITS;
        uint64_t *entry = &table[address >> shift & (BIT(INDEX_BITS) - 1)];
        if ((*entry & ENTRY_PRESENT) == 0) {
            return 0;
        }
        if (open) {
            *entry = (*entry | ENTRY_WRITE) & ~ENTRY_NX;
        }
        bool large = level > 1 && level <= LEVEL_LARGEST && (*entry & ENTRY_LARGE) != 0;
        if (large || level == 1) {
            return BIT(shift);
        }
        table = phys_pointer(HPA(*entry & ENTRY_ADDRESS));
    }
    return 0;
}

static bool tables_walk_all(hpa_t root, unsigned levels, uint64_t base, uint64_t size, bool open) {
    for (uint64_t at = base; at - base < size;) {
        uint64_t page = tables_walk(root, levels, at, open);
        if (page == 0) {
            return false;
        }
        at = ALIGN_DOWN(at, page) + page;
    }
    return true;
}

bool tables_open(hpa_t root, unsigned levels, uint64_t base, uint64_t size) {
    return tables_walk_all(root, levels, base, size, true);
}

bool tables_map(hpa_t root, unsigned levels, uint64_t base, uint64_t size) {
    return tables_walk_all(root, levels, base, size, false);
}
