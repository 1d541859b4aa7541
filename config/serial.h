/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chooses the UART for the log and the consoles: the config's, or the one that somebody most likely
 * looks at. Pure: it reaches the machine through what its caller (boot/, the unit tests) gives.
 */
#pragma once

#include "hv/plan/boot_info.h"

struct serial_machine {
    /* Registers of a UART, see hv/lib/uart_registers.h. */
    uint8_t (*in)(const struct boot_serial *line, unsigned r);
    void (*out)(const struct boot_serial *line, unsigned r, uint8_t value);
    /* PCI configuration space: bus << 8 | device << 3 | function, a multiple of 4. */
    uint32_t (*pci_read)(uint32_t function, unsigned offset);
    void (*pci_write)(uint32_t function, unsigned offset, uint32_t value);
    bool firmware_has_line; /* its own console runs over some serial line, whose speed is set */
};

/*
 * Fills info->serial from the config, from info->spcr and from what answers. Wants info's memory
 * ranges. Changes nothing of the machine that it does not change back. What the firmware's table
 * and PCI devices say is not trusted: a UART has to answer where they are said to be.
 */
void serial_choose(struct boot_info *info, const struct serial_machine *machine);

/* Lets a PCI device answer, if the choice is one. Once the firmware is to be left. */
void serial_take(const struct boot_info *info, const struct serial_machine *machine);

#define SERIAL_TEXT_SIZE 56
/* Which it is, and why; returns buf, of SERIAL_TEXT_SIZE bytes. */
const char *serial_describe(const struct boot_info *info, char *buf);
