/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps a vCPU's VMCS in a state that the CPU enters, and says what is wrong with one that it
 * refused. The rules are entry.c's; here they meet the VMCS.
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/vmx/decode.h"
#include "arch/x86_64/vmx/entry.h"
#include "arch/x86_64/vmx/vmx.h"

static vmcs64_t pdpte_field(unsigned i) {
    return VMCS_64(VMCS_NTH(GUEST_PDPTE0, i));
}

static void entry_state_read(struct vcpu *v, struct vmx_entry_state *s) {
    *s = (struct vmx_entry_state){
        .cr0 = vmcs_read64(VMCS_GUEST_CR0),
        .cr4 = vmcs_read64(VMCS_GUEST_CR4),
        .efer = vmcs_read64(VMCS_GUEST_EFER),
        .rflags = vmcs_read64(VMCS_GUEST_RFLAGS),
        .dr7 = hvm->get(v, HVM_DR7),
        .pending_debug = vmcs_read64(VMCS_GUEST_PENDING_DEBUG),
        .interruptibility = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY),
        .activity = vmcs_read32(VMCS_GUEST_ACTIVITY),
        .event = vmcs_read32(VMCS_ENTRY_EVENT),
        .entry_controls = vmcs_read32(VMCS_ENTRY_CONTROLS),
        .phys_bits = cpu_phys_bits(),
    };
    for (unsigned i = 0; i < ARRAY_SIZE(s->pdptes); i++) {
        s->pdptes[i] = vmcs_read64(pdpte_field(i));
    }
    for (unsigned i = 0; i < HVM_GDT; i++) {
        struct hvm_segment segment;
        hvm->get_segment(v, (enum hvm_seg)i, &segment);
        s->attr[i] = segment.attr;
    }
}

/* What vmx_entry_mend() may change, but for the event, which the caller sends in. */
static void entry_state_write(struct vcpu *v, const struct vmx_entry_state *s) {
    vmcs_write64(VMCS_GUEST_RFLAGS, s->rflags);
    vmcs_write64(VMCS_GUEST_PENDING_DEBUG, s->pending_debug);
    vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, s->interruptibility);
    vmcs_write32(VMCS_GUEST_ACTIVITY, s->activity);
    hvm->set(v, HVM_DR7, s->dr7);
    for (unsigned i = 0; i < ARRAY_SIZE(s->pdptes); i++) {
        vmcs_write64(pdpte_field(i), s->pdptes[i]);
    }
}

void vmx_end_shadow(UNUSED struct vcpu *v) {
    uint32_t state = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
    vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, state & ~VMX_SHADOW);
    vmcs_write64(VMCS_GUEST_PENDING_DEBUG, 0);
}

const char *vmx_refusal(struct vcpu *v) {
    struct vmx_entry_state s;
    if ((vmcs_read32(VMCS_EXIT_REASON) & VMX_REASON_FAILED) == 0) {
        return "its controls or the host's state, see insn-error";
    }
    entry_state_read(v, &s);
    const char *rule = vmx_entry_rule(&s);
    return rule != NULL ? rule : "a rule that Bulkhead does not check";
}

bool vmx_make_enterable(struct vcpu *v) {
    struct vmx_entry_state s;
    entry_state_read(v, &s);
    vmx_entry_mend(&s);
    entry_state_write(v, &s);
    return vmx_entry_rule(&s) == NULL;
}
