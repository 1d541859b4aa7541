/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run of a vCPU's second context, for the run loop and for upcalls that no exit is the reason
 * of. */
#pragma once

#include "arch/x86_64/svm/svm.h"

#define VMMCALL_LENGTH 3

/* Ends of a run that are not a call: rare, and most of them end the VM. */
void svm_compartment_details(struct vcpu *v, const struct vmcb *c, struct vmexit *x);

/* Until it calls the core, as upcall_make() wants it. */
static inline __attribute__((always_inline)) bool svm_compartment_run(struct vcpu *v,
                                                                      struct vmexit *end) {
    struct vcpu_context *context = &v->compartment;

    svm_enter(context);
    struct vmcb *c = context->vendor;
    c->clean = svm_caps.clean;
    c->tlb_control = 0;
    if (UNLIKELY(c->exit_code != EXIT_CODE_VMMCALL)) {
        svm_compartment_details(v, c, end);
        return false;
    }
    c->rip += VMMCALL_LENGTH;
    return true;
}
