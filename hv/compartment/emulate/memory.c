/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest touched guest-physical memory that is not its RAM: the instruction is decoded and carried
 * out on the device that lives there, or on nothing (all ones, writes lost). What the decoder does
 * not know stops that VM. Everything here is guest-controlled, and another vCPU may change code and
 * tables meanwhile: each is copied once.
 */
#include "hv/compartment/emulate/emulate.h"
#include "hv/compartment/emulate/mmio_op.h"
#include "hv/compartment/emulate/units.h"

/* The one operand is where the fault says, unless it may be part of one that crosses a page. Where
 * its segment has a base, operand_find() sees. */
static __attribute__((noinline)) bool may_cross_at(struct emulation *e, const struct insn *in) {
    if (in->size == 1) {
        return false;
    }
    e->regs[X86_RSP] = emulation_get(e, HVM_RSP);
    return in->mode != 64 || insn_has_base(&in->mem) ||
           operand_offset(e, in, &in->mem) % PAGE_SIZE > PAGE_SIZE - in->size;
}

static inline bool may_cross(struct emulation *e, const struct insn *in, gpa_t gpa) {
    uint64_t offset = gpa.v % PAGE_SIZE;
    return UNLIKELY(offset == 0 || offset + in->size > PAGE_SIZE) && may_cross_at(e, in);
}

/* A plain MOV, all of whose operand is where the fault says: what nearly every driver uses. */
static inline __attribute__((always_inline)) void move(struct emulation *e, const struct insn *in,
                                                       gpa_t gpa) {
    if (in->to_memory) {
        uint64_t value = in->has_imm ? in->imm : e->regs[in->reg];
        emulation_write(e, BUS_MEMORY, gpa.v, in->size, value & reg_mask(in->size));
        e->regs_set = EMULATED_REGS_NONE;
    } else {
        e->regs_set = (uint8_t)(EMULATED_REGS_ONE + in->reg);
        reg_set(&e->regs[in->reg], in->size, emulation_read(e, BUS_MEMORY, gpa.v, in->size));
    }
}

/* All that mmio_op.c knows, wherever the operand is. */
static __attribute__((noinline)) void compute(struct emulation *e, const struct insn *in,
                                              const struct operand *at) {
    uint64_t rflags = emulation_get(e, HVM_RFLAGS);
    uint64_t memory = 0;
    if (in->reads) {
        operand_access(e, at, in->size, false, &memory);
    }
    mmio_op_execute(in, e->regs, &rflags, &memory);
    if (in->writes) {
        operand_access(e, at, in->size, true, &memory);
    }
    emulation_set(e, HVM_RFLAGS, rflags);
}

static enum emulated operand_execute(struct emulation *e, const struct code *c,
                                     const struct insn *in) {
    const struct access a = {
        .mem = &in->mem, .size = in->size, .kind = in->writes ? WALK_WRITE : WALK_READ};
    gpa_t gpa = e->exit->fault.gpa;
    struct operand at = {.gpa[0] = gpa, .first = PAGE_SIZE};
    if (may_cross(e, in, gpa) && !operand_find(e, c, in, &a, &at)) {
        return e->outcome;
    }
    compute(e, in, &at);
    if (in->reg == X86_RSP) {
        emulation_set(e, HVM_RSP, e->regs[X86_RSP]);
    }
    e->exit->insn_len = in->length;
    return EMULATED_NEXT;
}

/* SMSW, and a segment register to memory: 2 bytes. */
static enum emulated system_execute(struct emulation *e, const struct code *c,
                                    const struct insn *in) {
    const struct access a = {.mem = &in->mem, .size = in->size, .kind = WALK_WRITE};
    struct operand at;
    if (!operand_find(e, c, in, &a, &at)) {
        return e->outcome;
    }
    uint64_t value = c->paging.cr0;
    if (in->op == INSN_MOV_SEGMENT) {
        struct hvm_segment segment;
        emulation_get_segment(e, (enum hvm_seg)in->reg, &segment);
        value = segment.selector;
    }
    operand_access(e, &at, in->size, true, &value);
    e->exit->insn_len = in->length;
    return EMULATED_NEXT;
}

/* By the guest's page tables. */
static __attribute__((noinline)) enum emulated decode_and_execute(struct emulation *e) {
    typedef enum emulated (*unit)(struct emulation * e, const struct code *c,
                                  const struct insn *in);
    static const unit units[] = {
        [UNIT_OPERAND] = operand_execute, [UNIT_SYSTEM] = system_execute,
        [UNIT_STACK] = stack_execute,     [UNIT_STRING] = string_execute,
        [UNIT_VECTOR] = vector_execute,
    };
    struct code c;
    struct insn in;
    if (code_decode(e, &c, &in) != STATUS_OK) {
        (void)emulation_crash(e, CRASH_INSTRUCTION);
        return e->outcome;
    }
    return units[in.unit](e, &c, &in);
}

/* in: the instruction, if it is remembered. */
static __attribute__((noinline)) enum emulated emulate_other(struct emulation *e,
                                                             const struct insn *in, gpa_t gpa) {
    if (in == NULL || in->unit != UNIT_OPERAND || in->reg == X86_RSP || may_cross(e, in, gpa)) {
        return decode_and_execute(e);
    }
    compute(e, in, &(struct operand){.gpa[0] = gpa, .first = PAGE_SIZE});
    e->exit->insn_len = in->length;
    return EMULATED_NEXT;
}

enum emulated emulate_memory(struct emulation *e) {
    gpa_t gpa = e->exit->fault.gpa;
    const struct insn *in = code_cache_find(&e->cache, e->code, EXIT_NESTED_FAULT);
    if (LIKELY(in != NULL && in->is_plain && !may_cross(e, in, gpa))) {
        move(e, in, gpa);
        e->exit->insn_len = in->length;
        return EMULATED_NEXT;
    }
    return emulate_other(e, in, gpa);
}
