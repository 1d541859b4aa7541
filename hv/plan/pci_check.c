/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks which PCI devices a plan gives away, by brute force and with nothing of config/: each is
 * one that the guest's config names, has one owner, and goes with all that can reach it; its
 * registers in memory are nobody else's. Called by plan_check().
 */
#include "hv/plan/pci_check.h"

#include "hv/lib/fmt.h"

struct checker {
    const struct boot_info *info;
    const struct plan *plan;
    plan_report *report;
    bool bad;
};

static PRINTF_LIKE(2, 3) void refuse(struct checker *c, const char *format, ...) {
    char text[200];
    FMT_ARGUMENTS(text, format);
    c->bad = true;
    c->report(text);
}

/* The VM that is given the function, vm_count if none is. */
static uint32_t owner_of(const struct checker *c, uint32_t index) {
    uint32_t v = 0;
    for (; v < c->plan->vm_count; v++) {
        for (uint32_t i = 0; i < c->plan->vms[v].pci_count; i++) {
            if (c->plan->vms[v].pcis[i] == index) {
                return v;
            }
        }
    }
    return v;
}

static bool is_named(const struct config_guest *g, const struct boot_pci *f) {
    for (uint32_t i = 0; i < g->pci_count; i++) {
        const struct config_pci *want = &g->pcis[i];
        bool id = want->vendor == f->vendor && want->device == f->device;
        bool address = want->segment == f->segment && want->function == f->function;
        if (want->by_id ? id : address) {
            return true;
        }
    }
    return false;
}

/* Nobody's memory, and none of what the hypervisor itself maps. */
static bool is_apart(const struct checker *c, uint64_t first, uint64_t last) {
    const struct boot_info *info = c->info;
    bool apart = last < 0xfee00000 || first > 0xfee00fff;

    for (uint32_t i = 0; i < info->range_count; i++) {
        const struct mem_range *r = &info->ranges[i];
        bool meets = first <= r->base.v + (r->size - 1) && last >= r->base.v;
        apart = apart && (r->kind == MEM_RESERVED || !meets);
    }
    for (uint32_t i = 0; i < info->screen_count; i++) {
        const struct boot_framebuffer *fb = &info->screens[i];
        apart = apart && (last < fb->base.v || first > fb->base.v + (fb->size - 1));
    }
    for (uint32_t i = 0; i < info->ioapic_count; i++) {
        apart =
            apart && (last < info->ioapics[i].base.v || first > info->ioapics[i].base.v + 0xfff);
    }
    for (uint32_t i = 0; i < info->dma.unit_count; i++) {
        const struct boot_iommu *unit = &info->dma.units[i];
        bool unknown = unit->size == 0; /* bhcheck: hardware.toml tells how many there are */
        bool meets = last >= unit->base.v && first <= unit->base.v + (unit->size - 1);
        apart = apart && (unknown || !meets);
    }
    return apart;
}

/* No other function has a register for one of these addresses. */
static bool is_alone(const struct checker *c, uint32_t index, uint64_t first, uint64_t last) {
    for (uint32_t n = 0; n < c->info->pci_count * BOOT_PCI_BARS; n++) {
        const struct boot_pci_bar *bar = &c->info->pci[n / BOOT_PCI_BARS].bars[n % BOOT_PCI_BARS];
        bool there = n / BOOT_PCI_BARS != index && !bar->io && bar->base != 0;
        uint64_t end = bar->size != 0 ? bar->base + (bar->size - 1) : bar->base;
        if (there && first <= (end | 0xfff) && last >= (bar->base & ~0xfffull)) {
            return false;
        }
    }
    return true;
}

static void check_bars(struct checker *c, uint32_t index, const char *owner) {
    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        const struct boot_pci_bar *bar = &c->info->pci[index].bars[i];
        if (bar->io || bar->size == 0) {
            continue;
        }
        uint64_t last = bar->base + (bar->size - 1);
        bool whole = bar->base != 0 && last > bar->base && (bar->base | bar->size) % PAGE_SIZE == 0;
        bool named = last < 0xffffffffff000; /* by an entry of a page table */
        if (!whole || !named || !is_apart(c, bar->base, last) ||
            !is_alone(c, index, bar->base, last)) {
            refuse(c, "PCI function %x of %s: BAR %u at 0x%llx is not its own", index, owner, i,
                   (ull)bar->base);
        }
    }
}

/* Which BARs lie above 4 GiB, said a second time. */
static bool is_high(const struct boot_pci *f, unsigned i) {
    const struct boot_pci_bar *bar = &f->bars[i];
    uint64_t aligned = bar->size != 0 ? bar->base % bar->size : 0;
    bool power = bar->size != 0 && (bar->size & (bar->size - 1)) == 0;
    bool msix = f->msix.count != 0 && (i == f->msix.table_bar || i == f->msix.pending_bar);
    bool memory = bar->wide && !bar->io;

    return memory && power && aligned == 0 && bar->size >= 0x4000000 && !msix;
}

/* What a VM's BARs take in each of their windows, and the largest of those above. */
struct rooms {
    uint64_t low, high, largest;
};

static struct rooms count_rooms(const struct checker *c, const struct plan_vm *vm) {
    struct rooms rooms = {0, 0, 0};
    uint64_t most = BIT(48); /* so large that sums of them do not wrap, and too large for any */

