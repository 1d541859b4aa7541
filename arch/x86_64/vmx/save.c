/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a VMCS holds of a guest, read field by field into a vCPU's records and written to another
 * one: the format of a VMCS in memory is the CPU's own. What says where the guest's tables and maps
 * are is not among it. The guest's VMCS is current before and after.
 * Source: Intel SDM vol. 3 "Guest-State Area", "VM-Entry Control Fields".
 */
#include "arch/x86_64/arch.h"
#include "arch/x86_64/vmx/vmx.h"
#include "hv/vm/vm.h"

#define ALL_WORDS 0xffu /* of the IRR */

static const uint16_t vmx_saved_fields[] = {
    VMCS_CODE_GUEST_RIP,          VMCS_CODE_GUEST_RSP,
    VMCS_CODE_GUEST_RFLAGS,       VMCS_CODE_GUEST_CR0,
    VMCS_CODE_CR0_SHADOW,         VMCS_CODE_GUEST_CR3,
    VMCS_CODE_GUEST_CR4,          VMCS_CODE_CR4_SHADOW,
    VMCS_CODE_GUEST_DR7,          VMCS_CODE_GUEST_EFER,
    VMCS_CODE_GUEST_PAT,          VMCS_CODE_GUEST_DEBUGCTL,
    VMCS_CODE_GUEST_SYSENTER_CS,  VMCS_CODE_GUEST_SYSENTER_ESP,
    VMCS_CODE_GUEST_SYSENTER_EIP, VMCS_NTH(GUEST_PDPTE0, 0),
    VMCS_NTH(GUEST_PDPTE0, 1),    VMCS_NTH(GUEST_PDPTE0, 2),
    VMCS_NTH(GUEST_PDPTE0, 3),    VMCS_CODE_GUEST_INTERRUPTIBILITY,
    VMCS_CODE_GUEST_ACTIVITY,     VMCS_CODE_GUEST_PENDING_DEBUG,
    VMCS_CODE_TSC_OFFSET,         VMCS_CODE_PROC_CONTROLS, /* windows */
    VMCS_CODE_ENTRY_CONTROLS,     VMCS_CODE_ENTRY_EVENT,
    VMCS_CODE_ENTRY_ERROR_CODE,   VMCS_CODE_ENTRY_INSN_LENGTH,
};

struct vmx_saved {
    uint64_t fields[ARRAY_SIZE(vmx_saved_fields)];
    struct hvm_segment segments[HVM_SEG_COUNT];
};
_Static_assert(sizeof(struct vmx_saved) <= sizeof(((struct vcpu_saved *)0)->guest), "fits");

static void vmx_save_current(struct vcpu *v, void *out) {
    struct vmx_saved *saved = out;

    for (size_t i = 0; i < ARRAY_SIZE(vmx_saved_fields); i++) {
        saved->fields[i] = vmcs_read_raw(vmx_saved_fields[i]);
    }
    for (unsigned seg = 0; seg < HVM_SEG_COUNT; seg++) {
        hvm->get_segment(v, (enum hvm_seg)seg, &saved->segments[seg]);
    }
}

static void vmx_restore_current(struct vcpu *v, const void *in) {
    const struct vmx_saved *saved = in;

    for (size_t i = 0; i < ARRAY_SIZE(vmx_saved_fields); i++) {
        vmcs_write_raw(vmx_saved_fields[i], saved->fields[i]);
    }
    for (unsigned seg = 0; seg < HVM_SEG_COUNT; seg++) {
        hvm->set_segment(v, (enum hvm_seg)seg, &saved->segments[seg]);
    }
}

void vmx_save(struct vcpu *v, struct vcpu_saved *out) {
    const struct vmx_vcpu *s = v->vendor;

    vmx_save_current(v, out->guest);
    vmx_load(&s->compartment_at);
    vmx_save_current(v, out->compartment);
    vmx_load(&s->vmcs_at);
}

/* The rest, which depends on the local APIC, as at any change of its mode. */
void vmx_restore(struct vcpu *v, const struct vcpu_saved *in) {
    struct vmx_vcpu *s = v->vendor;

    vmx_load(&s->compartment_at);
    vmx_restore_current(v, in->compartment);
    vmx_load(&s->vmcs_at);
    vmx_restore_current(v, in->guest);
    s->entry_controls = vmcs_read32(VMCS_ENTRY_CONTROLS);
    hvm->apic_mode(v);
    if (v->lapic.hardware) {
        hvm->apic_update(v, ALL_WORDS, lapic_status(&v->lapic, LAPIC_NONE));
    }
}
