/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second context of a vCPU on VT-x: a VMCS of its own with its own tables and VPID, in which
 * everything exits that code without privileges would not need. The guest's VMCS is current before
 * and after each function here.
 * Sources: Intel SDM vol. 3 "VM-Execution Control Fields", "Checking and Loading Guest State".
 */
#include "arch/x86_64/vmx/compartment.h"
#include "arch/x86_64/arch.h"
#include "hv/lib/phys.h"
#include "hv/vm/upcall_make.h"

/* Between two contexts, what is posted waits. */
#define PIN_OFF  PIN_POSTED
#define EXIT_OFF EXIT_ACKNOWLEDGE
#define PROC_OFF (PROC_TPR_SHADOW | PROC_IO_BITMAPS | PROC_MSR_BITMAPS)
#define PROC_ON                                                                                    \
    (PROC_INVLPG | PROC_CR3_LOAD | PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE | PROC_MOV_DR | \
     PROC_IO)
#define PROC2_ON                                                                                   \
    (PROC2_EPT | PROC2_DESCRIPTORS | PROC2_VPID | PROC2_WBINVD | PROC2_ENCLS | PROC2_BUS_LOCK)

/* Segments by their attributes: 64-bit code and data of ring 0, a busy TSS, none. */
#define ATTR_CODE 0xa09bu
#define ATTR_DATA 0xc093u
#define ATTR_TSS  0x8bu

static void vmx_compartment_write_controls(const struct vcpu *v) {
    const struct vmx_allowed *proc2 = &vmx_caps.allowed[VMX_PROC2];
    const struct {
        uint16_t code;
        uint64_t value;
    } fields[] = {
        {VMCS_CODE_EPT_POINTER, phys_address(v->vm->compartment.npt.root).v | EPT_POINTER},
        {VMCS_CODE_GUEST_LINK, UINT64_MAX}, /* there is none */
        {VMCS_CODE_TSC_OFFSET, 0},
        {VMCS_CODE_PIN_CONTROLS, vmx_controls[VMX_PIN] & ~PIN_OFF},
        {VMCS_CODE_PROC_CONTROLS, (vmx_controls[VMX_PROC] & ~PROC_OFF) | PROC_ON},
        {VMCS_CODE_EXCEPTION_BITMAP, UINT32_MAX},
        {VMCS_CODE_EXIT_CONTROLS, vmx_controls[VMX_EXIT] & ~EXIT_OFF},
        {VMCS_CODE_ENTRY_CONTROLS, vmx_controls[VMX_ENTRY] | ENTRY_IA32E},
        {VMCS_CODE_PROC2_CONTROLS, (PROC2_ON & proc2->may) | proc2->must},
        {VMCS_CODE_CR0_MASK, UINT64_MAX}, /* CR0 and CR4 are the core's */
        {VMCS_CODE_CR4_MASK, UINT64_MAX},
    };
    vmx_write_host_state();
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        vmcs_write_raw(fields[i].code, fields[i].value);
    }
    if ((proc2->may & PROC2_ENCLS) != 0) {
        vmcs_write64(VMCS_ENCLS_BITMAP, UINT64_MAX); /* all of its leaves */
    }
    if ((vmx_controls[VMX_PROC2] & PROC2_VPID) != 0) {
        vmcs_write16(VMCS_VPID, VMX_VPID_COMPARTMENT);
    }
}

static void vmx_compartment_write_segment(enum hvm_seg seg, uint32_t limit, uint32_t attr) {
    vmcs_write64(VMCS_64(VMCS_NTH(GUEST_BASE0, seg)), 0);
    vmcs_write32(VMCS_32(VMCS_NTH(GUEST_LIMIT0, seg)), limit);
    if (hvm_seg_has_selector(seg)) {
        vmcs_write32(VMCS_32(VMCS_NTH(GUEST_ATTR0, seg)), attr);
        vmcs_write16(VMCS_16(VMCS_NTH(GUEST_SELECTOR0, seg)), 0);
    }
}

