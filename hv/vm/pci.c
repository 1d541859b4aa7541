/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns a VM's real PCI functions from one run to the next: who reaches memory, where BARs are in
 * the guest's tables. See pci.h; what the compartment asks for is pci_call.c's.
 */
#include "hv/vm/pci_device.h"

/* ---- creation ---- */

static void pci_init(struct vm_pci *p, const struct boot_pci *functions, uint16_t index) {
    p->f = functions[index];
    p->port = p->f.parent != BOOT_PCI_NONE ? functions[p->f.parent].function : 0;
    (void)boot_pci_held(&p->f, p->held);
    p->way = p->f.pm_reset ? PCI_BY_POWER : PCI_WITH_BUS;
    p->way = pci_has_flr(p) ? PCI_BY_FLR : p->way;
    p->fault = "it was not reset so far";
    for (uint32_t i = 0; i < PCI_WORDS; i++) {
        p->saved[i] = pci_get(p, 4 * i);
    }
    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        p->gpa[i] = PCI_NOWHERE;
    }
}

enum status vm_pci_create(struct vm *vm) {
    uint32_t count = vm->plan->pci_count;

    if (count == 0) {
        return STATUS_OK;
    }
    vm->pcis = pool_alloc(&vm->pool, count * sizeof(*vm->pcis));
    vm->irqs = pool_alloc(&vm->pool, VM_IRQS * sizeof(*vm->irqs));
    if (vm->pcis == NULL || vm->irqs == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        pci_init(&vm->pcis[i], vm->plan->functions, vm->plan->pcis[i]);
    }
    /* Without, each start says so: all else of the guest can run. */
    enum status s = plat_dma_make(vm->plan, vm->public->name, &vm->pool, &vm->dma);
    vm->walled = s == STATUS_OK;
    if (!vm->walled) {
        vm_log(vm, LOG_ERROR, "its PCI devices cannot be walled in: %s" MSG(3065), status_name(s));
    }
    return STATUS_OK;
}

/* ---- a run's begin and end ---- */

void pci_tell_iommu(struct vm *vm, uint32_t function, enum status s) {
    char address[FMT_PCI_SIZE];

    uint32_t suppressed;

    if (s != STATUS_OK && log_limit_pass(&vm->log_limit, &suppressed)) {
        vm_log(vm, LOG_ERROR, "PCI %s: the IOMMU does not do as it is told: %s" MSG(3066),
               fmt_pci(address, function), status_name(s));
    }
}

static bool pci_allow(struct vm *vm, struct vm_pci *p, bool allow) {
    enum status s = plat_dma_allow(p->f.function, vm->dma, allow);

    pci_tell_iommu(vm, p->f.function, s);
    return s == STATUS_OK;
}

void pci_end_posts(struct vm *vm, struct vm_irq *irq) {
    const struct plat_aim to_core = {.cpu = irq->entry.aim.cpu};

    if (irq->entry.aim.descriptor != NULL || (irq->entry.made && !irq->entry.settled)) {
        uint32_t function = irq->entry.function;
        unsigned number = (unsigned)(irq - vm->irqs);
        pci_tell_iommu(vm, function, plat_irq_allow(&irq->entry, function, number, &to_core));
    }
}

static const char *const pci_ways[] = {
    [PCI_BY_FLR] = "function-level reset",
    [PCI_BY_POWER] = "reset by its power state",
    [PCI_WITH_BUS] = "reset with its bus",
};

/* From here on its run may leave anything in it. */
static void pci_hand_over(struct vm *vm, struct vm_pci *p) {
    char address[FMT_PCI_SIZE];

    if (p->fault != NULL) {
        p->there = false;
        vm_log(vm, LOG_ERROR, "PCI %s is withheld: %s" MSG(3067), pci_name(p, address), p->fault);
        return;
    }
    p->fault = "it was not reset after its last run";
    p->there = pci_allow(vm, p, true);
    if (!vm->quiet && p->there) {
        vm_log(vm, LOG_INFO, "has PCI %s (%04x:%04x, %s)", pci_name(p, address), p->f.vendor,
               p->f.device, pci_ways[p->way]);
    }
}

