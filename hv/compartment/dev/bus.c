/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sorted list of a bus: adding, moving and removing entries, and the search. Called by the
 * platform, and by devices whose place the guest can change, under the platform's lock.
 */
#include "hv/compartment/dev/bus.h"

void bus_init(struct bus *bus) {
    *bus = (struct bus){.count = 0};
}

/* How many entries begin at or below this place: the first of them that does not is the next. */
static unsigned bus_count_below(const struct bus *bus, uint64_t at) {
    unsigned low = 0;
    unsigned high = bus->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (bus->entries[middle].base <= at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct bus_entry *bus_find(const struct bus *bus, uint64_t at, unsigned size) {
    unsigned below = bus_count_below(bus, at);

    if (below == 0 || !bus_entry_holds(&bus->entries[below - 1], at, size)) {
        return NULL;
    }
    return &bus->entries[below - 1];
}

/* Is there room for size bytes at base, with no regard to the entry except? */
static enum status bus_check(const struct bus *bus, uint64_t base, uint64_t size,
                             const struct bus_entry *except) {
    if (size == 0 || size - 1 > UINT64_MAX - base) {
        return STATUS_INVALID;
    }
    for (const struct bus_entry *e = bus->entries; e < bus->entries + bus->count; e++) {
        bool apart = base + (size - 1) < e->base || base > e->base + (e->size - 1);
        if (!apart && e != except) {
            return STATUS_EXISTS;
        }
    }
    return STATUS_OK;
}

static struct bus_entry *bus_entry_of(struct bus *bus, const struct device *device,
                                      unsigned region) {
    for (struct bus_entry *e = bus->entries; e < bus->entries + bus->count; e++) {
        if (e->device == device && e->region == region) {
            return e;
        }
    }
    return NULL;
}

static void bus_insert(struct bus *bus, const struct bus_entry *entry) {
    unsigned place = bus_count_below(bus, entry->base);
    for (unsigned i = bus->count; i > place; i--) {
        bus->entries[i] = bus->entries[i - 1];
    }
    bus->entries[place] = *entry;
    bus->count++;
}

static void bus_delete(struct bus *bus, struct bus_entry *entry) {
    bus->count--;
    for (struct bus_entry *e = entry; e < bus->entries + bus->count; e++) {
        *e = e[1];
    }
    bus->entries[bus->count] = (struct bus_entry){.size = 0};
}

enum status bus_add(struct bus *bus, uint64_t base, uint64_t size, struct device *device,
                    unsigned region) {
    enum status s = bus_check(bus, base, size, NULL);
    if (s == STATUS_OK && bus->count == BUS_ENTRIES) {
        s = STATUS_FULL;
    }
    if (s == STATUS_OK) {
        bus_insert(bus, &(struct bus_entry){base, size, device, region});
    }
    return s;
}

enum status bus_remove(struct bus *bus, const struct device *device, unsigned region) {
    struct bus_entry *e = bus_entry_of(bus, device, region);
    if (e == NULL) {
        return STATUS_NOT_FOUND;
    }
    bus_delete(bus, e);
    return STATUS_OK;
}

enum status bus_move(struct bus *bus, const struct device *device, unsigned region, uint64_t base) {
    struct bus_entry *e = bus_entry_of(bus, device, region);
    if (e == NULL) {
        return STATUS_NOT_FOUND;
    }
    enum status s = bus_check(bus, base, e->size, e);
    if (s != STATUS_OK) {
        return s;
    }
    struct bus_entry moved = *e;
    moved.base = base;
    bus_delete(bus, e);
    bus_insert(bus, &moved);
    return STATUS_OK;
}
