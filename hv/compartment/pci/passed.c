/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a passed-through function as a device of the guest's: its reset, and the pages of its BARs
 * that the guest reaches through the compartment. See passed.h.
 */
#include "hv/compartment/pci/passed.h"

/* Its BARs and its MSI-X are not those of pci.c. */
static const struct pci_model passed_model = {.vendor = 0};

static struct passed *passed_of(struct device *dev) {
    return CONTAINER_OF(dev, struct passed, dev);
}

/* The core has reset the real one. */
static void passed_reset(struct device *dev) {
    struct passed *p = passed_of(dev);

    passed_lose(p);
    pci_reset(&p->pci);
    for (unsigned i = 0; i < ABI_PCI_BARS; i++) {
        p->bars[i].address = p->bars[i].start;
    }
    passed_learn(p);
}

/* ---- pages of a BAR ---- */

/* One access of exactly that size, in its place among the others. */
static uint64_t passed_load(uint64_t at, unsigned size) {
    switch (size) {
    case 1:
        return __atomic_load_n((uint8_t *)at, __ATOMIC_ACQUIRE);
    case 2:
        return __atomic_load_n((uint16_t *)at, __ATOMIC_ACQUIRE);
    case 4:
        return __atomic_load_n((uint32_t *)at, __ATOMIC_ACQUIRE);
    default:
        return __atomic_load_n((uint64_t *)at, __ATOMIC_ACQUIRE);
    }
}

static void passed_store(uint64_t at, unsigned size, uint64_t value) {
    switch (size) {
    case 1:
        __atomic_store_n((uint8_t *)at, (uint8_t)value, __ATOMIC_RELEASE);
        break;
    case 2:
        __atomic_store_n((uint16_t *)at, (uint16_t)value, __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_store_n((uint32_t *)at, (uint32_t)value, __ATOMIC_RELEASE);
        break;
    default:
        __atomic_store_n((uint64_t *)at, value, __ATOMIC_RELEASE);
    }
}

/* What is not aligned no driver does, and it would be no single access: all ones. */
static uint64_t passed_read(struct device *dev, unsigned region, uint64_t at, unsigned size) {
    struct passed *p = passed_of(dev);
    uint64_t place = p->abi->held[region].at + at;

    if (at % size != 0) {
        return UINT64_MAX;
    }
    return passed_is_table(p, place, size) ? passed_read_table(p, place, size)
                                           : passed_load(place, size);
}

static void passed_write(struct device *dev, unsigned region, uint64_t at, unsigned size,
                         uint64_t value) {
    struct passed *p = passed_of(dev);
    uint64_t place = p->abi->held[region].at + at;

    if (at % size != 0) {
        return;
    }
    if (passed_is_table(p, place, size)) {
        passed_write_table(p, place, size, value);
    } else {
        passed_store(place, size, value);
    }
}

static uint64_t passed_service(struct device *dev, uint64_t now) {
    return passed_service_line(passed_of(dev), now);
}

void passed_make(struct passed *p, const struct abi_devices *devices, uint32_t number,
                 struct pci_host *host, struct bus *buses, unsigned slot) {
    struct device dev = p->dev;

    *p = (struct passed){
        .dev = dev, .devices = devices, .abi = &devices->pcis[number], .number = number};
    p->pci = (struct pci_function){.model = &passed_model,
                                   .config = &passed_config,
                                   .device = &p->dev,
                                   .buses = buses,
                                   .host = host,
                                   .slot = slot};
    host->slots[slot] = &p->pci;
}

const struct device_ops passed_ops = {
    .name = "passed-through PCI device",
    .reset = passed_reset,
    .read = passed_read,
    .write = passed_write,
    .service = passed_service,
};
