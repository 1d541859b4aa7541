/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What follows from a function's registers, for whoever hands it on: see boot_pci.h. */
#include "hv/plan/boot_pci.h"

#define MSIX_ENTRY     16u /* bytes */
#define PENDING_VECTOR 64u /* a bit each, by words of 8 bytes */

/* The pages of size bytes at an offset; of size 0 if the BAR has not so many, or is not memory. */
static struct boot_pci_pages pages_at(const struct boot_pci *f, uint8_t bar, uint32_t offset,
                                      uint32_t size) {
    struct boot_pci_pages none = {.size = 0};
    uint64_t end = ALIGN_UP((uint64_t)offset + size, PAGE_SIZE);

    if (bar >= BOOT_PCI_BARS || f->bars[bar].io || end > f->bars[bar].size || end > UINT32_MAX) {
        return none;
    }
    uint32_t begin = (uint32_t)ALIGN_DOWN(offset, PAGE_SIZE);
    return (struct boot_pci_pages){bar, begin, (uint32_t)end - begin};
}

bool boot_pci_held(const struct boot_pci *f, struct boot_pci_pages held[BOOT_PCI_HELD]) {
    const struct boot_pci_msix *m = &f->msix;
    uint32_t words = (m->count + PENDING_VECTOR - 1) / PENDING_VECTOR;
    struct boot_pci_pages table = pages_at(f, m->table_bar, m->table, m->count * MSIX_ENTRY);
    struct boot_pci_pages pending = pages_at(f, m->pending_bar, m->pending, words * 8);

    held[0] = held[1] = (struct boot_pci_pages){.size = 0};
    if (m->count == 0 || table.size == 0 || pending.size == 0) {
        return false;
    }
    uint32_t from = (uint32_t)min_u64(table.offset, pending.offset);
    uint32_t table_end = table.offset + table.size, pending_end = pending.offset + pending.size;
    uint32_t until = (uint32_t)max_u64(table_end, pending_end);
    bool joined = table.bar == pending.bar && until - from <= table.size + pending.size;

    held[0] = joined ? (struct boot_pci_pages){table.bar, from, until - from} : table;
    held[1] = joined ? (struct boot_pci_pages){.size = 0} : pending;
    return true;
}

bool boot_pci_is_high(const struct boot_pci *f, unsigned bar) {
    const struct boot_pci_bar *b = &f->bars[bar];
    bool large = !b->io && b->wide && b->size >= BOOT_PCI_HIGH;
    bool aligned = ((b->size - 1) & (b->size | b->base)) == 0; /* size is a power of two */
    bool msix = f->msix.count != 0 && (f->msix.table_bar == bar || f->msix.pending_bar == bar);

    return large && aligned && !msix;
}

static const struct {
    uint32_t mask, class;
    const char *why;
} keep_dma[] = {
    {.mask = 0xff0000, .class = 0x030000, .why = "display: some show what lies in RAM"},
    {.mask = 0xff0000, .class = 0x060000, .why = "bridges: they forward for others"},
    {.mask = 0xffff00, .class = 0x080000, .why = "I/O APICs: interrupts are writes"},
    {.mask = 0xffff00, .class = 0x080600, .why = "IOMMUs: they hold others back"},
};

bool boot_pci_keeps_dma(uint32_t class) {
    for (unsigned i = 0; i < ARRAY_SIZE(keep_dma); i++) {
        if ((class & keep_dma[i].mask) == keep_dma[i].class) {
            return true;
        }
    }
    return false;
}
