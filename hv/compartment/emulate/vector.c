/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves between XMM registers and memory of which a part at least is a device. The registers are
 * live in the CPU: emulation_ops reaches them. See units.h.
 * Source: Intel SDM vol. 2 "Exceptions Type 1" to "Type 5", and the instructions' own pages.
 */
#include "hv/compartment/emulate/units.h"

/* The CPU looks at these before memory; another vCPU may have changed the code since. */
static bool vector_allowed(struct emulation *e, const struct code *c) {
    bool off = (c->paging.cr0 & X86_CR0_EM) != 0 || (c->paging.cr4 & X86_CR4_OSFXSR) == 0;
    if (off) {
        return emulation_fault(e, X86_UD, 0);
    }
    if ((c->paging.cr0 & X86_CR0_TS) != 0) {
        return emulation_fault(e, X86_NM, 0);
    }
    return true;
}

enum emulated vector_execute(struct emulation *e, const struct code *c, const struct insn *in) {
    const struct access a = {.mem = &in->mem,
                             .size = in->size,
                             .kind = in->writes ? WALK_WRITE : WALK_READ,
                             .aligned = in->aligned};
    unsigned half = in->op == INSN_VECTOR_HIGH ? 1 : 0;
    uint64_t words[2];
    struct operand at;
    if (!vector_allowed(e, c) || !operand_find(e, c, in, &a, &at)) {
        return e->outcome;
    }

    e->ops->get_vector(e->context, in->reg, words);
    if (in->writes) {
        operand_access(e, &at, in->size, true, &words[half]);
    } else {
        if (in->op == INSN_VECTOR) {
            words[1] = 0;
        }
        operand_access(e, &at, in->size, false, &words[half]);
        e->ops->set_vector(e->context, in->reg, words);
    }
    e->exit->insn_len = in->length;
    return EMULATED_NEXT;
}