    for (uint32_t n = 0; n < vm->pci_count * BOOT_PCI_BARS; n++) {
        const struct boot_pci *f = &c->info->pci[vm->pcis[n / BOOT_PCI_BARS]];
        const struct boot_pci_bar *bar = &f->bars[n % BOOT_PCI_BARS];
        uint64_t size = bar->io ? 0 : min_u64(bar->size, most);
        if (is_high(f, n % BOOT_PCI_BARS)) {
            rooms.high += size;
            rooms.largest = max_u64(rooms.largest, size);
        } else {
            rooms.low += size;
        }
    }
    return rooms;
}

/* Behind all else that the guest has, and all that its compartment has of its addresses. */
static uint64_t end_of(const struct plan_vm *vm) {
    uint64_t end = 4 * GIB;

    for (uint32_t i = 0; i < vm->region_count; i++) {
        end = max_u64(end, vm->regions[i].gpa.v + vm->regions[i].size);
    }
    for (uint32_t i = 0; i < vm->window_count; i++) {
        end = max_u64(end, vm->windows[i].gpa.v + vm->windows[i].size);
    }
    return end;
}

/* There is room for them in both, and that above is where nothing else is, and in reach. */
static void check_rooms(struct checker *c, const struct plan_vm *vm) {
    struct rooms rooms = count_rooms(c, vm);
    uint64_t base = vm->pci_high.v, size = vm->pci_high_size;
    unsigned bits = c->info->phys_bits > 36 ? c->info->phys_bits : 36;
    uint64_t space = 1ull << (bits < 48 ? bits : 48);
    bool placed = base >= end_of(vm) && base < space && size <= space - base;
    bool whole = (base | size) % GIB == 0 && rooms.high <= size;

    if (rooms.high != 0) {
        placed = placed && whole && base % rooms.largest == 0;
    } else {
        placed = base == 0 && size == 0;
    }
    if (rooms.low > PCI_DEVICES_SIZE || !placed) {
        refuse(c, "%s: the window of its BARs at 0x%llx, size 0x%llx, is not where it may be",
               vm->config->name, (ull)base, (ull)size);
    }
}

/* All that it can reach is the same VM's, or a bridge. */
static void check_group(struct checker *c, uint32_t index, uint32_t v, const char *owner) {
    for (uint32_t i = 0; i < c->info->pci_count; i++) {
        const struct boot_pci *other = &c->info->pci[i];
        if (other->group == c->info->pci[index].group && other->header == 0 &&
            owner_of(c, i) != v) {
            refuse(c, "PCI function %x of %s can reach function %x, which is not its", index, owner,
                   i);
        }
    }
}

/* One that walls in memory and interrupts, of which nothing is unknown. */
static bool has_iommu(const struct boot_info *info) {
    return info->dma.unit_count != 0 && info->dma.interrupts && !info->dma.partial &&
           (info->config.avoid >> AVOID_IOMMU & 1) == 0;
}

static void check_function(struct checker *c, uint32_t v, uint32_t index) {
    const struct boot_pci *f = &c->info->pci[index];
    const char *owner = c->plan->vms[v].config->name;
    bool reset = f->flr || f->af_flr || f->pm_reset || f->bus_reset;
    bool kept = f->keyboard || f->stick || f->reserved_dma || f->header != 0 || f->segment != 0;

    if (!is_named(c->plan->vms[v].config, f) || owner_of(c, index) != v) {
        refuse(c, "PCI function %x of %s is another's, or its config does not name it", index,
               owner);
    }
    if (!reset || kept || !has_iommu(c->info) || c->info->pci_left_out != 0) {
        refuse(c, "PCI function %x of %s cannot be given to a guest", index, owner);
    }
    check_group(c, index, v, owner);
    check_bars(c, index, owner);
}

bool pci_has_pages(const struct boot_info *info, const struct plan_vm *vm, uint64_t base,
                   uint64_t size) {
    for (uint32_t i = 0; i < vm->pci_count && i < CONFIG_MAX_PCI; i++) {
        if (vm->pcis[i] >= info->pci_count) {
            return false;
        }
        for (unsigned n = 0; n < BOOT_PCI_BARS; n++) {
            const struct boot_pci_bar *bar = &info->pci[vm->pcis[i]].bars[n];
            bool whole = !bar->io && base >= bar->base && size <= bar->size &&
                         base - bar->base <= bar->size - size;
            if (whole) {
                return true;
            }
        }
    }
    return false;
}

bool pci_check(const struct boot_info *info, const struct plan *plan, plan_report *report) {
    struct checker c = {.info = info, .plan = plan, .report = report};

    for (uint32_t v = 0; v < plan->vm_count; v++) {
        const struct plan_vm *vm = &plan->vms[v];
        uint32_t wanted = info->pci_listed ? vm->config->pci_count : 0;
        if (vm->pci_count != wanted || wanted > CONFIG_MAX_PCI || info->pci_count > BOOT_MAX_PCI) {
            refuse(&c, "%s has not the PCI devices of its config", vm->config->name);
            return false;
        }
        for (uint32_t i = 0; i < vm->pci_count; i++) {
            bool twice = false;
            for (uint32_t j = 0; j < i; j++) {
                twice = twice || vm->pcis[j] == vm->pcis[i];
            }
            if (twice || vm->pcis[i] >= info->pci_count) {
                refuse(&c, "PCI function %x of %s is there twice, or not at all", vm->pcis[i],
                       vm->config->name);
                return false;
            }
        }
    }
    for (uint32_t v = 0; v < plan->vm_count; v++) {
        for (uint32_t i = 0; i < plan->vms[v].pci_count; i++) {
            check_function(&c, v, plan->vms[v].pcis[i]);
        }
        check_rooms(&c, &plan->vms[v]);
    }
    return !c.bad;
}
