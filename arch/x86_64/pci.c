/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stops the DMA that the firmware left running: a network card that still receives, or a USB
 * controller that still polls, would write into memory that is a guest's by now. Called once by
 * start.c, on the first CPU. Source: PCI Local Bus Specification 3.0, "Software Generation of
 * Configuration Transactions" (mechanism 1), "Configuration Space Organization", "Class Codes".
 * Segments above the first, which only memory-mapped configuration reaches, are left as they are.
 */
#include "arch/x86_64/arch.h"

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA    0xcfcu
#define CONFIG_ENABLE  BIT32(31)

#define BUSES     256u
#define DEVICES   32u
#define FUNCTIONS 8u

enum pci_register { PCI_ID = 0x00, PCI_COMMAND = 0x04, PCI_CLASS = 0x08, PCI_HEADER = 0x0c };

#define ID_ABSENT      0xffffu /* as vendor: nobody answered */
#define COMMAND_MASTER BIT32(2)
#define COMMAND_WORD   0xffffu /* the upper half is the status, of which a 1 clears bits */
#define HEADER_MULTI   BIT32(23)

/* What must go on, by the class register's upper bits. */
static const struct {
    uint32_t mask, class;
    const char *why;
} pci_spared[] = {
    {.mask = 0xff000000, .class = 0x03000000, .why = "display: some show what lies in RAM"},
    {.mask = 0xff000000, .class = 0x06000000, .why = "bridges: they forward for others"},
    {.mask = 0xffff0000, .class = 0x08000000, .why = "I/O APICs: interrupts are writes"},
    {.mask = 0xffff0000, .class = 0x08060000, .why = "IOMMUs: they hold others back"},
};

static void pci_select(uint32_t function, enum pci_register r) {
    port_out32(CONFIG_ADDRESS, CONFIG_ENABLE | function << 8 | (uint32_t)r);
}

/* function: bus, device and function number as the address register has them, from bit 0 on. */
static uint32_t pci_read(uint32_t function, enum pci_register r) {
    pci_select(function, r);
    return port_in32(CONFIG_DATA);
}

/* True if the function could reach memory until now. */
static bool pci_stop(uint32_t function) {
    uint32_t class = pci_read(function, PCI_CLASS);
    uint32_t command = pci_read(function, PCI_COMMAND) & COMMAND_WORD;

    for (unsigned i = 0; i < ARRAY_SIZE(pci_spared); i++) {
        if ((class & pci_spared[i].mask) == pci_spared[i].class) {
            return false;
        }
    }
    if ((command & COMMAND_MASTER) == 0) {
        return false;
    }
    pci_select(function, PCI_COMMAND);
    port_out32(CONFIG_DATA, command & ~COMMAND_MASTER);
    return true;
}

void pci_stop_masters(void) {
    unsigned stopped = 0;

    for (uint32_t device = 0; device < BUSES * DEVICES; device++) {
        uint32_t first = device * FUNCTIONS;
        if ((uint16_t)pci_read(first, PCI_ID) == ID_ABSENT) {
            continue;
        }
        bool several = (pci_read(first, PCI_HEADER) & HEADER_MULTI) != 0;
        uint32_t functions = several ? FUNCTIONS : 1;
        for (uint32_t function = first; function < first + functions; function++) {
            if ((uint16_t)pci_read(function, PCI_ID) != ID_ABSENT) {
                stopped += pci_stop(function);
            }
        }
    }
    log_info("PCI: DMA switched off in %u devices that the firmware had left it to", stopped);
}
