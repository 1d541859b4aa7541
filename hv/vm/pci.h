/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real PCI functions that a VM is given: their state, their reset, where their BARs are in the
 * guest's tables, and their interrupts. The guest sees what its compartment makes of them
 * (hv/compartment/pci/passed.c), which asks here by CORE_PCI. Nothing it can ask for reaches beyond
 * the VM: memory is the IOMMU's wall, interrupts are its remapping's, and a function's own
 * registers are written here alone, by a table.
 */
#pragma once

#include "hv/lib/status.h"
#include "hv/plan/boot_pci.h"
#include "hv/vm/plat.h"

struct vcpu;
struct vm;
struct vm_pci;

/* Of all functions of a VM; a CPU has so many vectors for them. */
#define VM_IRQS PLAT_IRQS

/* What a function may raise: the guest's own message, and the entry that lets the host's in. */
struct vm_irq {
    /* Atomic: what is passed on to the guest, the lower half of an address that is one of messages
     * above the data; 0 = nothing. Both are guest-controlled. */
    uint64_t message;
    uint8_t function;
    uint16_t number; /* of the function's messages */
    struct plat_irq entry;
};

/* Once, from the VM's budget; before the plan is kept. The devices are held back. */
MUST_USE enum status vm_pci_create(struct vm *vm);

/* Before a run and after it, on the VM's first CPU, while nothing of the VM runs: resets all, which
 * takes some tenths of a second, and lets them reach the guest's memory, or nothing any more. A
 * device that does not come back from its reset is not there in the run; the log says so. */
void vm_pci_start(struct vm *vm);
void vm_pci_stop(struct vm *vm);

/* A local APIC of the VM may take other messages than before. On its own CPU. */
void vm_pci_reroute(struct vm *vm);

/* CORE_PCI: does what v's exchange page asks for; false if that is nonsense, and the VM is leaving.
 * On v's own CPU. All that is asked may be guest-controlled. */
MUST_USE bool vm_pci_call(struct vcpu *v);
