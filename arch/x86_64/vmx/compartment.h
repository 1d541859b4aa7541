/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run of a vCPU's second context, for the run loop and for upcalls that no exit is the reason
 * of. */
#pragma once

#include "arch/x86_64/vmx/decode.h"
#include "arch/x86_64/vmx/vmx.h"

/* Ends of a run that are not a call: rare, and most of them end the VM. */
void vmx_compartment_details(struct vcpu *v, uint32_t reason, struct vmexit *x);

/* All its calls are made at one place, so where it goes on need not be read. */
static inline __attribute__((always_inline)) bool vmx_compartment_run(struct vcpu *v,
                                                                      struct vmexit *end) {
    const struct vmx_vcpu *s = v->vendor;
    bool called = false;

    vmx_load(&s->compartment_at);
    if (UNLIKELY(!vmx_enter(&v->compartment))) {
        *end = (struct vmexit){.kind = EXIT_ENTRY_FAILED};
    } else {
        uint32_t reason = vmcs_read32(VMCS_EXIT_REASON);
        called = LIKELY(reason == VMX_REASON_VMCALL);
        if (called) {
            vmcs_write64(VMCS_GUEST_RIP, s->compartment_called);
        } else {
            vmx_compartment_details(v, reason, end);
        }
    }
    vmx_load(&s->vmcs_at);
    return called;
}
