/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which device answers where: a bus for I/O ports and one for guest-physical pages, each a sorted
 * list of disjoint entries. Entries can move, as PCI devices do. What no entry names is not there.
 * Nothing here takes a lock; the platform's is held.
 */
#pragma once

#include "hv/abi/bus.h"
#include "hv/compartment/dev/device.h"
#include "hv/lib/status.h"

#define BUS_ENTRIES 64

struct bus_entry {
    uint64_t base, size;
    struct device *device;
    unsigned region; /* which of the device's */
};

struct bus {
    unsigned count;
    struct bus_entry entries[BUS_ENTRIES]; /* from count on of size 0 */
};

void bus_init(struct bus *bus);

/*
 * STATUS_INVALID: no size, or beyond the end of the space. STATUS_EXISTS: over another entry.
 * STATUS_FULL. STATUS_NOT_FOUND: the device has no such region here. Nothing changes then. base may
 * be guest-controlled.
 */
MUST_USE enum status bus_add(struct bus *bus, uint64_t base, uint64_t size, struct device *device,
                             unsigned region);
MUST_USE enum status bus_remove(struct bus *bus, const struct device *device, unsigned region);
MUST_USE enum status bus_move(struct bus *bus, const struct device *device, unsigned region,
                              uint64_t base);

/* Below the base the distance wraps round and is beyond any size. */
static inline bool bus_entry_has(const struct bus_entry *e, uint64_t at) {
    return at - e->base < e->size;
}

static inline bool bus_entry_holds(const struct bus_entry *e, uint64_t at, unsigned size) {
    return bus_entry_has(e, at) && size <= e->size - (at - e->base);
}

/* The entry that holds the whole access, or NULL. */
const struct bus_entry *bus_find(const struct bus *bus, uint64_t at, unsigned size);
