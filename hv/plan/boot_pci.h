/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI functions of the machine, as the EFI application found them: part of struct boot_info. Plain
 * data; config/pci.h says who fills it.
 */
#pragma once

#include "hv/lib/types.h"

#define BOOT_MAX_PCI   512
#define BOOT_MAX_ECAMS 16
#define BOOT_PCI_BARS  6u
#define BOOT_PCI_NONE  UINT16_MAX /* no index of a function */

/* Configuration space in memory (ACPI's MCFG): a page for each function of these buses. */
struct boot_ecam {
    hpa_t base; /* of bus 0, also if that is none of them */
    uint16_t segment;
    uint8_t first_bus, last_bus;
};

/* "PCI Express Capabilities Register", Device/Port Type; and of a function that is none. */
enum boot_pci_express {
    BOOT_PCI_ENDPOINT = 0,
    BOOT_PCI_LEGACY_ENDPOINT = 1,
    BOOT_PCI_ROOT_PORT = 4,
    BOOT_PCI_UPSTREAM = 5,
    BOOT_PCI_DOWNSTREAM = 6,
    BOOT_PCI_TO_PCI = 7,
    BOOT_PCI_FROM_PCI = 8,
    BOOT_PCI_ROOT_ENDPOINT = 9,
    BOOT_PCI_ROOT_COLLECTOR = 10,
    BOOT_PCI_CONVENTIONAL = 16, /* above all four-bit values */
};

/* What a base address register names. */
struct boot_pci_bar {
    uint64_t base; /* 0 = the firmware gave it no address */
    /* Bytes or ports; 0 = there is none, or it was not asked. Less than a page, and alone in one: a
     * page, for that is what is given. */
    uint64_t size;
    bool io, wide, prefetchable;
};

struct boot_pci_msix {
    uint16_t count; /* of vectors; 0 = it has none */
    uint8_t table_bar, pending_bar;
    uint32_t table, pending; /* offsets in those */
};

/* Whether a guest can have it; if not, the first reason of these. */
enum boot_pci_verdict {
    BOOT_PCI_BRIDGE,  /* leads to others */
    BOOT_PCI_CHIPSET, /* the machine cannot be without it */
    BOOT_PCI_SERIAL,
    BOOT_PCI_SCREEN,
    BOOT_PCI_KEYBOARD,
    BOOT_PCI_STICK,
    BOOT_PCI_BEHIND_LEGACY, /* its DMA comes under the bridge's name */
    BOOT_PCI_RESERVED_DMA,
    BOOT_PCI_NO_RESET,
    BOOT_PCI_BAR_NOWHERE,
    BOOT_PCI_BAR_SMALL,
    BOOT_PCI_BAR_SHARED, /* with the function `because` */
    BOOT_PCI_BAR_TAKEN,  /* lies over memory, or what Bulkhead needs */
    BOOT_PCI_BARS_LARGE, /* a guest has no room for those that are below 4 GiB */
    BOOT_PCI_BAR_BEYOND, /* nor has it addresses for one that would be above */
    BOOT_PCI_GROUP,      /* `because` of its group cannot be given */
    BOOT_PCI_NO_IOMMU,
    BOOT_PCI_UNSURE,       /* there may be IOMMUs that ACPI's table tells of in vain */
    BOOT_PCI_NO_REMAPPING, /* it could raise any interrupt on any CPU */
    BOOT_PCI_SEGMENT,      /* only the first one's devices are reached while guests run */
    BOOT_PCI_INCOMPLETE,   /* not all functions are known, and so no group is */
    BOOT_PCI_TOGETHER,     /* it can, with the other functions of its group */
    BOOT_PCI_ALONE,        /* it can */
};

struct boot_pci {
    uint16_t segment;
    uint16_t function; /* bus << 8 | device << 3 | function */
    uint16_t vendor, device;
    uint32_t class;  /* base class << 16 | subclass << 8 | interface */
    uint8_t header;  /* 0: a device, 1: a bridge to another bus, 2: to CardBus */
    bool several;    /* its device has more functions */
    uint16_t parent; /* index of the bridge that leads here; BOOT_PCI_NONE: it is on a root bus */
    uint16_t group;  /* functions that may reach each other are in one, from 0 */
    uint8_t secondary, subordinate; /* of a bridge: first and last bus behind it */
    enum boot_pci_express express;
    struct boot_pci_bar bars[BOOT_PCI_BARS];
    uint32_t rom_size; /* bytes; 0 = none */
    uint8_t pin;       /* 1 to 4: INTA to INTD, 0 = none */
    uint8_t messages;  /* of MSI; 0 = it has none */
    struct boot_pci_msix msix;
    uint16_t acs; /* where its capability has two words: what it can, what is on; 0 = none */
    uint16_t acs_can, acs_on;
    /* Offsets of capabilities, 0 = it has none. */
    uint8_t at_power, at_express, at_msi, at_msix, at_af;
    bool flr, af_flr;     /* function-level reset, by the PCIe or by the AF capability */
    bool pm_reset;        /* D3hot and back to D0 resets it */
    bool bus_reset;       /* it is alone behind a port */
    bool keyboard, stick; /* Bulkhead or the firmware read them through it */
    bool reserved_dma;    /* the firmware says that its DMA must go on */
    enum boot_pci_verdict verdict;
    uint16_t because; /* index; BOOT_PCI_NONE unless the verdict says so */
    uint8_t bar;      /* of verdicts about one */
};

/* Pages of a BAR. */
struct boot_pci_pages {
    uint8_t bar;
    uint32_t offset, size; /* multiples of 4 KiB; size 0: none */
};

#define BOOT_PCI_HELD 2u

/*
 * The pages with MSI-X's table and pending bits, which no guest maps: one piece or two. False, and
 * none: the function has no MSI-X, or puts them where it has no memory.
 */
bool boot_pci_held(const struct boot_pci *f, struct boot_pci_pages held[BOOT_PCI_HELD]);

/*
 * A BAR that a guest has above 4 GiB. It has 64 bits, and the guest's place below for all of them
 * takes few of that size. Pages of 2 MiB map it there, so no page of it may be left out: MSI-X is
 * in none. Its base is a multiple of its size, as any BAR's.
 */
#define BOOT_PCI_HIGH (64 * MIB)
bool boot_pci_is_high(const struct boot_pci *f, unsigned bar);

/* True if the DMA of what has that class must go on when the firmware has ended. */
bool boot_pci_keeps_dma(uint32_t class);

/* A bridge to another bus: nobody's device, whatever its group. */
static inline bool boot_pci_is_bridge(const struct boot_pci *f) {
    return f->header != 0;
}

static inline bool boot_pci_can_reset(const struct boot_pci *f) {
    return f->flr || f->af_flr || f->pm_reset || f->bus_reset;
}

static inline bool boot_pci_can_be_given(const struct boot_pci *f) {
    return f->verdict == BOOT_PCI_TOGETHER || f->verdict == BOOT_PCI_ALONE;
}
