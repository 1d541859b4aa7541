/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each root of a VM's nested tables is to map, said a second time: from the plan, from the
 * words that core and compartment have in common, and from the records of the VM. Must not ask the
 * code that built them.
 */
#include "hv/monitor/audit_vm.h"

#include "hv/exit/exit.h"
#include "hv/lib/phys.h"
#include "hv/lib/range.h"
#include "hv/mem/audit.h"
#include "hv/vm/pci_device.h"
#include "hv/vm/plat.h"

#define LARGEST_AT_LEAST (2 * MIB) /* every CPU with nested tables has these pages */

static SEALED bool audit_small_code; /* as the plan wants it, for the whole machine */

static void audit_vm_begin(struct audit *a, const struct plan *plan, const struct vm *vm) {
    const struct compartment_header *program = (const void *)plat_compartment_image;

    *a = (struct audit){
        .plan = plan,
        .vm = vm->plan,
        .format = hvm->audit_format,
        .largest_page = hvm->npt_max_level == 3 ? GIB : LARGEST_AT_LEAST,
        .small_code = audit_small_code,
        .shared = {phys_address(plat_compartment_image), program->rodata_end},
    };
}

/* Beside the tables: no guest and no compartment reaches what the core believes. */
static bool audit_vm_records(const struct audit *a, const struct vm *vm) {
    bool good = audit_keeps(a, vm, sizeof(*vm));

    for (uint32_t i = 0; good && i < vm->vcpu_count; i++) {
        const struct vcpu *v = &vm->vcpus[i];
        const void *const pages[] = {v->vendor, v->msr_map, v->msr_map_x2apic, v->port_map};
        for (size_t p = 0; good && p < ARRAY_SIZE(pages); p++) {
            good = audit_keeps(a, pages[p], PAGE_SIZE);
        }
    }
    return good;
}

/* Of a BAR, but nothing that is held: where in its window the guest puts it is its own affair,
 * and may change at any time. */
static bool audit_vm_is_bar(const struct boot_pci *f, uint64_t hpa, uint64_t size) {
    struct boot_pci_pages held[BOOT_PCI_HELD];
    bool inside = false;

    (void)boot_pci_held(f, held);
    for (unsigned i = 0; i < BOOT_PCI_BARS; i++) {
        bool memory = !f->bars[i].io;
        inside |= memory && range_contains(f->bars[i].base, f->bars[i].size, hpa, size);
    }
    for (unsigned i = 0; i < BOOT_PCI_HELD; i++) {
        uint64_t base = f->bars[held[i].bar].base + held[i].offset;
        inside = inside && !range_overlaps(base, held[i].size, hpa, size);
    }
    return inside;
}

static bool audit_vm_is_device(const void *of, uint64_t hpa, uint64_t size) {
    const struct vm *vm = of;

    for (uint32_t i = 0; i < vm->plan->pci_count; i++) {
        if (audit_vm_is_bar(&vm->pcis[i].f, hpa, size)) {
            return true;
        }
    }
    return false;
}

/* ---- what each root is to map ---- */

static const uint64_t *audit_vm_guest(struct audit *a, const struct vm *vm) {
    audit_add_ram(a, AUDIT_READ | AUDIT_WRITE | AUDIT_EXECUTE);
    audit_add_pmems(a);
    if (vm->plan->pci_count != 0) { /* no BAR is there before the guest runs */
        a->empty[0] = (struct audit_empty){PCI_MEMORY, PCI_MEMORY_SIZE, PAGE_SIZE};
        a->empty[1] = (struct audit_empty){vm->plan->pci_high.v, vm->plan->pci_high_size, 2 * MIB};
        a->is_device = vm->live ? audit_vm_is_device : NULL;
        a->of = vm;
    }
    a->other =
        (struct audit_frames){phys_address(vm->compartment.region), vm->compartment.region_size};
    return vm->npt.root;
}

/* With the page that the CPU puts its virtual APIC in place of. */
static const uint64_t *audit_vm_xapic(struct audit *a, const struct vm *vm) {
    if (vm->xapic_page == NULL) {
        return NULL;
    }
    (void)audit_vm_guest(a, vm);
    audit_add_piece(a, (struct audit_piece){.gpa = GPA(LAPIC_BASE),
                                            .hpa = phys_address(vm->xapic_page),
                                            .size = PAGE_SIZE,
                                            .access = AUDIT_READ | AUDIT_WRITE});
    return vm->npt_xapic.root;
}

