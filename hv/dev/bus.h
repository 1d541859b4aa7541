/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The buses of one VM, one of I/O ports and one of guest-physical pages: which device answers
 * where. Filled when the VM is created, constant while it runs. What no entry names is not there:
 * reads give all ones, writes are lost; the caller counts that.
 */
#ifndef HV_DEV_BUS_H
#define HV_DEV_BUS_H

#include "hv/lib/types.h"

#define BUS_MAX_ENTRIES 16

/*
 * at (a port's number, or the offset in an MMIO entry), size (1, 2, 4; MMIO also 8) and value are
 * guest-controlled. The caller cuts what read returns to size bytes.
 */
struct bus_entry {
    uint64_t base, size;
    const char *name;
    void *dev;
    uint64_t (*read)(void *dev, uint64_t at, unsigned size);
    void (*write)(void *dev, uint64_t at, unsigned size, uint64_t value);
};

struct bus_space {
    uint32_t count;
    struct bus_entry entries[BUS_MAX_ENTRIES]; /* disjoint; searched in this order */
};

/* The busiest device comes first. */
void bus_add(struct bus_space *space, const struct bus_entry *entry);

/* The entry that holds the whole access, or NULL. */
const struct bus_entry *bus_find(const struct bus_space *space, uint64_t at, unsigned size);

#endif
