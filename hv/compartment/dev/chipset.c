/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI configuration mechanism 1; the ways in which a PC is told to restart itself: the keyboard
 * controller's pulse command, the fast reset bit of port 92h, the reset control register CF9h; and
 * the POST port, which takes bytes silently. Sources: PCI Local Bus Specification
 * "Configuration Mechanism #1"; Intel ICH data sheets "RST_CNT - Reset Control Register", "PORT92".
 */
#include "hv/compartment/dev/models.h"
#include "hv/compartment/pci/pci.h"

enum { KEYBOARD_PULSE_RESET = 0xfe };
enum { FAST_RESET = 0x01, FAST_A20 = 0x02 };
enum { CF9_CPU_RESET = 0x04, CF9_WRITABLE = 0x0e };
/* Of the region at CF8h. */
enum { OFFSET_ADDRESS = 0, OFFSET_RESET = 1, OFFSET_DATA = 4 };

#define ADDRESS_ENABLE   BIT32(31)
#define ADDRESS_WRITABLE 0x80fffffcu
#define ADDRESS_PLACE    0x00fffffcu /* bus, device, function, register */

static struct chipset *chipset_of(struct device *dev) {
    return CONTAINER_OF(dev, struct chipset, dev);
}

static void chipset_reset(struct device *dev) {
    *chipset_of(dev) =
        (struct chipset){.dev = *dev, .pci = chipset_of(dev)->pci, .port92 = FAST_A20};
}

static uint32_t chipset_read_function(const struct chipset *c) {
    bool on = (c->address & ADDRESS_ENABLE) != 0;
    return on ? pci_config_read(c->pci, c->address & ADDRESS_PLACE) : UINT32_MAX;
}

/* at: of the first byte within the word. */
static void chipset_write_function(const struct chipset *c, unsigned at, unsigned size,
                                   uint32_t value) {
    unsigned bytes = (BIT32(size) - 1) << at;
    if ((c->address & ADDRESS_ENABLE) != 0) {
        pci_config_write(c->pci, c->address & ADDRESS_PLACE, bytes, value << (8 * at));
    }
}

static uint64_t chipset_read_config(const struct chipset *c, uint64_t at, unsigned size) {
    if (at >= OFFSET_DATA) {
        return chipset_read_function(c) >> (8 * (at - OFFSET_DATA));
    }
    if (at == OFFSET_ADDRESS && size == 4) {
        return c->address;
    }
    return at == OFFSET_RESET && size == 1 ? c->cf9 : UINT32_MAX;
}

static uint64_t chipset_read(struct device *dev, unsigned region, uint64_t at, unsigned size) {
    const struct chipset *c = chipset_of(dev);

    switch (region) {
    case CHIPSET_CONFIG:
        return chipset_read_config(c, at, size);
    case CHIPSET_CONFIG_PAGES:
        return pci_page_read(c->pci, at, size);
    case CHIPSET_KEYBOARD_COMMAND:
        return 0; /* never busy, never a byte to fetch: loops that wait for a reset go on */
    case CHIPSET_FAST_RESET:
        return c->port92;
    default:
        return UINT32_MAX;
    }
}

/* True if the machine is to be reset: it is the rise of the bit that counts. */
static bool chipset_write_config(struct chipset *c, uint64_t at, unsigned size, uint32_t value) {
    if (at == OFFSET_ADDRESS && size == 4) {
        c->address = value & ADDRESS_WRITABLE;
    }
    if (at >= OFFSET_DATA) {
        chipset_write_function(c, (unsigned)at - OFFSET_DATA, size, value);
    }
    if (at != OFFSET_RESET || size != 1) {
        return false;
    }
    bool rises = (value & ~(uint32_t)c->cf9 & CF9_CPU_RESET) != 0;
    c->cf9 = value & CF9_WRITABLE;
    return rises;
}

static bool chipset_write_fast(struct chipset *c, uint8_t value) {
    bool rises = (value & ~(unsigned)c->port92 & FAST_RESET) != 0;
    c->port92 = value & (FAST_RESET | FAST_A20);
    return rises;
}

static void chipset_write(struct device *dev, unsigned region, uint64_t at, unsigned size,
                          uint64_t value) {
    struct chipset *c = chipset_of(dev);
    bool reset = false;

    if (region == CHIPSET_CONFIG) {
        reset = chipset_write_config(c, at, size, (uint32_t)value);
    } else if (region == CHIPSET_CONFIG_PAGES) {
        pci_page_write(c->pci, at, size, value);
    } else if (region == CHIPSET_KEYBOARD_COMMAND) {
        reset = value == KEYBOARD_PULSE_RESET;
    } else if (region == CHIPSET_FAST_RESET) {
        reset = chipset_write_fast(c, (uint8_t)value);
    }
    if (reset) {
        dev->env->stop(dev->env, DEV_RESET);
    }
}

const struct device_ops chipset_ops = {
    .name = "chipset",
    .reset = chipset_reset,
    .read = chipset_read,
    .write = chipset_write,
};
