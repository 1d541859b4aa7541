/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is the same in each VMCS: what it says of the host, and how it becomes the current one. Used
 * by those who fill one in, the guest's (state.c) and the compartment's (compartment.c).
 * Source: Intel SDM vol. 3 "Host-State Area", "VMPTRLD", "VMCLEAR".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/vmx/vmcs.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/lib/phys.h"

/* Zero in every VMCS: page-fault masks, CR3 targets, MSR lists, pending events, host SYSENTER,
 * host null selectors and FS base, and the guest's like. */
static const uint16_t vmx_zero_fields[] = {
    VMCS_CODE_PAGE_FAULT_MASK,
    VMCS_CODE_PAGE_FAULT_MATCH,
    VMCS_CODE_CR3_TARGET_COUNT,
    VMCS_CODE_EXIT_MSR_STORE_COUNT,
    VMCS_CODE_EXIT_MSR_LOAD_COUNT,
    VMCS_CODE_ENTRY_MSR_LOAD_COUNT,
    VMCS_CODE_ENTRY_EVENT,
    VMCS_CODE_HOST_ES,
    VMCS_CODE_HOST_DS,
    VMCS_CODE_HOST_FS,
    VMCS_CODE_HOST_GS,
    VMCS_CODE_HOST_SYSENTER_CS,
    VMCS_CODE_HOST_FS_BASE,
    VMCS_CODE_HOST_GS_BASE,
    VMCS_CODE_HOST_SYSENTER_ESP,
    VMCS_CODE_HOST_SYSENTER_EIP,
    VMCS_CODE_GUEST_DEBUGCTL,
    VMCS_CODE_GUEST_INTERRUPTIBILITY,
    VMCS_CODE_GUEST_ACTIVITY,
    VMCS_CODE_GUEST_PENDING_DEBUG,
    VMCS_CODE_GUEST_SYSENTER_CS,
    VMCS_CODE_GUEST_SYSENTER_ESP,
    VMCS_CODE_GUEST_SYSENTER_EIP,
};

/* Chosen here, so that CPUs without the flaw pay nothing at their exits. */
static uint64_t vmx_host_rip(void) {
    if (mitigate_wants(MITIGATE_BHB_LOOP)) {
        return (uintptr_t)vmx_exit_entry_bhb;
    }
    if (mitigate_wants(MITIGATE_PBRSB)) {
        return (uintptr_t)vmx_exit_entry_pbrsb;
    }
    return (uintptr_t)vmx_exit_entry;
}

void vmx_write_host_state(void) {
    const struct cpu *cpu = cpu_current();
    const struct {
        uint16_t code;
        uint64_t value;
    } fields[] = {
        {VMCS_CODE_HOST_CS, SELECTOR_CODE},
        {VMCS_CODE_HOST_SS, SELECTOR_DATA},
        {VMCS_CODE_HOST_TR, SELECTOR_TSS},
        {VMCS_CODE_HOST_PAT, msr_read(X86_MSR_PAT)},
        {VMCS_CODE_HOST_EFER, msr_read(X86_MSR_EFER)},
        {VMCS_CODE_HOST_CR0, cr0_read()},
        {VMCS_CODE_HOST_CR3, cr3_read()},
        {VMCS_CODE_HOST_CR4, cr4_read()},
        {VMCS_CODE_HOST_TR_BASE, (uintptr_t)&cpu->tss},
        {VMCS_CODE_HOST_GDTR_BASE, (uintptr_t)cpu->gdt},
        {VMCS_CODE_HOST_IDTR_BASE, (uintptr_t)idt_gates},
        {VMCS_CODE_HOST_RIP, vmx_host_rip()},
    };
    for (size_t i = 0; i < ARRAY_SIZE(vmx_zero_fields); i++) {
        vmcs_write_raw(vmx_zero_fields[i], 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        vmcs_write_raw(fields[i].code, fields[i].value);
    }
}

void vmx_load_cleared(uint32_t *vmcs) {
    hpa_t hpa = phys_address(vmcs);
    bool failed;
    vmcs[0] = vmx_caps.revision;
    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(hpa.v) : "memory");
    ASSERT(!failed);
    vmx_load(&hpa);
}
