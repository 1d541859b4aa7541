/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves between XMM registers and memory of which a part at least is a device. The registers stay
 * in the CPU across exits: plat_vector_read() and plat_vector_write() reach them. Called by the
 * handler of nested faults.
 * Source: Intel SDM vol. 2 "Exceptions Type 1" to "Type 5", and the instructions' own pages.
 */
#include "hv/exit/operand.h"
#include "hv/vm/plat.h"

/* The CPU looks at these before memory; another vCPU may have changed the code since. */
static bool vector_allowed(struct vcpu *v, const struct fetch *f) {
    bool off = (f->s.cr0 & X86_CR0_EM) != 0 || (f->s.cr4 & X86_CR4_OSFXSR) == 0;
    if (off) {
        vcpu_inject_exception(v, X86_UD, 0);
    } else if ((f->s.cr0 & X86_CR0_TS) != 0) {
        vcpu_inject_exception(v, X86_NM, 0);
        return false;
    }
    return !off;
}

enum action vector_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                           const struct insn *in) {
    const struct access a = {.mem = &in->mem,
                             .size = in->size,
                             .kind = in->writes ? WALK_WRITE : WALK_READ,
                             .aligned = in->aligned};
    unsigned half = in->op == INSN_VECTOR_HIGH ? 1 : 0;
    uint64_t words[2];
    struct operand at;
    if (!vector_allowed(v, f) || !operand_find(v, x, f, in, &a, &at)) {
        return ACTION_RETRY;
    }

    plat_vector_read(in->reg, words);
    if (in->writes) {
        operand_access(v, &at, in->size, true, &words[half]);
    } else {
        if (in->op == INSN_VECTOR) {
            words[1] = 0;
        }
        operand_access(v, &at, in->size, false, &words[half]);
        plat_vector_write(in->reg, words);
    }
    x->insn_len = in->length;
    return ACTION_NEXT;
}
