/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI configuration registers of the first segment, in pci.c: plat_pci_read() and _write(). */
#pragma once

#include "hv/lib/types.h"

enum pci_register {
    PCI_ID = 0x00,
    PCI_COMMAND = 0x04,
    PCI_CLASS = 0x08,
    PCI_HEADER = 0x0c,
    PCI_BAR = 0x10,
    PCI_BAR_HIGH = 0x14,
};

/* A function, as plat_pci_read() wants it. */
#define PCI_FUNCTION(bus, device, function) ((bus) << 8 | (device) << 3 | (function))
