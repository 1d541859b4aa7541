/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which PCI functions a guest can have, and why not the others: a function that Bulkhead itself or
 * the machine needs stays, and so does one that could not be handed over clean, or walled in.
 */
#include "config/pci.h"
#include "hv/abi/bus.h"
#include "hv/lib/range.h"

#define CLASS_MEMORY 0x05u
#define CLASS_BRIDGE 0x06u
#define CLASS_SYSTEM 0x08u
#define SUBCLASS_SD  0x05u /* of the system's: readers of cards are devices like others */
#define APIC_BASE    0xfee00000u
#define IOAPIC_SIZE  PAGE_SIZE
#define ECAM_PER_BUS MIB

/* ---- what lies where ---- */

struct span {
    uint64_t base, size;
};

/* The pages that a base address register takes; empty if it takes none. */
static struct span pages_of(const struct boot_pci_bar *bar) {
    struct span none = {0, 0};
    uint64_t size = bar->size != 0 ? bar->size : 1; /* not asked: there is something */

    if (bar->io || bar->base == 0 || !range_valid(bar->base, size + PAGE_SIZE)) {
        return none;
    }
    uint64_t base = ALIGN_DOWN(bar->base, PAGE_SIZE);
    return (struct span){base, ALIGN_UP(bar->base + size, PAGE_SIZE) - base};
}

static bool overlaps(struct span a, uint64_t base, uint64_t size) {
    return range_overlaps(a.base, a.size, base, size);
}

/* One of the function's registers names that place. */
static bool has_place(const struct boot_pci *f, bool io, uint64_t base, uint64_t size) {
    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        const struct boot_pci_bar *bar = &f->bars[i];
        if (bar->io == io && bar->base != 0 && range_overlaps(bar->base, bar->size, base, size)) {
            return true;
        }
    }
    return false;
}

/* ---- what the machine or Bulkhead needs ---- */

static bool is_chipset(UNUSED const struct boot_info *info, const struct boot_pci *f) {
    uint32_t base = f->class >> 16;
    bool system = base == CLASS_SYSTEM && (f->class >> 8 & 0xff) != SUBCLASS_SD;
    return base == CLASS_BRIDGE || base == CLASS_MEMORY || system;
}

static bool is_bridge(UNUSED const struct boot_info *info, const struct boot_pci *f) {
    return boot_pci_is_bridge(f);
}

static bool has_serial(const struct boot_info *info, const struct boot_pci *f) {
    const struct boot_serial *line = &info->serial;
    bool card = line->source == SERIAL_BY_PCI && f->segment == 0 && line->pci == f->function;
    return line->base != 0 &&
           (card || has_place(f, !line->in_memory, line->base, serial_span(line)));
}

static bool has_screen(const struct boot_info *info, const struct boot_pci *f) {
    for (uint32_t i = 0; i < info->screen_count; i++) {
        if (has_place(f, false, info->screens[i].base.v, info->screens[i].size)) {
            return true;
        }
    }
    return false;
}

static bool has_keyboard(UNUSED const struct boot_info *info, const struct boot_pci *f) {
    return f->keyboard;
}

static bool has_stick(UNUSED const struct boot_info *info, const struct boot_pci *f) {
    return f->stick;
}

/* ---- what could not be walled in, or handed over clean ---- */

static bool is_behind_legacy(const struct boot_info *info, const struct boot_pci *f) {
    for (uint16_t up = f->parent; up != BOOT_PCI_NONE; up = info->pci[up].parent) {
        enum boot_pci_express kind = info->pci[up].express;
        if (kind != BOOT_PCI_ROOT_PORT && kind != BOOT_PCI_UPSTREAM &&
            kind != BOOT_PCI_DOWNSTREAM) {
            return true;
        }
    }
    return false;
}

static bool has_reserved_dma(UNUSED const struct boot_info *info, const struct boot_pci *f) {
    return f->reserved_dma;
}

