/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A real PCI function of a VM, for the files pci.c, pci_call.c and pci_reset.c; and for the audit,
 * which reads where its registers are. */
#pragma once

#include "hv/lib/fmt.h"
#include "hv/vm/vm.h"

#define PCI_WORDS   64u        /* of a configuration space */
#define PCI_NOBODY  UINT32_MAX /* what is read where nothing answers */
#define PCI_NOWHERE UINT64_MAX /* a BAR that the guest cannot reach */

enum { ID = 0x00, COMMAND = 0x04, CACHE = 0x0c, BARS = 0x10, LINE = 0x3c };

#define COMMAND_MEMORY   BIT32(1)
#define COMMAND_MASTER   BIT32(2)
#define COMMAND_INTX_OFF BIT32(10)
#define COMMAND_GUEST    (COMMAND_MEMORY | COMMAND_MASTER)
#define COMMAND_WORK     (BIT32(0) | COMMAND_GUEST) /* and its ports */
#define PCI_WORD         0xffffu /* the upper half is a status, of which a 1 clears bits */

#define POWER_CONTROL 0x04u /* from the begin of its capability */
#define POWER_STATE   3u
#define POWER_D3      3u

/* Of the first word of the capabilities for messages. */
#define PCI_MSI_ON  BIT32(16)
#define PCI_MSIX_ON BIT32(31)

/* Milliseconds, by the specifications; what is late may take a second. */
#define POWER_MS 10u
#define BUS_MS   2u
#define RESET_MS 100u
#define LATE_MS  1000u
#define LOOK_MS  10u

/* How a function is reset, the gentlest way first. */
enum pci_way { PCI_BY_FLR, PCI_BY_POWER, PCI_WITH_BUS };

struct vm_pci {
    struct boot_pci f;
    uint32_t port; /* above it, for a reset of the bus */
    struct boot_pci_pages held[BOOT_PCI_HELD];
    uint32_t saved[PCI_WORDS];   /* as the firmware left it */
    uint64_t gpa[BOOT_PCI_BARS]; /* in the guest's tables, or PCI_NOWHERE */
    uint32_t command;            /* COMMAND_GUEST, as the guest wants it */
    enum pci_messages messages;
    uint64_t busy_until; /* host TSC: it is being reset, or wakes up; 0 = it is not */
    uint64_t late_since; /* it should have been back then, and was not; 0 = it was */
    bool there;          /* in this run */
    enum pci_way way;    /* the gentlest that there is, until that has failed */
    /* A constant text: what was wrong after its last reset. NULL: it has been reset, and nobody has
     * had it since. */
    const char *fault;
};

static inline uint32_t pci_get(const struct vm_pci *p, uint32_t reg) {
    return plat_pci_read(p->f.function, reg);
}

static inline void pci_put(const struct vm_pci *p, uint32_t reg, uint32_t value) {
    plat_pci_write(p->f.function, reg, value);
}

static inline uint64_t pci_ticks(uint32_t ms) {
    return ms * plat_tsc_hz() / 1000;
}

static inline const char *pci_name(const struct vm_pci *p, char buf[FMT_PCI_SIZE]) {
    return fmt_pci(buf, p->f.function);
}

static inline bool pci_has_flr(const struct vm_pci *p) {
    return p->f.flr || p->f.af_flr;
}

/* Tells of an IOMMU that has not done what it was told, if it has not. */
void pci_tell_iommu(struct vm *vm, uint32_t function, enum status s);
/* No interrupt of the device's comes past the core any more by this. */
void pci_end_posts(struct vm *vm, struct vm_irq *irq);
/* Nothing that it starts from here on reaches memory; what it had begun may still end. */
void pci_quiesce(struct vm_pci *p);
void pci_set_power(const struct vm_pci *p, uint32_t state);
void pci_begin_flr(const struct vm_pci *p);
/* What the firmware had set is lost by a reset, and is written again. */
void pci_restore(const struct vm_pci *p);
/* Reads back what that made of it: NULL, or what is wrong. */
const char *pci_look(const struct vm_pci *p);
/* Out of a run: all of the VM's, which wait for the same time. Then `fault` tells how each is. */
void pci_reset_all(struct vm *vm);
/* They have been reset, nobody has had them since, and each still looks like it. */
bool pci_all_clean(const struct vm *vm);

/*
 * The guest's, with pages as large as its tables for BARs at gpa have: those are there from the
 * start, so that nothing is allocated. Above 4 GiB they are of 2 MiB. A larger one would have to
 * stand in the table above, which the root with the APIC's page may have a copy of.
 */
static inline struct pagetable pci_tables(const struct vm *vm, uint64_t gpa) {
    struct pagetable t = vm->npt;

    t.max_level = gpa >= PLAN_HIGH_RAM ? 2 : 1;
    return t;
}

/* A BAR at its gpa in the guest's tables, all but the held pages; or no longer. */
void pci_map(struct vm *vm, const struct vm_pci *p, unsigned bar, bool on);
void pci_unmap_all(struct vm *vm, struct vm_pci *p);
