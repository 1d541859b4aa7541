/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each root of a VM's nested tables is to map, said a second time: from the plan, from the
 * words that core and compartment have in common, and from the records of the VM. Must not ask the
 * code that built them.
 */
#include "hv/monitor/audit_vm.h"

#include "hv/exit/exit.h"
#include "hv/lib/phys.h"
#include "hv/mem/audit.h"
#include "hv/vm/plat.h"

#define LARGEST_AT_LEAST (2 * MIB) /* every CPU with nested tables has these pages */

static SEALED bool audit_small_code; /* as the plan wants it, for the whole machine */

static struct audit audit_vm_begin(const struct plan *plan, const struct vm *vm) {
    const struct compartment_header *program = (const void *)plat_compartment_image;

    return (struct audit){
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

static bool audit_vm_root(struct audit *a, const struct vm *vm, const uint64_t *root) {
    return audit_tables(a, phys_address(root)) == STATUS_OK && audit_vm_records(a, vm);
}

/* The guest's, without and with the page that the CPU puts its virtual APIC in place of. */
static bool audit_vm_guest(const struct plan *plan, const struct vm *vm) {
    struct audit a = audit_vm_begin(plan, vm);

    audit_add_ram(&a, AUDIT_READ | AUDIT_WRITE | AUDIT_EXECUTE);
    audit_add_pmems(&a);
    if (vm->plan->pci_count != 0) { /* no BAR is there before the guest runs */
        a.empty = PCI_DEVICES;
        a.empty_size = PCI_DEVICES_SIZE;
    }
    a.other =
        (struct audit_frames){phys_address(vm->compartment.region), vm->compartment.region_size};
    if (!audit_vm_root(&a, vm, vm->npt.root)) {
        return false;
    }
    if (vm->xapic_page == NULL) {
        return true;
    }
    audit_add_piece(&a, (struct audit_piece){.gpa = GPA(LAPIC_BASE),
                                             .hpa = phys_address(vm->xapic_page),
                                             .size = PAGE_SIZE,
                                             .access = AUDIT_READ | AUDIT_WRITE});
    return audit_vm_root(&a, vm, vm->npt_xapic.root);
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
static bool audit_vm_compartment(const struct plan *plan, const struct vm *vm) {
    struct audit a = audit_vm_begin(plan, vm);
    const struct compartment_header *program = (const void *)plat_compartment_image;
    const uint8_t *region = vm->compartment.region;
    unsigned writable = AUDIT_READ | AUDIT_WRITE;
    uint64_t data = program->bss_end - program->rodata_end;
    uint64_t tables = vm->compartment.tables * PAGE_SIZE;

    audit_add_ram(&a, writable);
    audit_add_windows(&a);
    audit_vm_add(&a, 0, plat_compartment_image, program->text_end, AUDIT_READ | AUDIT_EXECUTE);
    audit_vm_add(&a, program->text_end, plat_compartment_image + program->text_end,
                 program->rodata_end - program->text_end, AUDIT_READ);
    audit_vm_add(&a, program->rodata_end, region, data, writable);
    audit_vm_add(&a, COMPARTMENT_TABLES, region + data, tables, writable);
    region += data + tables;
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        uint64_t slot = COMPARTMENT_SLOTS + i * COMPARTMENT_SLOT;

        audit_vm_add(&a, slot + COMPARTMENT_STACK, region, COMPARTMENT_STACK_SIZE, writable);
        region += COMPARTMENT_STACK_SIZE;
        audit_vm_add(&a, slot + COMPARTMENT_EXCHANGE, region, PAGE_SIZE, writable);
        region += PAGE_SIZE;
    }
    audit_vm_add(&a, COMPARTMENT_DEVICES, region, PAGE_SIZE, writable);
    if (vm->xapic_page != NULL) {
        a.other = (struct audit_frames){phys_address(vm->xapic_page), PAGE_SIZE};
    }
    return audit_vm_root(&a, vm, vm->compartment.npt.root);
}

static enum status audit_vm_all(const struct plan *plan, const struct vm *vm) {
    if (!audit_vm_guest(plan, vm) || !audit_vm_compartment(plan, vm)) {
        return STATUS_INVALID;
    }
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        if (audit_policy(&vm->vcpus[i]) != STATUS_OK) {
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}

enum status audit_vm(const struct boot_info *info, const struct vm *vm) {
    audit_small_code = plan_small_pages(info);
    return audit_vm_all(info->plan, vm);
}

enum status audit_vm_again(const struct vm *vm) {
    return audit_vm_all(NULL, vm);
}
