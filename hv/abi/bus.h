/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a guest's devices are, and what they answer: words of core, emulator and bus. */
#pragma once

#include "hv/lib/types.h"

/* Where PCI functions may be found: devices and _CRS of the DSDT. An OS does not know which of them
 * are real, so each may be anywhere in it: the core maps the BARs of real ones there. Large ones
 * have a place above 4 GiB, too, which is each guest's own (struct abi_devices). */
#define PCI_PORTS       0x1000u
#define PCI_PORTS_SIZE  0x1000u
#define PCI_MEMORY      0xd0000000u
#define PCI_MEMORY_SIZE 0x10100000u

/* Of that, where BARs are at a start: those of real devices, and the others'. */
#define PCI_DEVICES      PCI_MEMORY
#define PCI_DEVICES_SIZE 0x10000000u
#define PCI_VIRTIO       0xe0000000u
#define PCI_VIRTIO_SIZE  0x00100000u

/* The configuration space as memory (ECAM): a page for each function, of which the first 256 bytes
 * are those of mechanism 1. Device, MCFG, DSDT and memory map. */
#define PCI_PAGES      0xe0100000u
#define PCI_PAGES_SIZE 0x00100000u

enum bus_space {
    BUS_PORT,
    BUS_MEMORY, /* guest-physical addresses */
    BUS_SPACES
};

/*
 * What has been read. Two whole registers, so that neither is cut or filled on the way. Only as
 * many bytes of value mean something as were asked for.
 */
struct bus_answer {
    uint64_t value;
    uint64_t there; /* 1; or 0: nothing answers, and value is all ones */
};
