/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions and PUSH or POP of memory, of which one side at least is a device or a port.
 * Owns their counting and stepping; what one element does to the guest is as on the CPU: a fault
 * leaves the registers where the elements before it have led. Called by the handlers of nested
 * faults and port I/O.
 * Source: Intel SDM vol. 2 "REP/REPE/REPZ/REPNE/REPNZ" and the instructions' own pages.
 */
#include "hv/exit/mmio_op.h"

/* Elements in one exit; then the guest's CPU may look for interrupts, and goes on where it was. */
#define STRING_LIMIT 64

/* One IN or OUT without the string around it. */
static uint64_t string_port(struct vcpu *v, const struct vmexit *x, uint64_t value) {
    struct vmexit one = *x;
    uint64_t rax = v->regs[X86_RAX];
    one.io.flags &= IO_IN;
    v->regs[X86_RAX] = value;
    (void)exit_io(v, &one);
    value = v->regs[X86_RAX];
    v->regs[X86_RAX] = rax;
    return value;
}

/* Moves one element; from NULL it is in RAX or the port, and to NULL goes there. False if it ends
 * in a fault, with nothing done. */
static bool string_move(struct vcpu *v, const struct vmexit *x, const struct fetch *f,
                        const struct insn *in, const struct insn_memory *from,
                        const struct insn_memory *to) {
    uint64_t value = v->regs[X86_RAX] & operand_mask(in->size);
    struct operand source, destination;
    if ((from != NULL && !operand_find(v, x, f, in, from, in->size, WALK_READ, &source)) ||
        (to != NULL && !operand_find(v, x, f, in, to, in->size, WALK_WRITE, &destination))) {
        return false;
    }
    if (from != NULL) {
        operand_access(v, &source, in->size, false, &value);
    }
    if (in->op >= INSN_INS) {
        value = string_port(v, x, value);
    }
    if (to != NULL) {
        operand_access(v, &destination, in->size, true, &value);
    }
    return true;
}

enum action string_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                           const struct insn *in) {
    const struct insn_memory edi = {.segment = in->mode == 64 ? INSN_DS : INSN_ES,
                                    .base = X86_RDI,
                                    .index = INSN_NO_REG,
                                    .address_size = in->mem.address_size};
    const struct insn_memory *from = in->op == INSN_MOVS || in->op == INSN_OUTS ? &in->mem : NULL;
    const struct insn_memory *to = in->op != INSN_OUTS ? &edi : NULL;
    unsigned width = in->mem.address_size;
    uint64_t mask = operand_mask(width), flags = f->s.rflags, *regs = v->regs;
    uint64_t step = (flags & X86_RFLAGS_DF) != 0 ? 0 - (uint64_t)in->size : in->size;
    unsigned left = (flags & X86_RFLAGS_TF) != 0 ? 1 : STRING_LIMIT;
    bool more = in->rep == 0 || (regs[X86_RCX] & mask) != 0;
    for (; more && left != 0; left--) {
        if (!string_move(v, x, f, in, from, to)) {
            return ACTION_RETRY;
        }
        if (from != NULL) {
            operand_set(&regs[X86_RSI], width, regs[X86_RSI] + step);
        }
        if (to != NULL) {
            operand_set(&regs[X86_RDI], width, regs[X86_RDI] + step);
        }
        if (in->rep != 0) {
            operand_set(&regs[X86_RCX], width, regs[X86_RCX] - 1);
        }
        more = in->rep != 0 && (regs[X86_RCX] & mask) != 0;
    }
    /* In the middle no instruction breakpoint may come again: SDM "Resume Flag". */
    hvm->set(v, HVM_RFLAGS, more ? flags | X86_RFLAGS_RF : flags & ~X86_RFLAGS_RF);
    x->insn_len = more ? 0 : in->length;
    return ACTION_NEXT;
}

enum action stack_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                          const struct insn *in) {
    struct hvm_segment ss;
    hvm->get_segment(v, HVM_SS, &ss);
    bool push = in->op == INSN_PUSH;
    uint8_t width = in->mode == 64 ? 8 : (ss.attr & SEG_BIG) != 0 ? 4 : 2;
    /* The address of POP's operand is computed with RSP as it is then: below that is the stack. */
    const struct insn_memory stack = {.segment = INSN_SS,
                                      .base = X86_RSP,
                                      .index = INSN_NO_REG,
                                      .address_size = width,
                                      .disp = 0 - (uint64_t)in->size};
    uint64_t rsp = v->regs[X86_RSP];
    operand_set(&rsp, width, push ? rsp - in->size : rsp + in->size);
    if (!push) {
        v->regs[X86_RSP] = rsp;
    }
    if (!string_move(v, x, f, in, push ? &in->mem : &stack, push ? &stack : &in->mem)) {
        return ACTION_RETRY;
    }
    hvm->set(v, HVM_RSP, rsp);
    x->insn_len = in->length;
    return ACTION_NEXT;
}
