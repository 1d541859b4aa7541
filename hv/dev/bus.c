/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus of one VM: two sorted tables and a binary search. Knows no device; what it does not find
 * is not there. Filled by vm_create(), searched by the exit handlers for I/O ports and MMIO.
 */
#include "hv/dev/bus.h"

#include "hv/lib/range.h"

#define PIO_PORTS 0x10000u

enum status bus_add_pio(struct bus *bus, const struct bus_pio *entry) {
    if (entry->count == 0 || entry->count > PIO_PORTS - entry->base || entry->read == NULL ||
        entry->write == NULL) {
        return STATUS_INVALID;
    }
    if (bus->pio_count == BUS_MAX_PIO) {
        return STATUS_FULL;
    }
    for (uint32_t i = 0; i < bus->pio_count; i++) {
        if (range_overlaps(bus->pio[i].base, bus->pio[i].count, entry->base, entry->count)) {
            return STATUS_EXISTS;
        }
    }
    uint32_t at = bus->pio_count++;
    for (; at > 0 && bus->pio[at - 1].base > entry->base; at--) {
        bus->pio[at] = bus->pio[at - 1];
    }
    bus->pio[at] = *entry;
    return STATUS_OK;
}

enum status bus_add_mmio(struct bus *bus, const struct bus_mmio *entry) {
    if (entry->size == 0 || !range_valid(entry->base.v, entry->size) || entry->read == NULL ||
        entry->write == NULL) {
        return STATUS_INVALID;
    }
    if (bus->mmio_count == BUS_MAX_MMIO) {
        return STATUS_FULL;
    }
    for (uint32_t i = 0; i < bus->mmio_count; i++) {
        if (range_overlaps(bus->mmio[i].base.v, bus->mmio[i].size, entry->base.v, entry->size)) {
            return STATUS_EXISTS;
        }
    }
    uint32_t at = bus->mmio_count++;
    for (; at > 0 && bus->mmio[at - 1].base.v > entry->base.v; at--) {
        bus->mmio[at] = bus->mmio[at - 1];
    }
    bus->mmio[at] = *entry;
    return STATUS_OK;
}

const struct bus_pio *bus_find_pio(const struct bus *bus, uint16_t port, unsigned size) {
    uint32_t low = 0, high = bus->pio_count; /* the last entry with base <= port is below high */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (bus->pio[middle].base <= port) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return NULL;
    }
    const struct bus_pio *entry = &bus->pio[low - 1];
    return range_contains(entry->base, entry->count, port, size) ? entry : NULL;
}

const struct bus_mmio *bus_find_mmio(const struct bus *bus, gpa_t gpa, unsigned size) {
    uint32_t low = 0, high = bus->mmio_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (bus->mmio[middle].base.v <= gpa.v) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return NULL;
    }
    const struct bus_mmio *entry = &bus->mmio[low - 1];
    return range_contains(entry->base.v, entry->size, gpa.v, size) ? entry : NULL;
}
