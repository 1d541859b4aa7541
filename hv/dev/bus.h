/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The buses of a VM, one of I/O ports and one of guest-physical pages: constant tables of which
 * device answers where, searched by the exit handlers. What no entry names is not there: reads
 * give all ones, writes are lost; the caller counts that.
 */
#ifndef HV_DEV_BUS_H
#define HV_DEV_BUS_H

#include "hv/lib/types.h"

/*
 * at (a port's number, or the offset in an MMIO entry), size (1, 2, 4; MMIO also 8) and value are
 * guest-controlled. The caller cuts what read returns to size bytes.
 */
struct bus_entry {
    uint64_t base, size;
    const char *name;
    size_t dev; /* the device's place in struct vm */
    uint64_t (*read)(void *dev, uint64_t at, unsigned size);
    void (*write)(void *dev, uint64_t at, unsigned size, uint64_t value);
};

/*
 * The entry that holds the whole access, or NULL. Entries are disjoint, the busiest device comes
 * first, one of size 0 ends them.
 */
static inline const struct bus_entry *bus_find(const struct bus_entry *e, uint64_t at,
                                               unsigned size) {
    while (e->size != 0 && at - e->base >= e->size) {
        e++;
    }
    return size <= e->size - (at - e->base) && e->size != 0 ? e : NULL;
}

#endif