static bool has_no_reset(UNUSED const struct boot_info *info, const struct boot_pci *f) {
    return !boot_pci_can_reset(f);
}

static bool has_no_iommu(const struct boot_info *info, UNUSED const struct boot_pci *f) {
    bool avoided = (info->config.avoid & BIT32(AVOID_IOMMU)) != 0;
    return info->dma.unit_count == 0 || avoided;
}

static bool is_unsure(const struct boot_info *info, UNUSED const struct boot_pci *f) {
    return info->dma.partial;
}

/* A device that writes an interrupt message itself is held back by remapping alone. */
static bool is_not_remapped(const struct boot_info *info, UNUSED const struct boot_pci *f) {
    return !info->dma.interrupts;
}

static bool is_elsewhere(UNUSED const struct boot_info *info, const struct boot_pci *f) {
    return f->segment != 0;
}

static bool is_incomplete(const struct boot_info *info, UNUSED const struct boot_pci *f) {
    return info->pci_left_out != 0;
}

/* ---- base addresses ---- */

/* So far reach the entries of page tables. */
#define ADDRESSES_END (BIT(52) - PAGE_SIZE)

static bool is_nowhere(UNUSED const struct boot_info *info, const struct boot_pci *f, unsigned i) {
    const struct boot_pci_bar *bar = &f->bars[i];
    return bar->base == 0 || !range_contains(0, ADDRESSES_END, bar->base, bar->size);
}

static bool is_small(UNUSED const struct boot_info *info, const struct boot_pci *f, unsigned i) {
    return f->bars[i].size < PAGE_SIZE;
}

static bool is_taken(const struct boot_info *info, const struct boot_pci *f, unsigned i) {
    struct span bar = pages_of(&f->bars[i]);
    bool taken = bar.size == 0 || boot_is_memory(info, bar.base, bar.size) ||
                 overlaps(bar, APIC_BASE, PAGE_SIZE) ||
                 overlaps(bar, info->hpet_base.v, info->hpet_base.v != 0 ? PAGE_SIZE : 0);

    for (uint32_t n = 0; n < info->ioapic_count; n++) {
        taken = taken || overlaps(bar, info->ioapics[n].base.v, IOAPIC_SIZE);
    }
    for (uint32_t n = 0; n < info->dma.unit_count; n++) {
        const struct boot_iommu *unit = &info->dma.units[n];
        taken = taken || overlaps(bar, unit->base.v, unit->size);
    }
    for (uint32_t n = 0; n < info->ecam_count; n++) {
        const struct boot_ecam *e = &info->ecams[n];
        uint64_t buses = e->last_bus + 1u - e->first_bus;
        taken =
            taken || overlaps(bar, e->base.v + e->first_bus * ECAM_PER_BUS, buses * ECAM_PER_BUS);
    }
    return taken;
}

/* The index of another function that has something in the same pages, or BOOT_PCI_NONE. */
static uint16_t find_sharer(const struct boot_info *info, const struct boot_pci *f, unsigned i) {
    struct span own = pages_of(&f->bars[i]);

    for (uint32_t n = 0; n < info->pci_count; n++) {
        const struct boot_pci *other = &info->pci[n];
        for (unsigned bar = 0; other != f && bar < BOOT_PCI_BARS; bar++) {
            struct span theirs = pages_of(&other->bars[bar]);
            if (overlaps(own, theirs.base, theirs.size)) {
                return (uint16_t)n;
            }
        }
    }
    return BOOT_PCI_NONE;
}

/* Also none of its own. */
static bool has_page_alone(const struct boot_info *info, const struct boot_pci *f, unsigned i) {
    struct span own = pages_of(&f->bars[i]);

    for (unsigned bar = 0; bar < BOOT_PCI_BARS; bar++) {
        struct span other = pages_of(&f->bars[bar]);
        if (bar != i && overlaps(own, other.base, other.size)) {
            return false;
        }
    }
    return f->bars[i].base % PAGE_SIZE == 0 && find_sharer(info, f, i) == BOOT_PCI_NONE;
}

