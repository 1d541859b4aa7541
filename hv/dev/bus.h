/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus of one VM: which device answers which I/O ports and which guest-physical pages. Filled
 * when the VM is created, constant while it runs. What no entry names is not there: reads give all
 * ones, writes are lost; the caller counts that.
 */
#ifndef HV_DEV_BUS_H
#define HV_DEV_BUS_H

#include "hv/lib/status.h"
#include "hv/lib/types.h"

#define BUS_MAX_PIO  24
#define BUS_MAX_MMIO 8

/* port, gpa offset, size (1, 2, 4; MMIO also 8) and value are guest-controlled. */
struct bus_pio {
    uint16_t base;
    uint16_t count;
    const char *name;
    void *dev;
    uint32_t (*read)(void *dev, uint16_t port, unsigned size);
    void (*write)(void *dev, uint16_t port, unsigned size, uint32_t value);
};

struct bus_mmio {
    gpa_t base;
    uint64_t size;
    const char *name;
    void *dev;
    uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
    void (*write)(void *dev, uint64_t offset, unsigned size, uint64_t value);
};

struct bus {
    uint32_t pio_count, mmio_count;
    struct bus_pio pio[BUS_MAX_PIO];    /* sorted by base, disjoint */
    struct bus_mmio mmio[BUS_MAX_MMIO]; /* sorted by base, disjoint */
};

/*
 * STATUS_EXISTS on overlap, STATUS_FULL when the table is full, STATUS_INVALID for an empty range,
 * one that passes the end of the space, or a missing handler.
 */
MUST_USE enum status bus_add_pio(struct bus *bus, const struct bus_pio *entry);
MUST_USE enum status bus_add_mmio(struct bus *bus, const struct bus_mmio *entry);

/* The entry that holds the whole access, or NULL. */
const struct bus_pio *bus_find_pio(const struct bus *bus, uint16_t port, unsigned size);
const struct bus_mmio *bus_find_mmio(const struct bus *bus, gpa_t gpa, unsigned size);

#endif