/* A piece of the compartment's span, by its offset there. */
static void audit_vm_add(struct audit *a, uint64_t offset, const uint8_t *host, uint64_t size,
                         unsigned access) {
    audit_add_piece(a, (struct audit_piece){.gpa = GPA(COMPARTMENT_GPA + offset),
                                            .hpa = phys_address(host),
                                            .size = size,
                                            .access = access});
}

/*
 * The compartment's: the guest's RAM, which it does not execute; the program, which it does not
 * write; its region, in the order in which it lies there.
 */
static const uint64_t *audit_vm_compartment(struct audit *a, const struct vm *vm) {
    const struct compartment_header *program = (const void *)plat_compartment_image;
    const uint8_t *region = vm->compartment.region;
    unsigned writable = AUDIT_READ | AUDIT_WRITE;
    uint64_t data = program->bss_end - program->rodata_end;
    uint64_t tables = vm->compartment.tables * PAGE_SIZE;

    audit_add_ram(a, writable);
    audit_add_windows(a);
    audit_vm_add(a, 0, plat_compartment_image, program->text_end, AUDIT_READ | AUDIT_EXECUTE);
    audit_vm_add(a, program->text_end, plat_compartment_image + program->text_end,
                 program->rodata_end - program->text_end, AUDIT_READ);
    audit_vm_add(a, program->rodata_end, region, data, writable);
    audit_vm_add(a, COMPARTMENT_TABLES, region + data, tables, writable);
    region += data + tables;
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        uint64_t slot = COMPARTMENT_SLOTS + i * COMPARTMENT_SLOT;

        audit_vm_add(a, slot + COMPARTMENT_STACK, region, COMPARTMENT_STACK_SIZE, writable);
        region += COMPARTMENT_STACK_SIZE;
        audit_vm_add(a, slot + COMPARTMENT_EXCHANGE, region, PAGE_SIZE, writable);
        region += PAGE_SIZE;
    }
    audit_vm_add(a, COMPARTMENT_DEVICES, region, COMPARTMENT_DEVICES_SIZE, writable);
    if (vm->xapic_page != NULL) {
        a->other = (struct audit_frames){phys_address(vm->xapic_page), PAGE_SIZE};
    }
    return vm->compartment.npt.root;
}

/* Fills in what is to be mapped; NULL: this VM has no such root. */
static const uint64_t *(*const audit_vm_roots[])(struct audit *a, const struct vm *vm) = {
    audit_vm_guest,
    audit_vm_xapic,
    audit_vm_compartment,
};

/* ---- part by part ---- */

static enum status audit_vm_root_part(const struct plan *plan, const struct vm *vm,
                                      struct audit_progress *at, uint32_t steps) {
    struct audit a;
    audit_vm_begin(&a, plan, vm);
    const uint64_t *root = audit_vm_roots[at->root](&a, vm);
    enum status s = STATUS_OK;
    bool done = root == NULL;

    if (root != NULL && !at->place.through) {
        s = audit_tables_part(&a, phys_address(root), &at->place, steps);
    } else if (root != NULL) {
        s = audit_vm_records(&a, vm) ? STATUS_OK : STATUS_INVALID;
        done = true;
    }
    if (done) {
        at->place = (struct audit_place){.gpa = 0};
        at->root++;
    }
    return s;
}

static enum status audit_vm_map_part(const struct vm *vm, struct audit_progress *at) {
    enum status s = audit_policy_map(&vm->vcpus[at->vcpu], at->map);

    at->map++;
    if (at->map == AUDIT_POLICY_MAPS) {
        at->map = 0;
        at->vcpu++;
    }
    at->through = at->vcpu == vm->vcpu_count;
    return s;
}

static enum status audit_vm_part(const struct plan *plan, const struct vm *vm,
                                 struct audit_progress *at, uint32_t steps) {
    if (at->root < ARRAY_SIZE(audit_vm_roots)) {
        return audit_vm_root_part(plan, vm, at, steps);
    }
    return audit_vm_map_part(vm, at);
}

enum status audit_vm(const struct boot_info *info, const struct vm *vm) {
    struct audit_progress at = {.root = 0};
    enum status s = STATUS_OK;

    audit_small_code = plan_small_pages(info);
    while (s == STATUS_OK && !at.through) {
        s = audit_vm_part(info->plan, vm, &at, AUDIT_ALL_STEPS);
    }
    return s;
}

enum status audit_vm_again(const struct vm *vm, struct audit_progress *at, uint32_t steps) {
    return audit_vm_part(NULL, vm, at, steps);
}