void vm_pci_start(struct vm *vm) {
    if (vm->plan->pci_count == 0) {
        return;
    }
    if (!vm->walled) {
        vm_log(vm, LOG_ERROR,
               "its PCI devices are withheld: no IOMMU that remaps interrupts is on" MSG(3068));
        return;
    }
    if (!pci_all_clean(vm)) {
        pci_reset_all(vm);
    }
    for (struct vm_pci *p = vm->pcis; p < vm->pcis + vm->plan->pci_count; p++) {
        pci_hand_over(vm, p);
    }
}

/* So much of a BAR is mapped without taking host interrupts. */
#define MAP_PIECE (2 * MIB)

static bool pci_map_piece(struct vm *vm, const struct vm_pci *p, unsigned bar, uint64_t from,
                          uint64_t size, bool on) {
    uint64_t gpa = p->gpa[bar] + from;
    struct pagetable t = pci_tables(vm, gpa);
    enum status s = on ? pagetable_map(&t, gpa, HPA(p->f.bars[bar].base + from), size,
                                       PAGE_READ | PAGE_WRITE, PAGE_UC)
                       : pagetable_unmap(&t, gpa, size);
    return s == STATUS_OK;
}

/* The part of a BAR from one offset to another, which is none of the held pages. */
static bool pci_map_part(struct vm *vm, const struct vm_pci *p, unsigned bar, uint64_t from,
                         uint64_t until, bool on) {
    bool good = true;

    for (uint64_t at = from; at < until; at += MAP_PIECE) {
        good = good && pci_map_piece(vm, p, bar, at, min_u64(until - at, MAP_PIECE), on);
        plat_take_interrupts();
    }
    return good;
}

/* Of the held pages a BAR may have two pieces. */
void pci_map(struct vm *vm, const struct vm_pci *p, unsigned bar, bool on) {
    uint64_t from = 0, size = p->f.bars[bar].size;
    bool good = true;

    while (from < size) {
        uint64_t until = size, next = size;
        for (unsigned i = 0; i < BOOT_PCI_HELD; i++) {
            const struct boot_pci_pages *h = &p->held[i];
            if (h->size != 0 && h->bar == bar && h->offset >= from && h->offset < until) {
                until = h->offset;
                next = (uint64_t)h->offset + h->size;
            }
        }
        good = good && pci_map_part(vm, p, bar, from, until, on);
        from = next;
    }
    ASSERT(good);
}

void pci_unmap_all(struct vm *vm, struct vm_pci *p) {
    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        if (p->gpa[i] != PCI_NOWHERE) {
            pci_map(vm, p, i, false);
            p->gpa[i] = PCI_NOWHERE;
        }
    }
}

/* The CPUs of the VM are flushed at its next start. */
void vm_pci_stop(struct vm *vm) {
    struct vm_pci *end = vm->pcis + vm->plan->pci_count;

    if (vm->plan->pci_count == 0 || !vm->walled) {
        return;
    }
    for (struct vm_pci *p = vm->pcis; p < end; p++) {
        pci_quiesce(p);
        (void)pci_allow(vm, p, false);
        pci_unmap_all(vm, p);
    }
    for (unsigned i = 0; i < VM_IRQS; i++) {
        __atomic_store_n(&vm->irqs[i].message, 0, __ATOMIC_RELEASE);
        pci_end_posts(vm, &vm->irqs[i]);
    }
    pci_reset_all(vm);
}

/* A CPU has one VM at most: what comes here is its own, or late. */
void hv_device_interrupt(unsigned number) {
    struct vcpu *v = vcpu_of_cpu[plat_cpu()];
    const struct vm_irq *irq = v != NULL && v->vm->irqs != NULL ? &v->vm->irqs[number] : NULL;
    uint64_t message = irq != NULL ? __atomic_load_n(&irq->message, __ATOMIC_ACQUIRE) : 0;

    if (message != 0) {
        vm_send_msi(v->vm, message >> 32, (uint32_t)message);
    }
}
