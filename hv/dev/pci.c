/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI configuration mechanism 1 with a host bridge at 00:00.0 and nothing else, so that a guest
 * finds a bus, and finds it empty. The bridge is read-only. Called by the port handler under the
 * device lock.
 * Source: PCI Local Bus Specification "Configuration Mechanism #1".
 */
#include "hv/dev/platform.h"

#define PORT_ADDRESS     0xcf8
#define PORT_DATA        0xcfc
#define ADDRESS_ENABLE   BIT32(31)
#define ADDRESS_WRITABLE 0x80fffffcu
#define ADDRESS_FUNCTION 0x00ffff00u /* bus, device and function; all zero is the bridge */

/* Vendor and device of the 440FX, which every guest knows to need no driver; class host bridge. */
static const uint32_t bridge[] = {[0x00 / 4] = 0x12378086, [0x08 / 4] = 0x06000002};

void pci_reset(struct pci *pci) {
    pci->address = 0;
}

static uint32_t pci_read_config(const struct pci *pci) {
    if ((pci->address & ADDRESS_ENABLE) == 0 || (pci->address & ADDRESS_FUNCTION) != 0) {
        return UINT32_MAX;
    }
    unsigned index = (pci->address & 0xfc) / 4;
    return index < ARRAY_SIZE(bridge) ? bridge[index] : 0;
}

uint64_t pci_read(void *dev, uint64_t port, unsigned size) {
    const struct pci *pci = dev;
    if (port == PORT_ADDRESS && size == 4) {
        return pci->address;
    }
    if (port < PORT_DATA) {
        return port == RESET_PORT ? reset_lines_read(pci->reset, port, size) : UINT32_MAX;
    }
    return pci_read_config(pci) >> (8 * (port & 3));
}

void pci_write(void *dev, uint64_t port, unsigned size, uint64_t value) {
    struct pci *pci = dev;
    if (port == PORT_ADDRESS && size == 4) {
        pci->address = value & ADDRESS_WRITABLE;
    } else if (port == RESET_PORT) {
        reset_lines_write(pci->reset, port, size, value);
    }
}
