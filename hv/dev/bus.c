/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The buses of one VM: two short tables. Knows no device; what it does not find is not there.
 * Filled by vm_create() with what Bulkhead itself has decided, searched by the exit handlers for
 * I/O ports and MMIO.
 */
#include "hv/dev/bus.h"

#include "hv/lib/range.h"

void bus_add(struct bus_space *space, const struct bus_entry *entry) {
    ASSERT(space->count < BUS_MAX_ENTRIES && range_valid(entry->base, entry->size));
    for (uint32_t i = 0; i < space->count; i++) {
        const struct bus_entry *other = &space->entries[i];
        ASSERT(!range_overlaps(other->base, other->size, entry->base, entry->size));
    }
    space->entries[space->count++] = *entry;
}

const struct bus_entry *bus_find(const struct bus_space *space, uint64_t at, unsigned size) {
    const struct bus_entry *end = space->entries + space->count;
    for (const struct bus_entry *e = space->entries; e < end; e++) {
        uint64_t offset = at - e->base;
        if (offset < e->size) {
            return size <= e->size - offset ? e : NULL;
        }
    }
    return NULL;
}
