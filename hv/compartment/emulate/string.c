/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions and PUSH or POP of memory, of which one side at least is a device or a port.
 * Owns their counting and stepping; what one element does to the guest is as on the CPU: a fault
 * leaves the registers where the elements before it have led. See units.h.
 * Source: Intel SDM vol. 2 "REP/REPE/REPZ/REPNE/REPNZ" and the instructions' own pages.
 */
#include "hv/compartment/emulate/mmio_op.h"
#include "hv/compartment/emulate/units.h"
#include "hv/lib/reg.h"

/* Elements in one exit; then the guest's CPU may look for interrupts, and goes on where it was. */
#define STRING_LIMIT 64

#define PREFIX_REPE 0xf3

/* One IN or OUT: what is read, or value. */
static uint64_t string_port(struct emulation *e, uint64_t value, unsigned size) {
    const struct exit_io *io = &e->exit->io;
    if ((io->flags & IO_IN) != 0) {
        return emulation_read(e, BUS_PORT, io->port, size);
    }
    emulation_write(e, BUS_PORT, io->port, size, value);
    return value;
}

/* What an element of each does; what neither comes from nor goes to memory is in RAX or a port. */
struct string_form {
    bool from_rsi, from_rdi, to_rdi;
    bool to_rax, compares;
    bool port;
};
static const struct string_form string_forms[INSN_OPS] = {
    [INSN_MOVS] = {.from_rsi = true, .to_rdi = true},
    [INSN_CMPS] = {.from_rsi = true, .from_rdi = true, .compares = true},
    [INSN_STOS] = {.to_rdi = true},
    [INSN_LODS] = {.from_rsi = true, .to_rax = true},
    [INSN_SCAS] = {.from_rdi = true, .compares = true},
    [INSN_INS] = {.to_rdi = true, .port = true},
    [INSN_OUTS] = {.from_rsi = true, .port = true},
};

/* A string instruction on its way. */
struct string {
    struct emulation *e;
    const struct code *c;
    const struct insn *in;
    const struct string_form *form;
    struct insn_memory rdi;
    uint64_t rflags;
};

/* One element. False if it ends in a fault, with nothing done. */
static bool string_element(struct string *s) {
    struct emulation *e = s->e;
    uint8_t size = s->in->size;
    uint64_t value = e->regs[X86_RAX] & reg_mask(size);
    const struct access rsi = {.mem = &s->in->mem, .size = size, .kind = WALK_READ};
    const struct access rdi = {
        .mem = &s->rdi, .size = size, .kind = s->form->to_rdi ? WALK_WRITE : WALK_READ};
    bool uses_rdi = s->form->from_rdi || s->form->to_rdi;
    struct operand source, destination;

    if ((s->form->from_rsi && !operand_find(e, s->c, s->in, &rsi, &source)) ||
        (uses_rdi && !operand_find(e, s->c, s->in, &rdi, &destination))) {
        return false;
    }
    if (s->form->from_rsi) {
        operand_access(e, &source, size, false, &value);
    }
    if (s->form->port) {
        value = string_port(e, value, size);
    }
    if (s->form->to_rdi) {
        operand_access(e, &destination, size, true, &value);
    } else if (s->form->to_rax) {
        reg_set(&e->regs[X86_RAX], size, value);
    } else if (s->form->compares) {
        uint64_t second = 0;
        operand_access(e, &destination, size, false, &second);
        mmio_op_compare(value, second, size, &s->rflags);
    }
    return true;
}

/* Registers past an element. */
static void string_step(const struct string *s) {
    uint64_t *regs = s->e->regs;
    unsigned width = s->in->mem.address_size;
    uint64_t step = s->in->size;
    if ((s->rflags & X86_RFLAGS_DF) != 0) {
        step = 0 - step;
    }
    if (s->form->from_rsi) {
        reg_set(&regs[X86_RSI], width, regs[X86_RSI] + step);
    }
    if (s->form->from_rdi || s->form->to_rdi) {
        reg_set(&regs[X86_RDI], width, regs[X86_RDI] + step);
    }
    if (s->in->rep != 0) {
        reg_set(&regs[X86_RCX], width, regs[X86_RCX] - 1);
    }
}

static bool string_count_left(const struct string *s) {
    return (s->e->regs[X86_RCX] & reg_mask(s->in->mem.address_size)) != 0;
}

/* After an element: REPE goes on while they are the same, REPNE while they differ. */
static bool string_goes_on(const struct string *s) {
    if (s->in->rep == 0 || !string_count_left(s)) {
        return false;
    }
    bool same = (s->rflags & X86_RFLAGS_ZF) != 0;
    return !s->form->compares || same == (s->in->rep == PREFIX_REPE);
}

enum emulated string_execute(struct emulation *e, const struct code *c, const struct insn *in) {
    struct string s = {.e = e, .c = c, .in = in, .form = &string_forms[in->op]};
    s.rflags = c->paging.rflags;
    s.rdi = (struct insn_memory){.segment = in->mode == 64 ? INSN_DS : INSN_ES,
                                 .base = X86_RDI,
                                 .index = INSN_NO_REG,
                                 .address_size = in->mem.address_size};
    unsigned left = (s.rflags & X86_RFLAGS_TF) != 0 ? 1 : STRING_LIMIT;
    bool more = in->rep == 0 || string_count_left(&s);
    for (; more && left != 0; left--) {
        if (!string_element(&s)) {
            return e->outcome; /* flags as before: SDM vol. 2 "REP" */
        }
        string_step(&s);
        more = string_goes_on(&s);
    }
    /* In the middle no instruction breakpoint may come again: SDM "Resume Flag". */
    emulation_set(e, HVM_RFLAGS, more ? s.rflags | X86_RFLAGS_RF : s.rflags & ~X86_RFLAGS_RF);
    e->exit->insn_len = more ? 0 : in->length;
    return EMULATED_NEXT;
}

enum emulated stack_execute(struct emulation *e, const struct code *c, const struct insn *in) {
    struct hvm_segment ss;
    emulation_get_segment(e, HVM_SS, &ss);
    bool push = in->op == INSN_PUSH;
    uint8_t width = (ss.attr & SEG_BIG) != 0 ? 4 : 2;
    if (in->mode == 64) {
        width = 8;
    }
    /* The address of POP's operand is computed with RSP as it is then: below that is the stack. */
    const struct insn_memory stack = {.segment = INSN_SS,
                                      .base = X86_RSP,
                                      .index = INSN_NO_REG,
                                      .address_size = width,
                                      .disp = 0 - (uint64_t)in->size};
    uint64_t rsp = e->regs[X86_RSP];
    reg_set(&rsp, width, push ? rsp - in->size : rsp + in->size);
    if (!push) {
        e->regs[X86_RSP] = rsp;
    }
    const struct access from = {
        .mem = push ? &in->mem : &stack, .size = in->size, .kind = WALK_READ};
    const struct access to = {
        .mem = push ? &stack : &in->mem, .size = in->size, .kind = WALK_WRITE};
    struct operand source, destination;
    if (!operand_find(e, c, in, &from, &source) || !operand_find(e, c, in, &to, &destination)) {
        return e->outcome;
    }
    uint64_t value = 0;
    operand_access(e, &source, in->size, false, &value);
    operand_access(e, &destination, in->size, true, &value);
    emulation_set(e, HVM_RSP, rsp);
    e->exit->insn_len = in->length;
    return EMULATED_NEXT;
}
