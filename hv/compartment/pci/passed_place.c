/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns where the BARs of a passed-through function are: the core maps them, and the pages that the
 * compartment holds are on its bus. See passed.h.
 */
#include "hv/compartment/pci/passed.h"

#include "hv/lib/range.h"

#define BAR_WIDE         4u
#define BAR_PREFETCHABLE 8u
#define NOWHERE          UINT64_MAX
#define LARGEST          BIT(47) /* half of what a guest's addresses reach */

static bool passed_holds(const struct abi_pci_held *held, unsigned bar) {
    return held->size != 0 && held->bar == bar;
}

/* ---- placing ---- */

static void passed_remove_held(struct passed *p, unsigned bar, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (passed_holds(&p->abi->held[i], bar)) {
            enum status gone = bus_remove(&p->pci.buses[BUS_MEMORY], &p->dev, i);
            ASSERT(gone == STATUS_OK);
        }
    }
}

/* All of them or none. */
static bool passed_add_held(struct passed *p, unsigned bar) {
    for (unsigned i = 0; i < ABI_PCI_HELD; i++) {
        const struct abi_pci_held *held = &p->abi->held[i];
        if (!passed_holds(held, bar)) {
            continue;
        }
        uint64_t at = p->bars[bar].address + held->offset;
        enum status s = bus_add(&p->pci.buses[BUS_MEMORY], at, held->size, &p->dev, i);
        if (s != STATUS_OK) {
            passed_remove_held(p, bar, i);
            return false;
        }
    }
    return true;
}

static void passed_unplace(struct passed *p, unsigned i) {
    if (p->bars[i].there) {
        p->bars[i].there = false;
        passed_remove_held(p, i, ABI_PCI_HELD);
        (void)passed_ask(p, PCI_CALL_MAP, i, NOWHERE, 0);
    }
}

/* Anywhere among the guest's PCI functions: an OS does not know that this one is real. */
static bool passed_is_low(uint64_t address, uint64_t size) {
    return range_contains(PCI_MEMORY, PCI_MEMORY_SIZE, address, size);
}

/* In the window above 4 GiB: wide ones alone have such addresses. */
static bool passed_is_high(const struct passed *p, uint64_t address, uint64_t size) {
    return range_contains(p->devices->pci_high, p->devices->pci_high_size, address, size);
}

static bool passed_is_in_window(const struct passed *p, unsigned i) {
    uint64_t size = p->abi->bars[i].size;

    return passed_is_low(p->bars[i].address, size) || passed_is_high(p, p->bars[i].address, size);
}

/* Where the core refuses it, it answers nowhere. */
static void passed_place(struct passed *p, unsigned i) {
    struct passed_bar *bar = &p->bars[i];

    if (bar->there || p->abi->bars[i].size == 0 || !passed_is_in_window(p, i) ||
        passed_ask(p, PCI_CALL_MAP, i, bar->address, 0).value == 0) {
        return;
    }
    bar->there = passed_add_held(p, i);
    if (!bar->there) {
        (void)passed_ask(p, PCI_CALL_MAP, i, NOWHERE, 0);
    }
}

void passed_unplace_all(struct passed *p) {
    for (unsigned i = 0; i < ABI_PCI_BARS; i++) {
        passed_unplace(p, i);
    }
}

/* Also those that were refused: what was in their way may be gone. */
void passed_place_all(struct passed *p) {
    for (unsigned i = 0; i < ABI_PCI_BARS && passed_decodes(p); i++) {
        passed_place(p, i);
    }
}

/* ---- registers ---- */

static bool passed_is_upper(const struct passed *p, unsigned i) {
    return i > 0 && p->abi->bars[i - 1].size != 0 && p->abi->bars[i - 1].wide;
}

uint32_t passed_read_bar(const struct passed *p, unsigned i) {
    const struct abi_pci_bar *bar = &p->abi->bars[i];

    if (passed_is_upper(p, i)) {
        return (uint32_t)(p->bars[i - 1].address >> 32);
    }
    uint32_t word = (uint32_t)p->bars[i].address;
    word |= bar->wide ? BAR_WIDE : 0;
    word |= bar->prefetchable ? BAR_PREFETCHABLE : 0;
    return bar->size == 0 ? 0 : word;
}

void passed_write_bar(struct passed *p, unsigned i, uint32_t word) {
    bool upper = passed_is_upper(p, i);
    unsigned which = upper ? i - 1 : i;
    struct passed_bar *bar = &p->bars[which];
    uint64_t size = p->abi->bars[which].size;
    uint64_t wanted = word;

    if (size == 0) {
        return;
    }
    if (upper) {
        wanted = (uint64_t)word << 32 | (uint32_t)bar->address;
    } else if (p->abi->bars[which].wide) {
        wanted = bar->address >> 32 << 32 | word;
    }
    wanted &= ~(size - 1);
    if (wanted != bar->address) {
        passed_unplace(p, which);
        bar->address = wanted;
        passed_place_all(p);
    }
}

/* ---- at a start ---- */

/* The next address in each window. */
struct room {
    uint64_t low, high;
};

/* Wide ones above 4 GiB, where there is room for them. */
static void passed_take_room(struct passed *p, unsigned bar, struct room *room) {
    uint64_t size = p->abi->bars[bar].size;

    if (p->abi->bars[bar].wide && passed_is_high(p, room->high, size)) {
        p->bars[bar].start = room->high;
        room->high += size;
    } else if (range_contains(PCI_DEVICES, PCI_DEVICES_SIZE, room->low, size)) {
        p->bars[bar].start = room->low;
        room->low += size;
    }
}

/* Falling sizes leave no gaps, and each lies at a multiple of its own. */
void passed_find_room(struct passed *all, uint32_t count) {
    struct room room = {PCI_DEVICES, count != 0 ? all->devices->pci_high : 0};

    for (uint64_t size = LARGEST; size >= PAGE_SIZE; size /= 2) {
        for (uint32_t i = 0; i < count * ABI_PCI_BARS; i++) {
            struct passed *p = &all[i / ABI_PCI_BARS];
            unsigned bar = i % ABI_PCI_BARS;
            if (p->abi->bars[bar].size == size) {
                passed_take_room(p, bar, &room);
            }
        }
    }
}