/* What is less than a page and has one to itself is given with it: nobody else answers there. */
static void widen_bars(const struct boot_info *info, struct boot_pci *f) {
    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        struct boot_pci_bar *bar = &f->bars[i];
        bool small = !bar->io && bar->base != 0 && bar->size != 0 && bar->size < PAGE_SIZE;
        if (small && has_page_alone(info, f, i)) {
            bar->size = PAGE_SIZE;
        }
    }
}

static bool is_shared(const struct boot_info *info, const struct boot_pci *f, unsigned i) {
    return find_sharer(info, f, i) != BOOT_PCI_NONE;
}

/* There is no place for it above a guest's memory, which is at a multiple of its size. */
static bool is_beyond(const struct boot_info *info, const struct boot_pci *f, unsigned i) {
    return boot_pci_is_high(f, i) && f->bars[i].size > boot_guest_space(info) / 2;
}

/* All else that it has would be in the guest's window for registers. */
static bool is_large(UNUSED const struct boot_info *info, const struct boot_pci *f) {
    uint64_t left = PCI_DEVICES_SIZE;

    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        bool elsewhere = f->bars[i].io || boot_pci_is_high(f, i);
        uint64_t size = elsewhere ? 0 : f->bars[i].size;
        if (size > left) {
            return true;
        }
        left -= size;
    }
    return false;
}

/* ---- the verdict ---- */

typedef bool function_rule(const struct boot_info *info, const struct boot_pci *f);
typedef bool bar_rule(const struct boot_info *info, const struct boot_pci *f, unsigned bar);

/* What keeps a function from being given, in the order in which it is told: one of the two. */
static const struct rule {
    enum boot_pci_verdict verdict;
    function_rule *function;
    bar_rule *bar; /* of each that is in memory */
} rules[] = {
    {.verdict = BOOT_PCI_BRIDGE, .function = is_bridge},
    {.verdict = BOOT_PCI_CHIPSET, .function = is_chipset},
    {.verdict = BOOT_PCI_SERIAL, .function = has_serial},
    {.verdict = BOOT_PCI_SCREEN, .function = has_screen},
    {.verdict = BOOT_PCI_KEYBOARD, .function = has_keyboard},
    {.verdict = BOOT_PCI_STICK, .function = has_stick},
    {.verdict = BOOT_PCI_BEHIND_LEGACY, .function = is_behind_legacy},
    {.verdict = BOOT_PCI_RESERVED_DMA, .function = has_reserved_dma},
    {.verdict = BOOT_PCI_SEGMENT, .function = is_elsewhere},
    {.verdict = BOOT_PCI_NO_RESET, .function = has_no_reset},
    {.verdict = BOOT_PCI_BAR_NOWHERE, .bar = is_nowhere},
    {.verdict = BOOT_PCI_BAR_SMALL, .bar = is_small},
    {.verdict = BOOT_PCI_BAR_SHARED, .bar = is_shared},
    {.verdict = BOOT_PCI_BAR_TAKEN, .bar = is_taken},
    {.verdict = BOOT_PCI_BARS_LARGE, .function = is_large},
    {.verdict = BOOT_PCI_BAR_BEYOND, .bar = is_beyond},
};

/* What is said of those that are good by themselves; after the groups. */
static const struct rule last_rules[] = {
    {.verdict = BOOT_PCI_INCOMPLETE, .function = is_incomplete},
    {.verdict = BOOT_PCI_NO_IOMMU, .function = has_no_iommu},
    {.verdict = BOOT_PCI_UNSURE, .function = is_unsure},
    {.verdict = BOOT_PCI_NO_REMAPPING, .function = is_not_remapped},
};

