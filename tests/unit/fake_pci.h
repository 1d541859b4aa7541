/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration space of a made-up machine: functions with registers, base addresses of which some
 * bits are fixed, capabilities. Included once in a test program.
 */
#ifndef TESTS_UNIT_FAKE_PCI_H
#define TESTS_UNIT_FAKE_PCI_H

#include "config/pci.h"
#include "tests/unit/test.h"

#define FAKE_FUNCTIONS            24u
#define FAKE_COMMAND              0x0507u /* decodes both kinds, and some more */
#define FAKE_STATUS               0xf9100000u /* ones that a written 1 would clear, and: it has capabilities */
#define FAKE_FIRST_CAP            0x40u
#define FAKE_FIRST_EXT            0x100u
#define AT(bus, device, function) ((uint32_t)((bus) << 8 | (device) << 3 | (function)))

struct fake_pci {
    uint32_t segment, function;
    uint32_t regs[1024];
    uint32_t kept[16]; /* bits of the registers up to 3Ch that can be written */
    uint32_t next_cap, next_ext;
    uint32_t acs, acs_kept; /* a register, and its bits that can be written */
};

static struct fake_pci fake_pci[FAKE_FUNCTIONS];
static unsigned fake_pci_count;
static bool fake_pci_ports;                     /* no register above FFh is reached */
static unsigned fake_pci_wrong, fake_pci_asked; /* bad writes; base addresses that were written */

/* A machine without a function so far, with an IOMMU that remaps interrupts, and two buses. */
static inline void fake_pci_iommu(struct boot_info *info) {
    fake_pci_count = 0;
    info->dma.unit_count = 1;
    info->dma.interrupts = true;
    info->dma.units[0] = (struct boot_iommu){.base = HPA(0xfed90000), .size = 4 * KIB};
    info->ecam_count = 1;
    info->ecams[0] = (struct boot_ecam){.base = HPA(0xb0000000), .last_bus = 1};
}

static inline struct fake_pci *fake_pci_at(uint32_t segment, uint32_t function) {
    for (unsigned i = 0; i < fake_pci_count; i++) {
        if (fake_pci[i].segment == segment && fake_pci[i].function == function) {
            return &fake_pci[i];
        }
    }
    return NULL;
}

static inline uint32_t fake_pci_read(uint32_t segment, uint32_t function, uint32_t reg) {
    const struct fake_pci *f = fake_pci_at(segment, function);
    CHECK(reg % 4 == 0 && reg < 4096);
    return f == NULL || (reg >= 0x100 && fake_pci_ports) ? UINT32_MAX : f->regs[reg / 4];
}

static inline void fake_pci_write(uint32_t segment, uint32_t function, uint32_t reg,
                                  uint32_t value) {
    struct fake_pci *f = fake_pci_at(segment, function);
    if (f != NULL && f->acs == reg && reg != 0) {
        f->regs[reg / 4] = (f->regs[reg / 4] & ~f->acs_kept) | (value & f->acs_kept);
        return;
    }
    if (f == NULL || reg % 4 != 0 || reg >= 0x40) {
        fake_pci_wrong++;
        return;
    }
    if (reg == 4) { /* no status bit is cleared */
        fake_pci_wrong += (value & 0xffff0000) != 0;
        f->regs[1] = (f->regs[1] & 0xffff0000) | value;
        return;
    }
    fake_pci_wrong += (f->regs[1] & 3) != 0; /* it would answer at a wrong address */
    fake_pci_asked++;
    f->regs[reg / 4] = (f->regs[reg / 4] & ~f->kept[reg / 4]) | (value & f->kept[reg / 4]);
}

static const struct pci_space fake_space = {fake_pci_read, fake_pci_write};

/* A device; class: all 24 bits. */
static inline struct fake_pci *fake_pci_add(uint32_t function, uint32_t id, uint32_t class) {
    struct fake_pci *f = &fake_pci[fake_pci_count++];
    ASSERT(fake_pci_count <= FAKE_FUNCTIONS);
    memset(f, 0, sizeof(*f));
    f->function = function;
    f->regs[0] = id >> 16 | id << 16; /* written as lspci does: vendor, device */
    f->regs[1] = FAKE_STATUS | FAKE_COMMAND;
    f->regs[2] = class << 8 | 1;
    f->regs[15] = 0x0000010b; /* INTA */
    f->next_cap = FAKE_FIRST_CAP;
    f->next_ext = FAKE_FIRST_EXT;
    return f;
}

