/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the results and flags of the instructions that insn.c decodes. Must not touch guest state
 * but the registers and flags handed in. See mmio_op.h.
 */
#include "hv/exit/mmio_op.h"

#include "hv/lib/x86.h"

#define FLAG_CF BIT(0)
#define FLAG_PF BIT(2)
#define FLAG_AF BIT(4)
#define FLAG_ZF BIT(6)
#define FLAG_SF BIT(7)
#define FLAG_DF BIT(10)
#define FLAG_OF BIT(11)

#define FLAGS_ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static uint64_t mask_of(unsigned size) {
    return UINT64_MAX >> (64 - 8 * size);
}

static uint64_t sign_extend(uint64_t value, unsigned size) {
    uint64_t sign = BIT(8 * size - 1);
    return ((value & mask_of(size)) ^ sign) - sign;
}

/* 4 bytes clear the upper half, 1 and 2 leave the rest of the register as it is. */
static void write_sized(uint64_t *reg, unsigned size, uint64_t value) {
    uint64_t kept = size >= 4 ? 0 : *reg & ~mask_of(size);
    *reg = kept | (value & mask_of(size));
}

static uint64_t read_register(const struct insn *insn, const uint64_t *regs) {
    return regs[insn->reg] >> (insn->high_byte ? 8 : 0) & mask_of(insn->reg_size);
}

static void write_register(const struct insn *insn, uint64_t *regs, uint64_t value) {
    uint64_t *reg = &regs[insn->reg];
    if (insn->high_byte) {
        *reg = (*reg & ~0xff00ull) | (value & 0xff) << 8;
    } else {
        write_sized(reg, insn->reg_size, value);
    }
}

/* carries: bit n is the carry (borrow) out of bit n; parity is of the low byte only. */
static uint64_t flags_of(uint64_t result, uint64_t carries, uint64_t overflow, unsigned size) {
    unsigned top = 8 * size - 1;
    bool odd = __builtin_parity((unsigned)result & 0xff);
    return (carries >> top & 1) * FLAG_CF | (odd ? 0 : FLAG_PF) | (carries >> 3 & 1) * FLAG_AF |
           ((result & mask_of(size)) == 0 ? FLAG_ZF : 0) | (result >> top & 1) * FLAG_SF |
           (overflow >> top & 1) * FLAG_OF;
}

/* a op b with the arithmetic flags in *flags, the carry flag in them being an input. */
static uint64_t alu(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags) {
    uint64_t carry = (op == INSN_ADC || op == INSN_SBB) ? *flags & FLAG_CF : 0;
    uint64_t result, carries = 0, overflow = 0;
    if (op == INSN_ADD || op == INSN_ADC) {
        result = a + b + carry;
        carries = (a & b) | ((a | b) & ~result);
        overflow = (a ^ result) & (b ^ result);
    } else if (op == INSN_SUB || op == INSN_SBB || op == INSN_CMP) {
        result = a - b - carry;
        carries = (~a & b) | ((~a | b) & result);
        overflow = (a ^ b) & (a ^ result);
    } else if (op == INSN_OR) {
        result = a | b;
    } else if (op == INSN_XOR) {
        result = a ^ b;
    } else { /* AND, TEST */
        result = a & b;
    }
    *flags = (*flags & ~FLAGS_ARITHMETIC) | flags_of(result, carries, overflow, size);
    return result & mask_of(size);
}

struct operation {
    const struct insn *insn;
    uint64_t *regs, *rflags;
    const struct mmio_access *access;
};

static enum status load(const struct operation *o, enum mmio_operand operand, uint64_t *value) {
    return o->access->read(o->access->ctx, operand, o->insn->size, value);
}

static enum status store(const struct operation *o, uint64_t value) {
    return o->access->write(o->access->ctx, MMIO_OPERAND, o->insn->size,
                            value & mask_of(o->insn->size));
}

/* One memory operand and one other: read, compute, write, and only then change registers. */
static enum status execute(const struct operation *o) {
    const struct insn *in = o->insn;
    uint64_t other = in->has_imm ? in->imm & mask_of(in->size) : read_register(in, o->regs);
    uint64_t memory = 0, flags = *o->rflags;
    enum status s = STATUS_OK;
    if (in->op != INSN_MOV || !in->to_memory) {
        s = load(o, MMIO_OPERAND, &memory);
    }
    uint64_t destination = in->to_memory ? memory : other;
    uint64_t result = in->to_memory ? other : memory;
    if (in->op <= INSN_TEST) {
        result = alu(in->op, destination, result, in->size, &flags);
    } else if (in->op == INSN_MOVSX) {
        result = sign_extend(memory, in->size);
    }
    bool compares = in->op == INSN_CMP || in->op == INSN_TEST;
    if (s == STATUS_OK && in->to_memory && !compares) {
        s = store(o, result);
    }
    if (s != STATUS_OK) {
        return s;
    }
    if (in->op == INSN_XCHG) {
        write_register(in, o->regs, memory);
    } else if (!in->to_memory && !compares) {
        write_register(in, o->regs, result);
    }
    *o->rflags = flags;
    return STATUS_OK;
}

/* Steps rSI or rDI by the direction flag, within the address size. */
static void step_index(const struct operation *o, enum x86_gpr reg) {
    uint64_t step = (*o->rflags & FLAG_DF) != 0 ? 0 - (uint64_t)o->insn->size : o->insn->size;
    write_sized(&o->regs[reg], o->insn->mem.address_size, o->regs[reg] + step);
}

static enum status execute_string(const struct operation *o, bool *done) {
    const struct insn *insn = o->insn;
    uint64_t count = o->regs[X86_RCX] & mask_of(insn->mem.address_size);
    uint64_t value = o->regs[X86_RAX];
    enum status s = STATUS_OK;
    if (insn->rep && count == 0) {
        *done = true;
        return STATUS_OK;
    }
    if (insn->op == INSN_MOVS) {
        s = load(o, MMIO_SOURCE, &value);
    }
    if (s == STATUS_OK) {
        s = store(o, value);
    }
    if (s != STATUS_OK) {
        return s;
    }
    step_index(o, X86_RDI);
    if (insn->op == INSN_MOVS) {
        step_index(o, X86_RSI);
    }
    if (insn->rep) {
        write_sized(&o->regs[X86_RCX], insn->mem.address_size, count - 1);
    }
    *done = !insn->rep || count == 1;
    return STATUS_OK;
}

enum status mmio_op_execute(const struct insn *insn, uint64_t *regs, uint64_t *rflags,
                            const struct mmio_access *access, bool *done) {
    const struct operation o = {insn, regs, rflags, access};
    if (insn->op == INSN_STOS || insn->op == INSN_MOVS) {
        return execute_string(&o, done);
    }
    enum status s = execute(&o);
    *done = s == STATUS_OK;
    return s;
}