/* False, or the verdict is in the function. */
static bool apply(const struct boot_info *info, struct boot_pci *f, const struct rule *rule) {
    bool found = rule->function != NULL && rule->function(info, f);

    for (unsigned i = 0; rule->bar != NULL && !found && i < BOOT_PCI_BARS; i++) {
        bool memory = f->bars[i].size != 0 && !f->bars[i].io;
        found = memory && rule->bar(info, f, i);
        f->bar = (uint8_t)i;
    }
    if (found) {
        f->verdict = rule->verdict;
    }
    return found;
}

static bool apply_all(const struct boot_info *info, struct boot_pci *f, const struct rule *table,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (apply(info, f, &table[i])) {
            return true;
        }
    }
    return false;
}

static void judge_alone(const struct boot_info *info, struct boot_pci *f) {
    f->verdict = BOOT_PCI_ALONE;
    f->because = BOOT_PCI_NONE;
    f->bar = 0;
    if (!apply_all(info, f, rules, ARRAY_SIZE(rules))) {
        return;
    }
    if (f->verdict == BOOT_PCI_BAR_SHARED) {
        f->because = find_sharer(info, f, f->bar);
    }
}

/* No rule of its own keeps it. */
static bool is_good_alone(const struct boot_pci *f) {
    switch (f->verdict) {
    case BOOT_PCI_GROUP:
    case BOOT_PCI_INCOMPLETE:
    case BOOT_PCI_NO_IOMMU:
    case BOOT_PCI_UNSURE:
    case BOOT_PCI_NO_REMAPPING:
    case BOOT_PCI_TOGETHER:
    case BOOT_PCI_ALONE:
        return true;
    case BOOT_PCI_BRIDGE:
    case BOOT_PCI_CHIPSET:
    case BOOT_PCI_SERIAL:
    case BOOT_PCI_SCREEN:
    case BOOT_PCI_KEYBOARD:
    case BOOT_PCI_STICK:
    case BOOT_PCI_BEHIND_LEGACY:
    case BOOT_PCI_RESERVED_DMA:
    case BOOT_PCI_SEGMENT:
    case BOOT_PCI_NO_RESET:
    case BOOT_PCI_BAR_NOWHERE:
    case BOOT_PCI_BAR_SMALL:
    case BOOT_PCI_BAR_SHARED:
    case BOOT_PCI_BAR_TAKEN:
    case BOOT_PCI_BARS_LARGE:
    case BOOT_PCI_BAR_BEYOND:
    default:
        return false;
    }
}

/* The first other member of its group that is no bridge: a good one, or one that is not. */
static uint16_t find_member(const struct boot_info *info, const struct boot_pci *f, bool good) {
    for (uint32_t i = 0; i < info->pci_count; i++) {
        const struct boot_pci *other = &info->pci[i];
        bool member = other != f && other->group == f->group && !boot_pci_is_bridge(other);
        if (member && is_good_alone(other) == good) {
            return (uint16_t)i;
        }
    }
    return BOOT_PCI_NONE;
}

/* One that is good by itself, among the others of its group. */
static void judge_group(const struct boot_info *info, struct boot_pci *f) {
    f->because = find_member(info, f, false);
    if (f->because != BOOT_PCI_NONE) {
        f->verdict = BOOT_PCI_GROUP;
    } else if (!apply_all(info, f, last_rules, ARRAY_SIZE(last_rules)) &&
               find_member(info, f, true) != BOOT_PCI_NONE) {
        f->verdict = BOOT_PCI_TOGETHER;
    }
}

void pci_judge_walls(struct boot_info *info) {
    for (uint32_t i = 0; i < info->pci_count; i++) {
        struct boot_pci *f = &info->pci[i];
        if (is_good_alone(f)) {
            f->verdict = BOOT_PCI_ALONE;
            f->because = BOOT_PCI_NONE;
            judge_group(info, f);
        }
    }
}

void pci_judge_all(struct boot_info *info) {
    for (uint32_t i = 0; i < info->pci_count; i++) {
        widen_bars(info, &info->pci[i]);
    }
    for (uint32_t i = 0; i < info->pci_count; i++) {
        judge_alone(info, &info->pci[i]);
    }
    pci_judge_walls(info);
}