/* All of its functions carry the mark, as on most devices. */
static inline void fake_pci_several(struct fake_pci *f) {
    f->regs[3] |= 0x00800000;
}

/* At register n; flags are those of its lowest bits. */
static inline void fake_pci_bar(struct fake_pci *f, unsigned n, uint64_t base, uint64_t size,
                                uint32_t flags) {
    uint64_t mask = ~(size - 1);
    f->regs[4 + n] = (uint32_t)base | flags;
    f->kept[4 + n] = (uint32_t)mask & ((flags & 1) != 0 ? 0xfffffffcu : 0xfffffff0u);
    if ((flags & 6) == 4) {
        f->regs[5 + n] = (uint32_t)(base >> 32);
        f->kept[5 + n] = (uint32_t)(mask >> 32);
    }
}

/* A capability of so many words, the first of which has that upper half. */
static inline uint32_t *fake_pci_cap(struct fake_pci *f, uint8_t id, uint32_t upper,
                                     unsigned words) {
    uint32_t at = f->next_cap;
    uint32_t *last = &f->regs[0x34 / 4];

    while ((*last & 0xff) != 0 && last == &f->regs[0x34 / 4]) {
        last = &f->regs[*last / 4];
    }
    if (last != &f->regs[0x34 / 4]) { /* the list's end */
        while ((*last >> 8 & 0xff) != 0) {
            last = &f->regs[(*last >> 8 & 0xff) / 4];
        }
        *last |= at << 8;
    } else {
        *last = at;
    }
    f->regs[at / 4] = upper << 16 | id;
    f->next_cap = at + 4 * words;
    return &f->regs[at / 4];
}

/* A PCI Express function of that type. */
static inline void fake_pci_express(struct fake_pci *f, unsigned type, bool flr) {
    fake_pci_cap(f, 0x10, type << 4 | 2, 4)[1] = flr ? BIT32(28) : 0;
}

static inline void fake_pci_acs(struct fake_pci *f, uint32_t can, uint32_t on) {
    uint32_t at = f->next_ext;
    if (at != FAKE_FIRST_EXT) {
        f->regs[FAKE_FIRST_EXT / 4] |= at << 20;
    }
    f->regs[at / 4] = 0x0001000d;
    f->regs[at / 4 + 1] = can | on << 16;
    f->acs = at + 4;
    f->acs_kept = can << 16;
    f->next_ext = at + 0x40;
}

/* A bridge to the buses from secondary to subordinate; express: its type, or -1 for none. */
static inline struct fake_pci *fake_pci_bridge(uint32_t function, uint32_t secondary,
                                               uint32_t subordinate, int express) {
    struct fake_pci *f = fake_pci_add(function, 0x1b36000c, 0x060400);
    f->regs[3] |= 0x00010000;
    f->regs[6] = subordinate << 16 | secondary << 8 | function >> 8;
    if (express >= 0) {
        fake_pci_express(f, (unsigned)express, false);
    }
    return f;
}

#define FAKE_ACS 0x1du /* SV, RR, CR, UF */
#define FAKE_ALL 0x5fu /* what QEMU's root ports have */

static inline struct fake_pci *fake_pci_port(uint32_t function, uint32_t secondary, bool acs) {
    struct fake_pci *f = fake_pci_bridge(function, secondary, secondary, BOOT_PCI_ROOT_PORT);
    if (acs) {
        fake_pci_acs(f, FAKE_ALL, 0);
    }
    return f;
}

/* A network card that can be given wherever it is. */
static inline struct fake_pci *fake_pci_card(uint32_t function, uint64_t base) {
    struct fake_pci *f = fake_pci_add(function, 0x808610d3, 0x020000);
    fake_pci_express(f, BOOT_PCI_ENDPOINT, true);
    fake_pci_bar(f, 0, base, 128 * KIB, 0);
    return f;
}

#endif
