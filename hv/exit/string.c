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

#define REPE    0xf3
#define FLAG_ZF BIT(6)

enum string_use { SOURCE = 1, DESTINATION = 2, STORE = 4, COMPARE = 8 };
static const uint8_t string_uses[] = {
    [INSN_MOVS] = SOURCE | DESTINATION | STORE,
    [INSN_CMPS] = SOURCE | DESTINATION | COMPARE,
    [INSN_STOS] = DESTINATION | STORE,
    [INSN_LODS] = SOURCE,
    [INSN_SCAS] = DESTINATION | COMPARE,
    [INSN_INS] = DESTINATION | STORE,
    [INSN_OUTS] = SOURCE,
};

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

/* One element; false if it ends in a fault. */
static bool string_step(struct vcpu *v, const struct vmexit *x, const struct fetch *f,
                        const struct insn *in, uint64_t *flags) {
    const struct insn_memory to = {.segment = in->mode == 64 ? INSN_DS : INSN_ES,
                                   .base = X86_RDI,
                                   .index = INSN_NO_REG,
                                   .address_size = in->mem.address_size};
    unsigned uses = string_uses[in->op];
    uint64_t value = v->regs[X86_RAX] & UINT64_MAX >> (64 - 8 * in->size), other = 0;
    struct operand source, destination;
    if (((uses & SOURCE) != 0 &&
         !operand_find(v, x, f, in, &in->mem, in->size, WALK_READ, &source)) ||
        ((uses & DESTINATION) != 0 &&
         !operand_find(v, x, f, in, &to, in->size, (uses & STORE) != 0 ? WALK_WRITE : WALK_READ,
                       &destination))) {
        return false;
    }
    if ((uses & SOURCE) != 0) {
        operand_access(v, &source, in->size, false, &value);
    }
    if (in->op >= INSN_INS) {
        value = string_port(v, x, value);
    }
    if ((uses & STORE) != 0) {
        operand_access(v, &destination, in->size, true, &value);
    } else if ((uses & COMPARE) != 0) {
        operand_access(v, &destination, in->size, false, &other);
        (void)mmio_op_alu(INSN_CMP, value, other, in->size, flags);
    } else if (in->op == INSN_LODS) {
        mmio_op_set(&v->regs[X86_RAX], in->size, value);
    }
    return true;
}

enum action string_execute(struct vcpu *v, struct vmexit *x, const struct fetch *f,
                           const struct insn *in) {
    unsigned width = in->mem.address_size, uses = string_uses[in->op];
    uint64_t mask = UINT64_MAX >> (64 - 8 * width), flags = f->s.rflags, *regs = v->regs;
    uint64_t step = (flags & X86_RFLAGS_DF) != 0 ? 0 - (uint64_t)in->size : in->size;
    unsigned left = (flags & X86_RFLAGS_TF) != 0 ? 1 : STRING_LIMIT;
    bool more = in->rep == 0 || (regs[X86_RCX] & mask) != 0;
    for (; more && left != 0; left--) {
        if (!string_step(v, x, f, in, &flags)) {
            return ACTION_RETRY;
        }
        if ((uses & SOURCE) != 0) {
            mmio_op_set(&regs[X86_RSI], width, regs[X86_RSI] + step);
        }
        if ((uses & DESTINATION) != 0) {
            mmio_op_set(&regs[X86_RDI], width, regs[X86_RDI] + step);
        }
        if (in->rep != 0) {
            mmio_op_set(&regs[X86_RCX], width, regs[X86_RCX] - 1);
        }
        more = in->rep != 0 && (regs[X86_RCX] & mask) != 0 &&
               ((uses & COMPARE) == 0 || ((flags & FLAG_ZF) != 0) == (in->rep == REPE));
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
    struct insn_memory stack = {.segment = INSN_SS,
                                .base = X86_RSP,
                                .index = INSN_NO_REG,
                                .address_size = width,
                                .disp = push ? 0 - (uint64_t)in->size : 0};
    uint64_t value = 0, rsp = v->regs[X86_RSP], new_rsp = rsp;
    struct operand there, operand;
    mmio_op_set(&new_rsp, width, push ? rsp - in->size : rsp + in->size);
    bool ok = operand_find(v, x, f, in, &stack, in->size, push ? WALK_WRITE : WALK_READ, &there);
    if (!push) { /* the address of POP's operand is computed with RSP as it is then */
        v->regs[X86_RSP] = new_rsp;
    }
    ok = ok &&
         operand_find(v, x, f, in, &in->mem, in->size, push ? WALK_READ : WALK_WRITE, &operand);
    if (!ok) {
        return ACTION_RETRY;
    }
    operand_access(v, push ? &operand : &there, in->size, false, &value);
    operand_access(v, push ? &there : &operand, in->size, true, &value);
    hvm->set(v, HVM_RSP, new_rsp);
    x->insn_len = in->length;
    return ACTION_NEXT;
}