/* No IDT: every exception exits before it would need one. */
static void vmx_compartment_write_state(const struct vcpu *v) {
    uint64_t cr0 = (COMPARTMENT_CR0 | vmx_caps.cr0_fixed0) & vmx_caps.cr0_fixed1;
    uint64_t cr4 = (X86_CR4_PAE | (cr4_read() & X86_CR4_MCE) | vmx_caps.cr4_fixed0);
    const struct {
        uint16_t code;
        uint64_t value;
    } fields[] = {
        {VMCS_CODE_GUEST_CR0, cr0},
        {VMCS_CODE_CR0_SHADOW, cr0},
        {VMCS_CODE_GUEST_CR4, cr4 & vmx_caps.cr4_fixed1},
        {VMCS_CODE_CR4_SHADOW, cr4 & vmx_caps.cr4_fixed1},
        {VMCS_CODE_GUEST_CR3, compartment_cr3()},
        {VMCS_CODE_GUEST_EFER, X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE},
        {VMCS_CODE_GUEST_PAT, COMPARTMENT_PAT},
        {VMCS_CODE_GUEST_DR7, COMPARTMENT_DR7},
        {VMCS_CODE_GUEST_RIP, compartment_entry()},
        {VMCS_CODE_GUEST_RSP, compartment_stack_top(v)},
        {VMCS_CODE_GUEST_RFLAGS, X86_RFLAGS_FIXED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        vmcs_write_raw(fields[i].code, fields[i].value);
    }
    vmx_compartment_write_segment(HVM_CS, UINT32_MAX, ATTR_CODE);
    vmx_compartment_write_segment(HVM_SS, UINT32_MAX, ATTR_DATA);
    vmx_compartment_write_segment(HVM_DS, UINT32_MAX, ATTR_DATA);
    vmx_compartment_write_segment(HVM_ES, UINT32_MAX, ATTR_DATA);
    vmx_compartment_write_segment(HVM_FS, UINT32_MAX, ATTR_DATA);
    vmx_compartment_write_segment(HVM_GS, UINT32_MAX, ATTR_DATA);
    vmx_compartment_write_segment(HVM_TR, 0x67, ATTR_TSS);
    vmx_compartment_write_segment(HVM_LDT, 0, SEG_UNUSABLE);
    vmx_compartment_write_segment(HVM_GDT, 0, 0);
    vmx_compartment_write_segment(HVM_IDT, 0, 0);
}

void vmx_compartment_reset(struct vcpu *v) {
    struct vmx_vcpu *s = v->vendor;

    vmx_load_cleared(s->compartment);
    vmx_compartment_write_controls(v);
    vmx_compartment_write_state(v);
    vmx_load(&s->vmcs_at);
    s->compartment_called = compartment_called();

    compartment_reset_context(v, s);
}

void vmx_compartment_set_tsc(struct vcpu *v, uint64_t offset) {
    const struct vmx_vcpu *s = v->vendor;

    vmx_load(&s->compartment_at);
    vmcs_write64(VMCS_TSC_OFFSET, offset);
    vmx_load(&s->vmcs_at);
}

void vmx_compartment_details(struct vcpu *v, uint32_t reason, struct vmexit *x) {
    struct vmx_reason r = vmx_reason_find(vmx_reason_strip(reason));

    *x = (struct vmexit){.kind = (enum exit_kind)r.kind};
    v->compartment_rip = vmcs_read64(VMCS_GUEST_RIP);
    struct vmx_raw raw = {.reason = reason};
    if (x->kind == EXIT_EXCEPTION) {
        raw.event = vmcs_read32(VMCS_EXIT_EVENT);
        raw.event_error = vmcs_read32(VMCS_EXIT_ERROR_CODE);
    } else if (x->kind == EXIT_NESTED_FAULT) {
        raw.qualification = vmcs_read64(VMCS_QUALIFICATION);
        raw.physical = vmcs_read64(VMCS_GUEST_PHYSICAL);
    }
    vmx_decode(&raw, x);
    if (x->kind == EXIT_HOST_NMI) {
        panic_nmi();
    }
}

/* The neutral way, with VT-x's run in place. */
bool vmx_upcall(struct vcpu *v, const struct vmexit *x) {
    return upcall_make(v, x, vmx_compartment_run);
}
